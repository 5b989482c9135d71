"""The pages for everybody: in Chinese, by night, on a phone, by keyboard, without JavaScript."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, expect

from tests.person import PHONE, Person, somebody
from tests.servers import Server

CHINESE = {"locale": "zh-CN"}
BY_NIGHT = {"color_scheme": "dark", "reduced_motion": "reduce"}
BY_DAY = BY_NIGHT | {"color_scheme": "light"}
# What is called the same in every language, or is what people said and are called.
NAMES = r"Roost|English|JavaScript|Alt|Ctrl|Enter|Esc|Shift|UTC|ID|Lobby|Kitchen|alice|bob"
THEIRS = (
    "[dir=auto], [lang]:not(html), kbd, code, pre, script, .message, .avatar, .kind, .state, dd"
)


@pytest.fixture
def stranger(chromium: Browser, server: Server):
    with somebody(chromium, server.port) as stranger:
        yield stranger
        assert stranger.complaints == []


# By rule


@pytest.mark.timeout(300)
def test_no_rule_is_broken_anywhere_in_english(a_person, chromium, server):
    with a_person("alice", **BY_DAY) as alice, somebody(chromium, server.port, **BY_DAY) as other:
        assert "\n".join(faults(alice, other)) == ""


@pytest.mark.timeout(300)
def test_no_rule_is_broken_anywhere_in_chinese_on_a_phone(a_person, chromium, server):
    device = PHONE | CHINESE | BY_NIGHT
    with a_person("alice", **device) as alice, somebody(chromium, server.port, **device) as other:
        assert "\n".join(faults(alice, other, in_chinese=True)) == ""


def faults(member: Person, stranger: Person, *, in_chinese: bool = False) -> list[str]:
    """What is wrong on any page, in any of its states, by day or by night."""
    found: list[str] = []
    for who in (stranger, member):
        for state in pages(who.page) if who is stranger else chat_and_pages(who):
            wrong = broken_rules(who.page) + too_wide(who.page)
            wrong += in_english(who.page) if in_chinese else []
            found += [f"{state}: {fault}" for fault in wrong]
        who.complaints[:] = [words for words in who.complaints if "status of 4" not in words]
    assert stranger.complaints == []
    return found


def pages(page: Page) -> Iterator[str]:
    """What somebody comes by who is not logged in."""
    for path in ("/login/", "/signup/", "/%00", "/?%00", "/console/"):
        page.goto(path)
        yield path
    for path in ("/login/", "/signup/"):
        page.goto(path)
        page.locator("[name=username]").fill("alice")
        page.locator("main [type=password]").first.fill("wrong")
        page.locator("main [type=password]").last.fill("wrong")
        page.locator("main button.primary").click()
        expect(page.locator("main [aria-invalid=true]").first).to_be_visible()
        yield f"{path}, in vain"


def chat_and_pages(who: Person) -> Iterator[str]:
    """What a member sees: the chat with all that opens in it, and the pages beside it."""
    page = who.page
    expect(page.locator(".rooms a").first).to_be_visible()
    yield "rooms"
    yield from dialogs(page, ".rail")
    page.locator(".rail-foot .settings").click()
    yield from dialog(page, page.locator(".settings-dialog .explain"))
    who.enter("Kitchen")
    expect(who.messages.last).to_be_visible()
    yield "room"
    yield from dialogs(page, ".room-head")
    people = page.locator(".room-head .people")
    if people.get_attribute("aria-expanded") == "false":
        people.click()
    expect(page.locator(".member").first).to_be_visible()
    yield "members"
    page.locator(".member").last.click()
    expect(page.locator(".person-dialog")).to_be_visible()
    yield "person"
    page.locator(".person-dialog [data-act=report]").click()
    expect(page.locator(".report-dialog")).to_be_visible()
    yield "report"
    page.keyboard.press("Escape")
    page.locator(".details .close").click()
    who.messages.last.focus()
    yield from dialogs(page, ".message:focus-within")
    page.goto("/console/")
    page.locator("form[name=connection] .primary").click()
    expect(page.locator(".state")).to_have_text("1 OPEN")
    yield "console"
    page.goto("/plain/")
    yield "plain rooms"
    page.get_by_role("link", name="Kitchen").click()
    expect(page.locator("textarea")).to_be_visible()
    yield "plain room"


def dialogs(page: Page, within: str) -> Iterator[str]:
    """All that buttons there open, one after the other."""
    buttons = page.locator(f"{within} button[aria-haspopup]:visible")
    for number in range(buttons.count()):
        yield from dialog(page, buttons.nth(number))


def dialog(page: Page, button: Locator) -> Iterator[str]:
    """What this button opens; in the end nothing is open."""
    shown = page.locator("dialog[open], [popover]:popover-open")
    name = button.get_attribute("class")
    button.click()
    expect(shown).not_to_have_count(0)
    yield f"dialog of {name}"
    while shown.count():
        page.keyboard.press("Escape")


def broken_rules(page: Page) -> list[str]:
    """As axe finds them; of the other theme only what depends on colours."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    was_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    found = axe(page, "{}")
    page.emulate_media(color_scheme="light" if was_dark else "dark")
    found += axe(page, "{ runOnly: ['color-contrast'] }")
    page.emulate_media(color_scheme="dark" if was_dark else "light")
    return found


def axe(page: Page, options: str) -> list[str]:
    return page.evaluate(
        f"""async () => (await axe.run({options})).violations.flatMap(({{ id, nodes }}) =>
        nodes.map(({{ html, any }}) => [id, html.slice(0, 120), any[0]?.message].join(" · ")))"""
    )


def too_wide(page: Page) -> list[str]:
    """What one would have to scroll sideways for, and labels that do not fit where they are."""
    return page.evaluate(
        """() => [...document.querySelectorAll("html, button, label, dialog, h2")]
        .filter((element) => element.checkVisibility() && !element.matches(".visually-hidden"))
        .filter(({ scrollWidth, clientWidth }) => clientWidth > 1 && scrollWidth > clientWidth + 1)
        .map((element) => `too wide · ${element.outerHTML.slice(0, 120)}`)"""
    )


def in_english(page: Page) -> list[str]:
    """Words that somebody forgot to translate, as they are seen or heard."""
    said: list[str] = page.evaluate(
        """(theirs) => [...document.body.querySelectorAll("*")]
        .filter((element) => element.checkVisibility() && !element.closest(theirs))
        .flatMap((element) => [
            ...[...element.childNodes].map((node) => node.nodeType === 3 && node.data),
            ...["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name)),
        ])
        .filter(Boolean)""",
        THEIRS,
    )
    return [words for words in said if re.search(r"[A-Za-z]{2,}", re.sub(NAMES, "", words))]


# In Chinese


def test_alice_works_in_chinese(a_person):
    with a_person("alice", **PHONE, **CHINESE, **BY_NIGHT) as alice:
        page = alice.page
        alice.enter("Kitchen")
        expect(page.locator(".day").last).to_have_text("今天")
        expect(page.locator(".room-head .about")).to_contain_text("2 位成员")
        alice.say("饺子好了！")
        alice.sees("饺子好了！")
        alice.writing.fill("字" * 4001)
        expect(page.locator(".counter")).to_have_text("超出 1 字")
        assert in_english(page) + too_wide(page) == []
        alice.writing.fill("")
        page.context.set_offline(True)
        expect(page.locator(".connection .words")).to_contain_text("网络")
        assert in_english(page) + too_wide(page) == []
        page.context.set_offline(False)
        expect(page.locator(".connection")).to_be_hidden()
        alice.complaints.clear()  # of what could not be reached


def test_whoever_reads_chinese_chooses_it_before_logging_in(stranger):
    page = stranger.page
    page.goto("/r/abc/")
    page.get_by_role("button", name="简体中文").click()
    expect(page.get_by_role("heading", name="登录")).to_be_visible()
    assert page.url.endswith("/login/?next=/r/abc/")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


# Log-in


def test_a_wrong_password_is_looked_at_and_typed_again(stranger):
    page = stranger.page
    page.goto("/r/nowhere/")
    page.get_by_label("Username").fill("alice")
    secret = page.get_by_label("Password")
    secret.fill("dem")
    page.get_by_role("button", name="Show").click()
    expect(secret).to_have_attribute("type", "text")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(secret).to_be_focused()
    expect(secret).to_have_attribute("type", "password")
    page.keyboard.type("demo\n")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    assert page.url.endswith("/r/nowhere/")
    assert [words for words in stranger.complaints if "404" not in words] == []
    stranger.complaints.clear()


# Without JavaScript


def test_without_javascript_one_reads_and_writes_by_form(a_person, alice):
    with a_person("bob", java_script_enabled=False) as bob:
        bob.page.wait_for_url("**/plain/")
        bob.page.get_by_role("link", name="Kitchen").click()
        expect(bob.page.get_by_text("Found it, thanks!")).to_be_visible()
        bob.page.get_by_label("Message", exact=True).fill("By form.")
        bob.page.get_by_role("button", name="Send").click()
        expect(bob.page.locator(".message .body").last).to_have_text("By form.")
        alice.enter("Kitchen")
        alice.sees("By form.")


# The console


def entries(page: Page, kind: str) -> Locator:
    return page.locator(f'.entries [data-kind="{kind}"] pre')


def test_the_console_speaks_both_dialects(alice):
    page = alice.page
    page.goto("/console/")
    page.get_by_role("button", name="Connect").click()
    expect(page.locator(".state")).to_have_text("1 OPEN")
    expect(entries(page, "open")).to_have_text('protocol "chat.v1.json"')
    expect(entries(page, "message").filter(has_text='"synced"')).not_to_have_count(0)
    page.get_by_label("Username or room").fill("bob")
    page.get_by_label("Text").fill("By hand")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(entries(page, "message").filter(has_text='"posted"')).not_to_have_count(0)
    page.get_by_label("Example").select_option("ping")
    page.get_by_role("button", name="Send it as it is").click()
    page.get_by_label("Pretty").check()
    expect(entries(page, "message").last).to_have_text(re.compile('{\n  "type": "pong"'))
    page.get_by_label("Reason").fill("enough")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".state")).to_have_text("3 CLOSED")
    expect(entries(page, "close")).to_have_text(re.compile("code 1000 .* wasClean true"))
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("radio", name="chat", exact=True).check()
    page.get_by_role("button", name="Connect").click()
    expect(entries(page, "open")).to_have_text('protocol "chat"')
    page.get_by_label("Username or room").fill("nobody")
    page.get_by_label("Text").fill("Hello?")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(entries(page, "send")).to_have_text("nobody|Hello?")
    refused = entries(page, "message").filter(has_text="!unknown_user|")
    expect(refused).to_have_count(1)


def test_the_console_shows_a_stranger_why_nobody_lets_them_in(stranger):
    stranger.page.goto("/console/")
    stranger.page.get_by_role("button", name="Connect").click()
    expect(entries(stranger.page, "close")).to_have_text(re.compile("code 4501 .*not logged in"))
