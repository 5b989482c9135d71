"""Two people in two real browsers."""

import re
import secrets
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from tests import databases
from tests.databases import Database
from tests.person import PHONE, somebody
from tests.servers import Server, environment, manage

WIRE_BUDGET = 60_000  # bytes of scripts and styles, compressed

LONG = "more than fits\n" * 60


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
    expect(bob.page).to_have_title("(4) Kitchen")
    bob.enter("alice")
    bob.sees("one", "two", "three")
    bob.has_unread("alice", 0)
    bob.enter("Lobby")
    bob.sees("to all")
    bob.has_unread("Lobby", 0)
    expect(bob.page).to_have_title("Lobby")


# Who reads, who types, who is there


def test_alice_sees_how_far_her_words_got(alice, bob):
    bob.enter("Lobby")
    alice.enter("bob")
    alice.say("Can you read this?")
    mark = alice.message("Can you read this?").locator(".mark")
    expect(mark).to_have_text("Delivered")
    bob.enter("alice")
    expect(mark).to_have_text("Read")


def test_a_face_shows_up_to_where_bob_has_read(alice, bob):
    bob.enter("Lobby")
    alice.enter("Kitchen")
    alice.say("The kettle is on.", "It whistles.")
    first, second = (alice.message(body) for body in ("The kettle is on.", "It whistles."))
    expect(second.locator(".mark")).to_have_text("Delivered")
    bob.enter("Kitchen")
    expect(second.locator(".readers")).to_have_text("BRead by bob")
    second.locator(".faces").hover()
    expect(second.locator(".readers .words")).to_be_visible()
    expect(first.locator(".readers")).to_be_hidden()
    alice.say("Now it is off.")
    expect(second.locator(".readers")).to_be_hidden()
    expect(alice.message("Now it is off.").locator(".readers")).to_be_visible()


def test_alice_sees_bob_typing_until_he_has_said_it(alice, bob):
    typing = ".composer .typing"
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Shall we?")
    bob.sees("Shall we?")
    before = alice.writing.bounding_box()
    bob.writing.press_sequentially("Well")
    expect(alice.page.locator(typing)).to_have_text("bob is typing…")
    assert alice.writing.bounding_box() == before
    expect(bob.page.locator(typing)).to_be_empty()
    bob.writing.press("Enter")
    alice.sees("Shall we?", "Well")
    # Six seconds would end it anyway; his words end it before.
    expect(alice.page.locator(typing)).to_be_empty(timeout=3_000)
    assert alice.writing.bounding_box() == before


def test_alice_sees_whether_bob_is_there(alice, bob):
    alice.enter("bob")
    about = alice.page.locator(".room-head .about")
    expect(about).to_have_text("online")
    expect(alice.link("bob")).to_have_attribute("aria-label", "bob, online")
    alice.enter("Kitchen")
    expect(about).to_have_text("2 members · 2 online")
    members = alice.page.get_by_role("complementary", name="Members").get_by_role("listitem")
    expect(members).to_have_text(["Aalice (you)owner · online", "Bbobonline"])
    bob.close_the_page()
    expect(about).to_have_text("2 members · 1 online")
    expect(members.last).to_have_text(re.compile(r"^Bboblast seen \d\d:\d\d$"))
    alice.enter("bob")
    expect(about).to_have_text(re.compile(r"^last seen \d\d:\d\d$"))


# Writing


def test_an_edit_that_the_server_refuses_keeps_its_words(alice):
    alice.enter("Kitchen")
    alice.say("Tee?")
    alice.writing.press("ArrowUp")
    alice.delete_elsewhere("Tee?")
    alice.writing.fill("Tea?")
    alice.writing.press("Enter")
    expect(alice.page.locator(".notice")).to_be_visible()
    expect(alice.writing).to_have_value("Tea?")
    expect(alice.page.locator(".composer .editing")).to_be_visible()


def test_an_edit_that_the_server_took_closes_the_editor(alice):
    alice.enter("Kitchen")
    alice.say("Tee, please")
    alice.writing.press("ArrowUp")
    alice.writing.fill("Tea, please")
    alice.writing.press("Enter")
    expect(alice.page.locator(".composer .editing")).to_be_hidden()
    expect(alice.writing).to_have_value("")
    expect(alice.page.get_by_text("Tea, please (edited)")).to_be_visible()


def test_an_edit_outlives_a_walk_to_another_room_while_the_server_is_silent(alice, server):
    editing = alice.page.locator(".composer .editing")
    alice.enter("Kitchen")
    alice.say("Two suggars?")
    alice.writing.press("ArrowUp")
    alice.writing.fill("Two sugars?")
    with silence(server):
        alice.writing.press("Enter")
        alice.enter("Lobby")
        alice.enter("Kitchen")
        expect(alice.writing).to_have_value("Two sugars?")
        expect(editing).to_be_visible()
    expect(alice.page.get_by_text("Two sugars? (edited)")).to_be_visible()
    expect(editing).to_be_hidden()


@contextmanager
def silence(server: Server) -> Iterator[None]:
    assert server.process is not None
    server.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        server.process.send_signal(signal.SIGCONT)


def test_what_one_has_begun_waits_in_its_room(alice):
    editing = alice.page.locator(".composer .editing")
    alice.enter("Kitchen")
    alice.say("Coffe?")
    alice.writing.press("ArrowUp")
    alice.writing.fill("Coffee?")
    alice.enter("Lobby")
    expect(editing).to_be_hidden()
    alice.writing.fill("Half a thought")
    alice.enter("Kitchen")
    expect(editing).to_be_visible()
    expect(alice.writing).to_have_value("Coffee?")
    alice.writing.press("Enter")
    expect(alice.page.get_by_text("Coffee? (edited)")).to_be_visible()
    expect(editing).to_be_hidden()
    alice.enter("Lobby")
    alice.page.reload()
    expect(alice.writing).to_have_value("Half a thought")
    alice.writing.fill("")


def test_the_counter_tells_how_much_is_too_much(alice):
    alice.enter("Kitchen")
    alice.writing.fill("x" * 20_000)
    expect(alice.page.locator(".counter.over")).to_have_text(re.compile(r"^\d+ too many$"))
    alice.writing.fill("")


def test_addresses_become_links_and_nothing_else_does(alice):
    alice.enter("Kitchen")
    alice.say("<b>https://example.org/a?b=1</b> and javascript:alert(1)")
    body = alice.messages.last.locator(".body")
    expect(body).to_have_text("<b>https://example.org/a?b=1</b> and javascript:alert(1)")
    expect(body.locator("a")).to_have_count(1)
    expect(body.locator("a")).to_have_attribute("href", "https://example.org/a?b=1")


# Finding one's way


def test_the_keyboard_leads_everywhere(alice, bob):
    alice.enter("Lobby")
    alice.page.keyboard.press("Control+k")
    alice.page.keyboard.type("kit")
    alice.page.keyboard.press("Enter")
    title = alice.page.locator(".room-head h1")
    expect(title).to_have_text("Kitchen")
    alice.page.keyboard.press("Alt+ArrowUp")
    expect(title).to_have_text("Lobby")
    bob.enter("Kitchen")
    bob.say("Anybody here?")
    alice.has_unread("Kitchen", 1)
    alice.page.keyboard.press("Alt+ArrowDown")
    divider = alice.page.locator(".rows .new")
    expect(divider).to_be_visible()
    alice.page.keyboard.press("Escape")
    expect(divider).to_be_hidden()
    alice.page.keyboard.press("Control+/")
    expect(alice.page.get_by_role("dialog", name="Keys")).to_be_visible()


def test_whoever_asks_for_the_newest_gets_there_while_the_page_still_scrolls(alice):
    alice.enter("Kitchen")
    alice.say(LONG, "knife")
    alice.page.evaluate(
        """() => {
        document.querySelector(".log").scrollTop = 0;
        document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Escape", bubbles: true }));
        }"""
    )
    expect(alice.page.get_by_text("knife", exact=True)).to_be_in_viewport()


def test_an_address_beyond_the_end_shows_the_newest(alice):
    alice.enter("Kitchen")
    alice.say(LONG, "spoon")
    alice.page.goto(f"{alice.page.url}m/99999/")
    expect(alice.page.get_by_text("spoon", exact=True)).to_be_in_viewport()


def test_the_newest_stays_in_sight_while_the_composer_grows(alice):
    alice.enter("Kitchen")
    alice.say(LONG, "fork")
    height = alice.writing.bounding_box()["height"]
    for _ in range(12):
        alice.writing.press_sequentially("a line")
        alice.writing.press("Shift+Enter")
    assert alice.writing.bounding_box()["height"] > 4 * height
    alice.page.wait_for_timeout(300)  # what is to be seen is that nothing moves
    expect(alice.page.get_by_text("fork", exact=True)).to_be_in_viewport()
    expect(alice.page.locator(".jump")).to_be_hidden()
    below = "log => log.scrollHeight - log.clientHeight - log.scrollTop"
    assert alice.page.locator(".log").evaluate(below) <= 1
    alice.writing.fill("")


# On a phone


def test_a_phone_shows_one_thing_at_a_time(alice_on_a_phone):
    page = alice_on_a_phone.page
    rail, room = page.locator(".rail"), page.locator(".room")
    expect(rail).to_be_visible()
    expect(room).to_be_hidden()
    alice_on_a_phone.link("Kitchen").wait_for()
    assert too_small_to_touch(page) == []
    alice_on_a_phone.enter("Kitchen")
    expect(rail).to_be_hidden()
    alice_on_a_phone.say("a word as long as " + "o" * 200)
    assert too_small_to_touch(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["viewport"]["width"]
    page.get_by_role("button", name="Members").click()
    members = page.get_by_role("dialog", name="Members")
    expect(members.get_by_role("listitem")).to_have_count(2)
    assert too_small_to_touch(page) == []
    members.get_by_role("button", name="Close").click()
    page.get_by_role("link", name="Back to the rooms").click()
    expect(rail).to_be_visible()
    expect(room).to_be_hidden()


def test_the_way_back_leads_to_the_rooms_and_then_away(alice_on_a_phone):
    page = alice_on_a_phone.page
    rail = page.locator(".rail")
    alice_on_a_phone.enter("Kitchen")
    kitchen = page.url
    page.go_back()
    expect(rail).to_be_visible()
    page.goto("about:blank")
    page.goto(kitchen)  # as whoever follows a link
    expect(rail).to_be_hidden()
    page.get_by_role("link", name="Back to the rooms").click()
    expect(rail).to_be_visible()
    page.go_forward()
    expect(rail).to_be_hidden()
    page.go_back()
    expect(rail).to_be_visible()
    page.go_back()
    assert page.url == "about:blank"


def too_small_to_touch(page: Page) -> list[str]:
    """What can be touched and is smaller than a fingertip, but for addresses within a text."""
    return page.evaluate(
        """() => [...document.querySelectorAll("a, button, input, textarea")]
        .filter((element) => !element.closest(".message .body, .message .head"))
        .filter((element) => element.checkVisibility({ visibilityProperty: true }))
        .filter((element) => {
            const { width, height } = element.getBoundingClientRect();
            return width < 44 || height < 44;
        })
        .map((element) => element.outerHTML)"""
    )


def test_a_first_tap_on_a_row_only_chooses_it(alice_on_a_phone):
    page = alice_on_a_phone.page
    alice_on_a_phone.enter("Kitchen")
    address = page.url
    alice_on_a_phone.say("Sugar?", "No?")
    row = page.locator(".message").last
    for place in (".more", ".time"):
        alice_on_a_phone.writing.focus()
        box = row.locator(place).bounding_box()
        page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] - 2)
        expect(page.locator(".message-menu")).to_be_hidden()
        assert page.url == address
    row.locator(".more").tap()
    page.locator(".message-menu").get_by_role("button", name="Edit").tap()
    expect(page.locator(".composer .editing")).to_be_visible()


# Looks


def test_words_stand_out_by_day_and_by_night(a_person, bob):
    with a_person("alice", reduced_motion="reduce") as alice:
        for each in (alice, bob):
            each.enter("Kitchen")
            each.page.keyboard.press("Escape")  # whatever others have said here is read
        alice.say("Black on white?", "Or https://example.org/?")
        expect(alice.messages.last.locator(".faces")).to_be_visible()
        alice.enter("Lobby")
        bob.say("White on black!")
        alice.has_unread("Kitchen", 1)
        alice.enter("Kitchen")
        expect(alice.page.locator(".rows .new")).to_be_visible()
        for scheme in ("light", "dark"):
            alice.page.emulate_media(color_scheme=scheme)
            assert hard_to_read(alice.page) == []


def hard_to_read(page: Page) -> list[str]:
    """Texts whose colour differs from what lies behind by less than 4.5 to 1."""
    return page.evaluate(
        """() => {
        const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        const pixel = (...layers) => {
            canvas.clearRect(0, 0, 1, 1);
            for (const colour of layers) {
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
            }
            return [...canvas.getImageData(0, 0, 1, 1).data];
        };
        const behind = (element) => {
            const layers = [];
            for (let at = element; at; at = at.parentElement) {
                layers.unshift(getComputedStyle(at).backgroundColor);
            }
            return layers;
        };
        const luminance = ([red, green, blue]) => {
            const linear = (value) => {
                const part = value / 255;
                return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
            };
            return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
        };
        const contrast = (element) => {
            const layers = behind(element);
            const under = luminance(pixel(...layers));
            const over = luminance(pixel(...layers, getComputedStyle(element).color));
            return (Math.max(under, over) + 0.05) / (Math.min(under, over) + 0.05);
        };
        const words = (element) => [...element.childNodes]
            .some(({ nodeType, data }) => nodeType === 3 && data.trim() !== "");
        return [...document.body.querySelectorAll("*")]
            .filter((element) => words(element) && element.checkVisibility())
            .map((element) => [contrast(element), element.textContent])
            .filter(([ratio]) => ratio < 4.5)
            .map(([ratio, text]) => `${ratio.toFixed(2)}: ${text}`);
        }"""
    )


def test_a_chosen_theme_stays(alice):
    background = "getComputedStyle(document.documentElement).backgroundColor"
    by_day = alice.page.evaluate(background)
    alice.page.get_by_role("button", name="Settings").click()
    alice.page.get_by_role("radio", name="Dark").check()
    by_night = alice.page.evaluate(background)
    assert by_night != by_day
    saved = alice.page.locator(".settings-dialog .outcome")
    expect(saved).to_have_text("Saved.")
    alice.page.reload()
    assert alice.page.evaluate(background) == by_night
    alice.page.get_by_role("button", name="Settings").click()
    expect(alice.page.get_by_role("radio", name="Dark")).to_be_checked()
    alice.page.get_by_role("radio", name="As the system").check()
    assert alice.page.evaluate(background) == by_day
    expect(saved).to_have_text("Saved.")


# As production serves it


@pytest.fixture
def site(demo_database: Database, tmp_path: Path) -> Iterator[Server]:
    """Where demo users may not come in, and static files are named by their content."""
    with databases.database(tmp_path, demo_database) as database:
        production = {"DJANGO_SETTINGS_MODULE": "tests.production", "DEBUG": "0"}
        production |= {"SECRET_KEY": secrets.token_hex(), "STATIC_ROOT": str(tmp_path / "files")}
        production |= {"ALLOWED_HOSTS": "127.0.0.1", "SECURE_COOKIES": "0"}
        env = environment(tmp_path, DATABASE_URL=database.url, **production)
        manage(env, "collectstatic", "--no-input", "--ignore", "admin")
        with Server(tmp_path / "server.log", env) as site:
            yield site


def test_a_newcomer_finds_a_site_that_keeps_its_own_policy(chromium, site):
    weights: list[int] = []

    def weigh(response: Response) -> None:
        if response.request.resource_type in ("script", "stylesheet"):
            weights.append(response.request.sizes()["responseBodySize"])

    with somebody(chromium, site.port) as dora:
        page = dora.page
        page.goto("/nowhere/")
        expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        assert [complaint for complaint in dora.complaints if "404" not in complaint] == []
        dora.complaints.clear()
        page.get_by_role("link", name="Go to the chat").click()
        page.get_by_role("link", name="Create an account").click()
        page.on("requestfinished", lambda request: weigh(request.response()))
        page.get_by_label("Username").fill("dora")
        password = secrets.token_hex()
        page.get_by_label("Password", exact=True).fill(password)
        page.get_by_label("Password confirmation").fill(password)
        page.get_by_role("button", name="Create account").click()
        dora.say("Hello, everybody!")
        dora.sees("Hello, everybody!")
        assert dora.complaints == []
        assert all_named_and_fetched_once(page)
    assert len(weights) > 10
    assert sum(weights) <= WIRE_BUDGET


def all_named_and_fetched_once(page: Page) -> bool:
    """No module waits for another one to tell that it is needed; and each has one name only."""
    return page.evaluate(
        """() => {
        const named = [...document.querySelectorAll('link[rel="modulepreload"], script[src]')];
        const addresses = named.map(({ href, src }) => href ?? src).sort();
        const fetched = performance.getEntriesByType("resource").map(({ name }) => name);
        const modules = fetched.filter((name) => name.endsWith(".js")).sort();
        return JSON.stringify(addresses) === JSON.stringify(modules);
        }"""
    )
