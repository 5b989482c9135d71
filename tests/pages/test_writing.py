"""What happens to words: written, kept, sent, changed, taken back; with keys, fingers and tabs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import CDPSession, Locator, expect

from tests.person import Person, choose
from tests.servers import Server

# Everything that asks for the room on show, before the next frame has shown another one.
ACTS = """
    const press = (at, key) => document.querySelector(at).dispatchEvent(
        new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    press(".composer textarea", "ArrowUp");
    for (const key of ["Home", "End", "Escape"]) press(".log", key);
    document.querySelector(".message:last-child .actions .more")?.click();
    document.querySelector(".jump").click();
"""


@contextmanager
def outage(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


# The outbox


def test_words_survive_that_their_page_is_closed_while_the_server_is_away(alice, bob, server):
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Before the cut")
    with outage(server):
        alice.write("first", "second", "third")
        alice.close_the_page()
    alice.open_the_page_again()
    for each in (alice, bob):
        each.sees("Before the cut", "first", "second", "third")
        each.forgive_the_outage()


def test_two_tabs_lose_and_double_nothing_though_one_is_closed(alice, bob, server):
    for each in (alice, bob):
        each.enter("Kitchen")
    with alice.another_tab() as tab:
        tab.page.goto(alice.page.url)
        tab.say("Both are here")
        alice.sees("Both are here")
        with outage(server):
            tab.write("tab one")
            alice.write("tab two")
            tab.write("tab three")
            tab.page.close()
    for each in (alice, bob):
        each.sees("Both are here", "tab one", "tab two", "tab three")
        each.forgive_the_outage()


def test_what_the_server_refuses_stays_and_can_be_copied_tried_again_or_given_up(a_person, server):
    with a_person("alice", permissions=["clipboard-read", "clipboard-write"]) as alice:
        alice.enter("Kitchen")
        mute(server, "alice", "datetime(2099, 1, 1, tzinfo=UTC)")
        alice.write("let me speak")
        failed = alice.message("let me speak")
        expect(failed.locator(".why")).to_have_text("You are muted in this room.")
        failed.get_by_role("button", name="Copy").click()
        expect(alice.page.locator(".notice")).to_have_text("Copied.")
        assert alice.page.evaluate("navigator.clipboard.readText()") == "let me speak"
        alice.page.reload()
        mute(server, "alice", "None")
        failed.get_by_role("button", name="Retry").click()
        expect(failed.locator(".failure")).to_be_hidden()
        alice.sees("let me speak")


def test_words_for_a_room_that_is_gone_can_still_be_copied(bob, server):
    bob.enter("Kitchen")
    bob.writing.fill("where do I put this")
    hold = "draw = requestAnimationFrame; requestAnimationFrame = (next) => (late = next)"
    bob.page.evaluate(hold)
    seat(server, "dismiss")
    heard = """
        while (document.querySelector(".notice").hidden)
            await new Promise((done) => setTimeout(done, 20));
    """
    bob.page.evaluate("async () => {" + heard + ACTS + "}")
    bob.page.evaluate("requestAnimationFrame = draw; draw(late)")
    left = bob.page.locator(".leftovers li")
    expect(left.locator(".words")).to_have_text("where do I put this")
    left.get_by_role("button", name="Delete").click()
    expect(left).to_be_hidden()
    seat(server, "place")
    bob.link("Kitchen").wait_for()


def test_words_that_are_sent_on_the_way_to_another_room_stay_in_their_own(alice):
    alice.enter("Kitchen")
    alice.writing.fill("meant for the kitchen")
    send = "document.querySelector('.composer').requestSubmit();"
    alice.link("Lobby").evaluate("(link) => { link.click();" + send + ACTS + "}")
    expect(alice.page.locator(".room-head h1")).to_have_text("Lobby")
    alice.enter("Kitchen")
    alice.sees("meant for the kitchen")


def seat(server: Server, verb: str) -> None:
    """Bob in the kitchen, or not."""
    server.manage(
        "shell",
        "-c",
        "from django.contrib.auth import get_user_model; from chat import rooms;"
        "from chat.models import Room; bob = get_user_model().objects.get(username='bob');"
        f"rooms.{verb}(bob, Room.objects.get(name='Kitchen').pk)",
    )


def mute(server: Server, name: str, until: str) -> None:
    server.manage(
        "shell",
        "-c",
        "from datetime import UTC, datetime; from chat.models import Membership;"
        f"Membership.objects.filter(user__username={name!r}).update(muted_until={until})",
    )


def test_slow_mode_counts_down_and_says_when_one_may_write_next(a_person, alice, server):
    alice.enter("Kitchen")
    slow_down(server, 90)
    with a_person("bob") as bob:
        bob.enter("Kitchen")
        bob.say("One.")
        expect(bob.page.locator(".composer .pace")).to_have_text(
            re.compile(r"^You can write again in \d+ s$")
        )
        bob.write("Two.")
        expect(bob.message("Two.").locator(".waits")).to_have_text(re.compile(r"^Sends in \d+ s$"))
        expect(bob.writing).to_be_editable()
        expect(bob.page.locator(".notice")).to_be_hidden()
        slow_down(server, 0)
        bob.page.reload()
        alice.sees("One.", "Two.")
        expect(bob.message("Two.").locator(".waits")).to_be_hidden()


def slow_down(server: Server, seconds: int) -> None:
    command = f"Room.objects.filter(name='Kitchen').update(slow_mode={seconds})"
    server.manage("shell", "-c", f"from chat.models import Room; {command}")


# Enter, and compositions


@pytest.fixture
def keyboard(alice) -> CDPSession:
    return alice.page.context.new_cdp_session(alice.page)


def compose(keyboard: CDPSession, text: str) -> None:
    """Begin to write Chinese: pinyin that is not yet a word."""
    end = len(text)
    keyboard.send(
        "Input.imeSetComposition", {"text": text, "selectionStart": end, "selectionEnd": end}
    )


def choose_word(keyboard: CDPSession, word: str) -> None:
    keyboard.send("Input.insertText", {"text": word})


def enter_key(keyboard: CDPSession, code: int = 13, modifiers: int = 0) -> None:
    key = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": code, "modifiers": modifiers}
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyDown", "text": "\r", **key})
    keyboard.send("Input.dispatchKeyEvent", {"type": "keyUp", **key})


CTRL = 2


def test_enter_chooses_a_word_while_one_composes_and_sends_only_afterwards(alice, bob, keyboard):
    for each in (alice, bob):
        each.enter("Kitchen")
    bob.say("What is for lunch?")
    alice.writing.focus()
    for modifiers in (0, CTRL):
        compose(keyboard, "jiao'zi")
        enter_key(keyboard, modifiers=modifiers)  # Chrome, Firefox: while composing
        enter_key(keyboard, 229, modifiers)  # as most input methods say it
        expect(alice.writing).not_to_have_value("")
        alice.writing.fill("")
    compose(keyboard, "jiao'zi")
    choose_word(keyboard, "饺子")
    enter_key(keyboard, 229)  # Safari: the composition has ended before its key comes
    expect(alice.writing).to_have_value(re.compile("^饺子"))
    alice.writing.fill("饺子")
    alice.writing.press("Enter")
    for each in (alice, bob):
        each.sees("What is for lunch?", "饺子")


def test_enter_that_ends_a_composition_sends_no_form(alice, keyboard):
    alice.enter("Lobby")
    alice.page.keyboard.press("Control+k")
    field = alice.page.locator(".switch-dialog input")
    expect(field).to_be_focused()
    for code in (13, 229):
        compose(keyboard, "kit")
        enter_key(keyboard, code)
        expect(alice.page.locator(".switch-dialog")).to_be_visible()
        choose_word(keyboard, "kit")
        enter_key(keyboard, 229)
        expect(alice.page.locator(".switch-dialog")).to_be_visible()
        field.fill("")
    expect(alice.page.locator(".room-head h1")).to_have_text("Lobby")
    field.fill("kit")
    enter_key(keyboard)
    expect(alice.page.locator(".room-head h1")).to_have_text("Kitchen")


def test_whoever_chose_so_sends_with_ctrl_and_begins_a_line_with_enter(bob, server):
    bob.enter("Kitchen")
    prefer(server, "bob", enter_sends=False)
    bob.page.reload()
    bob.writing.fill("two")
    expect(bob.writing).to_have_attribute("placeholder", re.compile("Enter sends"))
    expect(bob.writing).to_have_attribute("enterkeyhint", "enter")
    bob.writing.press("Enter")
    bob.writing.press_sequentially("lines")
    expect(bob.writing).to_have_value("two\nlines")
    keyboard = bob.page.context.new_cdp_session(bob.page)
    compose(keyboard, "he")
    enter_key(keyboard, modifiers=CTRL)
    enter_key(keyboard, 229, CTRL)
    choose_word(keyboard, "和")
    enter_key(keyboard, 229, CTRL)
    expect(bob.writing).not_to_have_value("")
    bob.writing.fill("two\nlines")
    bob.writing.press("Control+Enter")
    bob.sees("two\nlines")
    prefer(server, "bob", enter_sends=True)


def prefer(server: Server, name: str, **choices: bool) -> None:
    server.manage(
        "shell",
        "-c",
        "from django.contrib.auth import get_user_model; from chat import preferences;"
        f"bob = get_user_model().objects.get(username={name!r});"
        f"preferences.store(bob.pk, {choices})",
    )


def test_on_glass_enter_begins_a_line_and_the_button_sends(alice_on_a_phone):
    alice_on_a_phone.enter("Kitchen")
    writing = alice_on_a_phone.writing
    expect(writing).to_have_attribute("enterkeyhint", "enter")
    writing.fill("glass")
    writing.press("Enter")
    writing.press_sequentially("lines")
    expect(writing).to_have_value("glass\nlines")
    alice_on_a_phone.page.get_by_role("button", name="Send").tap()
    alice_on_a_phone.sees("glass\nlines")


# What one may do with a message


def menu(person: Person) -> Locator:
    return person.page.get_by_role("dialog", name="Message")


def test_the_buttons_of_a_row_cover_nothing_of_what_became_of_any(alice, bob):
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("First line", "Second line", "Third line")
    row = alice.message("Third line")
    expect(row.locator(".faces")).to_be_visible()
    for width in (1440, 1024, 800):
        alice.page.set_viewport_size({"width": width, "height": 800})
        row.hover()
        expect(row.locator(".more")).to_be_visible()
        assert overlaps(alice) == []


def overlaps(person: Person) -> list[str]:
    return person.page.evaluate(
        """() => {
        const boxes = (selector) => [...document.querySelectorAll(selector)]
            .filter((element) => element.checkVisibility({ visibilityProperty: true }))
            .map((element) => [element, element.getBoundingClientRect()]);
        const meet = (a, b) => a.left < b.right && b.left < a.right
            && a.top < b.bottom - 1 && b.top + 1 < a.bottom;
        return boxes(".message .actions").flatMap(([, bar]) =>
            boxes(".message .mark, .message .readers")
                .filter(([, mark]) => meet(bar, mark)).map(([mark]) => mark.outerHTML));
        }"""
    )


def test_the_menu_of_a_message_copies_its_words_and_its_address(a_person):
    with a_person("alice", permissions=["clipboard-read", "clipboard-write"]) as alice:
        alice.enter("Kitchen")
        alice.say("Copy me")
        clipboard = "navigator.clipboard.readText()"
        choose(alice.message("Copy me").last, "Copy text")
        expect(alice.page.locator(".notice")).to_have_text("Copied.")
        assert alice.page.evaluate(clipboard) == "Copy me"
        choose(alice.message("Copy me").last, "Copy link")
        expect(alice.page.locator(".notice")).to_have_text("The link was copied.")
        alice.page.goto(alice.page.evaluate(clipboard))
        expect(alice.page.locator(".is-linked .body")).to_have_text("Copy me")


def test_the_menu_of_a_message_needs_no_mouse(alice):
    page = alice.page
    alice.enter("Kitchen")
    alice.say("Keys only")
    page.locator(".log").focus()
    page.keyboard.press("ArrowUp")
    expect(alice.messages.last).to_be_focused()
    page.keyboard.press("Shift+F10")
    expect(menu(alice).get_by_role("button").first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(menu(alice).get_by_role("button", name="Delete")).to_be_focused()
    page.keyboard.press("Escape")
    expect(menu(alice)).to_be_hidden()
    expect(alice.messages.last).to_be_focused()
    page.keyboard.press("ContextMenu")
    page.keyboard.press("Enter")
    expect(alice.writing).to_have_value("Keys only")
    page.keyboard.press("Escape")
    expect(alice.writing).to_have_value("")


def test_a_finger_that_rests_on_a_message_opens_its_menu(alice_on_a_phone):
    alice, page = alice_on_a_phone, alice_on_a_phone.page
    alice.enter("Kitchen")
    alice.say("Press me")
    box = alice.message("Press me").last.locator(".body").bounding_box()
    touch = page.context.new_cdp_session(page)
    point = {"x": box["x"] + 20, "y": box["y"] + 10}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    expect(menu(alice)).to_be_visible()
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(300)  # what is to be seen is that lifting the finger does nothing
    menu(alice).get_by_role("button", name="Edit").tap()
    expect(alice.writing).to_have_value("Press me")
    page.get_by_role("button", name="Cancel").tap()


def test_the_words_of_others_can_be_neither_edited_nor_deleted(alice, bob):
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Not yours")
    row = bob.message("Not yours")
    row.hover()
    expect(row.locator(".edit")).to_be_hidden()
    row.get_by_role("button", name="More").click()
    for name in ("Edit", "Delete"):
        expect(menu(bob).get_by_role("button", name=name)).to_be_hidden()
    menu(bob).press("Escape")


# However long a busy machine takes, six seconds are not over.
PATIENT_UNDO = """
const { setTimeout } = window;
window.setTimeout = (callback, ms) => setTimeout(callback, ms > 5_500 && ms <= 6_000 ? 1e9 : ms);
"""


def test_what_is_deleted_can_be_taken_back_until_one_leaves_the_room(alice, bob):
    alice.page.add_init_script(f"{{{PATIENT_UNDO}}}")
    alice.page.reload()
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("I stay", "I go", "I come back")
    bob.sees("I stay", "I go", "I come back")
    choose(alice.message("I come back"), "Delete")
    expect(alice.page.get_by_text("I come back")).to_be_hidden()
    undo = alice.page.get_by_role("button", name="Undo")
    expect(undo).to_be_focused()
    alice.page.keyboard.press("Enter")
    alice.sees("I stay", "I go", "I come back")
    choose(alice.message("I go"), "Delete")
    expect(undo).to_be_visible()
    bob.sees("I stay", "I go", "I come back")
    alice.enter("Lobby")
    bob.sees("I stay", "This message was deleted.", "I come back")
    alice.enter("Kitchen")
    alice.sees("I stay", "This message was deleted.", "I come back")


def test_what_was_deleted_on_a_page_that_is_left_is_deleted(alice, bob):
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("A slip of the tongue")
    bob.sees("A slip of the tongue")
    choose(alice.message("A slip of the tongue"), "Delete")
    alice.close_the_page()
    expect(bob.page.get_by_text("A slip of the tongue")).to_be_hidden()
    alice.open_the_page_again()
    expect(alice.messages.last).to_contain_text("This message was deleted.")


def test_whoever_deletes_without_a_connection_is_obeyed_later(alice, bob, server):
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Gone with the wind")
    with outage(server):
        choose(alice.message("Gone with the wind"), "Delete")
        alice.close_the_page()
    alice.open_the_page_again()
    expect(bob.messages.last).to_contain_text("This message was deleted.")
    for each in (alice, bob):
        each.forgive_the_outage()


# Tabs in step


def test_what_is_marked_as_unread_stays_so_in_all_tabs_until_it_is_read_on_purpose(alice, bob):
    for each in (alice, bob):
        each.enter("Kitchen")
    bob.say("Read me later", "and me")
    alice.sees("Read me later", "and me")
    alice.has_unread("Kitchen", 0)
    with alice.another_tab() as tab:
        tab.page.goto("/")
        tab.enter("Lobby")
        choose(alice.message("Read me later"), "Mark as unread from here")
        divider = alice.page.locator(".rows .new")
        for each in (alice, tab):
            each.has_unread("Kitchen", 2)
        expect(divider).to_be_visible()
        alice.page.wait_for_timeout(300)  # what is to be seen is that nothing is read by that
        alice.has_unread("Kitchen", 2)
        alice.page.keyboard.press("Escape")
        for each in (alice, tab):
            each.has_unread("Kitchen", 0)
        expect(divider).to_be_hidden()
        choose(alice.message("and me"), "Mark as unread from here")
        tab.has_unread("Kitchen", 1)
        tab.enter("Kitchen")
        for each in (alice, tab):
            each.has_unread("Kitchen", 0)
        expect(tab.page).to_have_title(alice.page.title())


def test_a_draft_is_the_same_in_all_tabs_and_gone_once_it_is_sent(alice):
    alice.enter("Kitchen")
    with alice.another_tab() as tab:
        tab.page.goto(alice.page.url)
        tab.enter("Kitchen")
        alice.writing.fill("Half a thought")
        expect(tab.writing).to_have_value("Half a thought")
        alice.page.reload()
        expect(alice.writing).to_have_value("Half a thought")
        tab.say("Half a thought")
        expect(alice.writing).to_have_value("")
        tab.page.clock.set_fixed_time("2026-11-20T10:00:00")  # so that writing takes no time
        tab.writing.fill("Mine")
        alice.writing.fill("Ours")
        expect(tab.writing).to_have_value("Mine")
        tab.writing.fill("")
        alice.writing.fill("")


# Too much


def test_a_text_that_is_too_long_is_kept_and_says_so(alice):
    alice.enter("Kitchen")
    alice.writing.focus()
    alice.page.evaluate(
        """() => {
        const clipboardData = new DataTransfer();
        clipboardData.setData("text/plain", "x");
        const field = document.querySelector(".composer textarea");
        field.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true }));
        document.execCommand("insertText", false, "x".repeat(4100));
        }"""
    )
    expect(alice.page.locator(".notice")).to_have_text("100 too many")
    expect(alice.page.locator(".counter.over")).to_have_text("100 too many")
    alice.writing.press("Control+Enter")
    expect(alice.page.locator(".notice")).to_have_text("It is too long by 100 characters.")
    expect(alice.writing).to_have_value("x" * 4100)
    expect(alice.writing).to_have_attribute("aria-invalid", "true")
    alice.writing.fill("")
