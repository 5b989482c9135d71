"""Two people in two real browsers."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    expect,
    sync_playwright,
)

from tests.servers import Server

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")

PATIENCE = 20_000  # milliseconds

expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Person:
    """Somebody with a browser profile, which outlives its pages."""

    def __init__(self, profile: BrowserContext) -> None:
        self.complaints: list[str] = []  # of the browser: errors, and what our own policy forbids
        self._profile = profile
        self._profile.on("console", self._listen)
        self._profile.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page = self._profile.new_page()
        self._address = "/"

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def log_in(self, name: str) -> None:
        self.page.goto("/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill("demo")
        self.page.get_by_role("button", name="Log in").click()

    def enter(self, room: str) -> None:
        self.link(room).click()
        expect(self.page.locator(".room-head h1")).to_have_text(room)

    def say(self, *bodies: str) -> None:
        for body in bodies:
            self.page.locator(".composer textarea").fill(body)
            self.page.locator(".composer textarea").press("Enter")
        expect(self.page.locator(".message.is-pending")).to_have_count(0)

    def sees(self, *bodies: str) -> None:
        """These, once, and nothing behind them."""
        shown = self.page.locator(".message .body")
        expect(shown.last).to_have_text(bodies[-1])
        assert shown.all_text_contents()[-len(bodies) :] == list(bodies)
        for body in bodies:
            expect(shown.get_by_text(body, exact=True)).to_have_count(1)

    def has_unread(self, room: str, count: int) -> None:
        badge = self.link(room).locator(".badge")
        if count:
            expect(badge).to_have_text(str(count))
        else:
            expect(badge).to_be_hidden()

    def link(self, room: str) -> Locator:
        name = self.page.locator(".name").get_by_text(room, exact=True)
        return self.page.locator(".rooms a").filter(has=name)

    def delete_elsewhere(self, body: str) -> None:
        """In another tab; this one has heard of it when the method returns."""
        other = self._profile.new_page()
        other.goto(self.page.url)
        row = other.locator(".message").filter(has_text=body)
        row.hover()
        row.get_by_role("button", name="Delete", exact=True).click()
        other.locator(".delete-dialog").get_by_role("button", name="Delete").click()
        expect(self.page.get_by_text("This message was deleted.")).to_be_visible()
        other.close()

    def close_the_page(self) -> None:
        self._address = self.page.url
        self.page.close()

    def open_the_page_again(self) -> None:
        self.page = self._profile.new_page()
        self.page.goto(self._address)


@pytest.fixture
def alice(chromium: Browser, server: Server) -> Iterator[Person]:
    with a_person(chromium, server, "alice") as alice:
        yield alice


@pytest.fixture
def bob(chromium: Browser, server: Server) -> Iterator[Person]:
    with a_person(chromium, server, "bob") as bob:
        yield bob


@pytest.fixture
def alice_on_a_phone(chromium: Browser, server: Server) -> Iterator[Person]:
    phone = {"width": 390, "height": 844}
    with a_person(
        chromium, server, "alice", viewport=phone, has_touch=True, is_mobile=True
    ) as alice:
        yield alice


@contextmanager
def a_person(chromium: Browser, server: Server, name: str, **device: Any) -> Iterator[Person]:
    with chromium.new_context(base_url=f"http://127.0.0.1:{server.port}", **device) as profile:
        profile.set_default_timeout(PATIENCE)
        person = Person(profile)
        person.log_in(name)
        yield person
        assert person.complaints == []


def test_two_people_talk(alice, bob):
    alice.enter("Kitchen")
    bob.enter("Kitchen")
    alice.say("Tea?")
    bob.sees("Tea?")
    bob.say("Yes, please!", "With milk.")
    alice.sees("Tea?", "Yes, please!", "With milk.")
    bob.sees("Tea?", "Yes, please!", "With milk.")


def test_bob_closes_his_page_and_misses_nothing(alice, bob):
    bob.enter("Lobby")
    bob.has_unread("Lobby", 0)
    bob.enter("Kitchen")
    bob.close_the_page()
    alice.enter("bob")
    alice.say("one", "two", "three")
    alice.enter("Lobby")
    alice.say("to all")
    bob.open_the_page_again()
    bob.has_unread("alice", 3)
    bob.has_unread("Lobby", 1)
    bob.enter("alice")
    bob.sees("one", "two", "three")
    bob.has_unread("alice", 0)
    bob.enter("Lobby")
    bob.sees("to all")
    bob.has_unread("Lobby", 0)


def test_an_edit_that_the_server_refuses_keeps_its_words(alice):
    alice.enter("Kitchen")
    alice.say("Tee?")
    writing = alice.page.locator(".composer textarea")
    writing.press("ArrowUp")
    alice.delete_elsewhere("Tee?")
    writing.fill("Tea?")
    writing.press("Enter")
    expect(alice.page.locator(".notice")).to_be_visible()
    expect(writing).to_have_value("Tea?")
    expect(alice.page.locator(".composer .editing")).to_be_visible()


def test_an_edit_that_the_server_took_closes_the_editor(alice):
    alice.enter("Kitchen")
    alice.say("Tee, please")
    writing = alice.page.locator(".composer textarea")
    writing.press("ArrowUp")
    writing.fill("Tea, please")
    writing.press("Enter")
    expect(alice.page.locator(".composer .editing")).to_be_hidden()
    expect(writing).to_have_value("")
    expect(alice.page.get_by_text("Tea, please (edited)")).to_be_visible()


def test_a_first_tap_on_a_row_only_chooses_it(alice_on_a_phone):
    page = alice_on_a_phone.page
    alice_on_a_phone.enter("Kitchen")
    address = page.url
    alice_on_a_phone.say("Sugar?", "No?")
    row = page.locator(".message").last
    for place in (".delete", ".edit", ".time"):
        page.locator(".composer textarea").focus()
        box = row.locator(place).bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2)
        expect(page.locator(".delete-dialog")).to_be_hidden()
        expect(page.locator(".composer .editing")).to_be_hidden()
        assert page.url == address
    expect(row.locator(".actions")).to_be_visible()
    row.locator(".edit").tap()
    expect(page.locator(".composer .editing")).to_be_visible()


def test_an_address_beyond_the_end_shows_the_newest(alice):
    alice.enter("Kitchen")
    alice.say(*(f"spoon {number}" for number in range(40)))
    alice.page.goto(f"{alice.page.url}m/99999/")
    expect(alice.page.get_by_text("spoon 39", exact=True)).to_be_in_viewport()


def test_the_newest_stays_in_sight_while_the_composer_grows(alice):
    alice.enter("Kitchen")
    alice.say(*(f"fork {number}" for number in range(40)))
    writing = alice.page.locator(".composer textarea")
    for _ in range(12):
        writing.press_sequentially("a line")
        writing.press("Shift+Enter")
    alice.page.wait_for_timeout(300)  # what is to be seen is that nothing moves
    expect(alice.page.get_by_text("fork 39", exact=True)).to_be_in_viewport()
    expect(alice.page.locator(".jump")).to_be_hidden()
    below = "log => log.scrollHeight - log.clientHeight - log.scrollTop"
    assert alice.page.locator(".log").evaluate(below) <= 1
    writing.fill("")


def test_the_counter_tells_how_much_is_too_much(alice):
    alice.enter("Kitchen")
    writing = alice.page.locator(".composer textarea")
    writing.fill("x" * 20_000)
    expect(alice.page.locator(".counter.over")).to_have_text(re.compile(r"^\d+ too many$"))
    writing.fill("")
