"""Somebody with a real browser, who does and sees what people do and see."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    StorageState,
    expect,
    sync_playwright,
)

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
PASSWORDS = {"admin": "admin"}  # of the demo's users; all others have "demo"
PATIENCE = 20_000  # milliseconds
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}

expect.set_options(timeout=PATIENCE)


@contextmanager
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Person:
    """Somebody with a browser profile, which outlives its pages."""

    def __init__(self, profile: BrowserContext) -> None:
        self.complaints: list[str] = []  # of the browser: errors, and what our own policy forbids
        self._profile = profile
        self._profile.set_default_timeout(PATIENCE)
        self._profile.on("console", self._listen)
        self._profile.on("weberror", lambda error: self.complaints.append(str(error.error)))
        self.page = self._profile.new_page()
        self._address = "/"

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def forgive_the_outage(self) -> None:
        """The browser tells of each connection that was given up while there was no server."""
        self.complaints[:] = [words for words in self.complaints if "WebSocket" not in words]

    def log_in(self, name: str) -> StorageState:
        """What a profile needs to be logged in from the start."""
        self.page.goto("/")
        self.page.get_by_label("Username").fill(name)
        self.page.get_by_label("Password").fill(PASSWORDS.get(name, "demo"))
        self.page.get_by_role("button", name="Log in").click()
        self.page.wait_for_url("**/")
        return self._profile.storage_state()

    @property
    def writing(self) -> Locator:
        return self.page.locator(".composer textarea")

    @property
    def messages(self) -> Locator:
        return self.page.locator(".message")

    def enter(self, room: str) -> None:
        self.link(room).click()
        expect(self.page.locator(".room-head h1")).to_have_text(room)

    def write(self, *bodies: str) -> None:
        """Without waiting for them to arrive."""
        for body in bodies:
            self.writing.fill(body)
            self.writing.press("Control+Enter")  # sends whatever was chosen, on glass too

    def say(self, *bodies: str) -> None:
        self.write(*bodies)
        # What may be edited has come back as a message.
        newest = self.message(bodies[-1]).last.locator(".actions")
        expect(newest).not_to_have_attribute("hidden", "")

    def message(self, body: str) -> Locator:
        return self.messages.filter(has=self.page.get_by_text(body, exact=True))

    def sees(self, *bodies: str) -> None:
        """These, once, and nothing behind them."""
        shown = self.page.locator(".message .body")
        expect(shown.last).to_have_text(bodies[-1])
        give_up = time.monotonic() + PATIENCE / 1_000
        while (texts := shown.all_text_contents()[-len(bodies) :]) != list(bodies):
            assert time.monotonic() < give_up, texts
            self.page.wait_for_timeout(50)
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
        choose(other.locator(".message").filter(has_text=body), "Delete")
        other.close()
        expect(self.page.get_by_text("This message was deleted.")).to_be_visible()

    @contextmanager
    def another_tab(self) -> Iterator["Person"]:
        """Of the same profile, at the same address."""
        tab = Person(self._profile)
        tab.page.goto(self.page.url)
        yield tab
        tab.page.close()

    def open_another_page(self) -> None:
        """Instead of the one that was open, and nowhere yet."""
        self.page.close()
        self.page = self._profile.new_page()

    def close_the_page(self) -> None:
        self._address = self.page.url
        self.page.close()

    def open_the_page_again(self) -> None:
        self.page = self._profile.new_page()
        self.page.goto(self._address)


def choose(row: Locator, what: str) -> None:
    """From the menu of a message."""
    row.hover()
    row.get_by_role("button", name="More").click()
    menu = row.page.get_by_role("dialog", name="Message")
    menu.get_by_role("button", name=what, exact=True).click()


@contextmanager
def somebody(browser: Browser, port: int, **device: Any) -> Iterator[Person]:
    with browser.new_context(base_url=f"http://127.0.0.1:{port}", **device) as profile:
        yield Person(profile)
