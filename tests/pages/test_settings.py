"""How people want their chat, and what they are told while they look elsewhere."""

import pytest
from playwright.sync_api import Locator, expect

from tests.person import Person

# What a browser shows in its own way, and outside of its pages, is noted instead.
NOTED = """
window.told = [];
window.Notification = class extends EventTarget {
  static permission = "granted";
  static requestPermission = async () => "granted";
  constructor(title, { body, tag }) {
    super();
    Object.assign(this, { title, body, tag });
    window.told.push(this);
  }
  close() {
    this.closed = true;
    this.dispatchEvent(new Event("close"));
  }
};
window.elsewhere = false;
Object.defineProperty(document, "hidden", { get: () => window.elsewhere });
Object.defineProperty(document, "visibilityState", {
  get: () => window.elsewhere ? "hidden" : "visible",
});
"""


def settings(person: Person) -> Locator:
    person.page.get_by_role("button", name="Settings", exact=True).click()
    return person.page.locator(".settings-dialog")


def theme(person: Person) -> str | None:
    return person.page.locator("html").get_attribute("data-theme")


def test_what_one_prefers_is_in_force_in_every_tab_and_before_any_script(alice):
    with alice.another_tab() as tab:
        settings(alice).get_by_role("radio", name="Dark").check()
        expect(alice.page.locator(".outcome")).to_have_text("Saved.")
        expect(tab.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert 'data-theme="dark"' in alice.page.request.get("/").text()
    outcome = "document.querySelector('.outcome').textContent"
    system = alice.page.get_by_role("radio", name="As the system")
    assert system.evaluate(f"(radio) => {{ radio.click(); return {outcome}; }}") == ""  # not yet
    expect(alice.page.locator(".outcome")).to_have_text("Saved.")
    assert theme(alice) is None
    assert "data-theme=" not in alice.page.request.get("/").text()


def test_what_is_chosen_without_a_network_is_saved_when_it_is_back(alice):
    dialog = settings(alice)
    alice.page.context.set_offline(True)
    expect(alice.page.locator(".settings-dialog")).to_be_visible()
    alice.page.wait_for_function("!navigator.onLine")
    dialog.get_by_role("radio", name="Light").check()
    assert theme(alice) == "light"
    alice.page.context.set_offline(False)
    with alice.another_tab() as tab:
        expect(tab.page.locator("html")).to_have_attribute("data-theme", "light")
    dialog.get_by_role("radio", name="As the system").check()
    expect(dialog.locator(".outcome")).to_have_text("Saved.")


def test_another_language_costs_neither_the_place_nor_the_draft(alice):
    alice.enter("Kitchen")
    alice.writing.fill("half a thou")
    place = alice.page.url
    # Clicked, not checked: the page that would tell whether it is may be another one by then.
    settings(alice).get_by_role("radio", name="简体中文").click()
    expect(alice.page.locator("html")).to_have_attribute("lang", "zh-hans")
    expect(alice.writing).to_have_value("half a thou")
    assert alice.page.url == place
    alice.page.locator(".rail-foot .settings").click()
    alice.page.locator(".settings-dialog").get_by_role("radio", name="English").click()
    expect(alice.page.locator("html")).to_have_attribute("lang", "en")
    alice.writing.fill("")


def test_enter_begins_a_new_line_for_whoever_wants_that(alice):
    alice.enter("Kitchen")
    dialog = settings(alice)
    dialog.get_by_role("checkbox", name="Enter sends").uncheck()
    dialog.get_by_role("button", name="Close").click()
    alice.writing.press_sequentially("one")
    alice.writing.press("Enter")
    alice.writing.press_sequentially("two")
    expect(alice.writing).to_have_value("one\ntwo")
    alice.writing.press("Control+Enter")
    alice.sees("one\ntwo")
    settings(alice).get_by_role("checkbox", name="Enter sends").check()
    expect(dialog.locator(".outcome")).to_have_text("Saved.")


# Notifications


@pytest.fixture
def curious(alice):
    """Alice, who wants to be told of what is new."""
    alice.page.context.add_init_script(NOTED)
    alice.page.reload()
    for room in ("Kitchen", "bob", "Lobby"):
        alice.enter(room)
        alice.page.keyboard.press("Escape")
        alice.has_unread(room, 0)
    dialog = settings(alice)
    dialog.get_by_role("checkbox", name="Notify me while I look elsewhere").check()
    expect(dialog).to_contain_text("On. Rooms that you have muted stay quiet.")
    dialog.get_by_role("button", name="Close").click()
    assert told(alice) == [["Notifications are on", "This is how you will be told."]]
    alice.page.evaluate("told.length = 0")
    return alice


def told(person: Person) -> list[list[str]]:
    return person.page.evaluate("told.map(({ title, body }) => [title, body])")


def look(person: Person, *, elsewhere: bool) -> None:
    person.page.evaluate(
        """(elsewhere) => {
        window.elsewhere = elsewhere;
        document.dispatchEvent(new Event("visibilitychange"));
        }""",
        elsewhere,
    )


def hears(person: Person, *notifications: list[str]) -> None:
    person.page.wait_for_function("(count) => told.length >= count", arg=len(notifications))
    assert told(person) == list(notifications)


def test_whoever_looks_elsewhere_is_told_once_and_is_led_there(curious, bob):
    with curious.another_tab() as tab:
        look(curious, elsewhere=True)
        look(tab, elsewhere=True)
        bob.enter("Kitchen")
        bob.say("Tea?")
        hears(curious, ["Kitchen", "bob: Tea?"])
        bob.enter("alice")
        bob.say("Or coffee?")
        hears(curious, ["Kitchen", "bob: Tea?"], ["bob", "Or coffee?"])
        assert told(tab) == []
    curious.page.evaluate("told[0].dispatchEvent(new Event('click'))")
    look(curious, elsewhere=False)
    expect(curious.page.locator(".room-head h1")).to_have_text("Kitchen")
    bob.say("Still there?")
    curious.has_unread("bob", 2)
    assert len(told(curious)) == 2
    curious.enter("bob")
    curious.page.wait_for_function("told.every(({ closed }) => closed)")


def test_whoever_wants_to_keep_words_to_themselves_is_told_only_how_many(curious, bob):
    settings(curious).get_by_role("checkbox", name="Show what they say").uncheck()
    curious.page.keyboard.press("Escape")
    look(curious, elsewhere=True)
    bob.enter("Kitchen")
    bob.say("A secret")
    hears(curious, ["Kitchen", "1 unread message"])


def test_a_muted_room_counts_nowhere_and_tells_nothing(curious, bob):
    curious.enter("Kitchen")
    curious.page.locator(".room-head .more").click()
    curious.page.get_by_role("button", name="Mute").click()
    curious.enter("Lobby")
    badge = curious.link("Kitchen").locator(".badge.is-quiet")
    bob.enter("Kitchen")
    bob.say("Psst")
    expect(badge).to_have_text("1")
    expect(curious.page).to_have_title("Lobby")
    look(curious, elsewhere=True)
    bob.say("Psst!")
    expect(badge).to_have_text("2")
    bob.enter("alice")
    bob.say("Unmuted")
    hears(curious, ["bob", "Unmuted"])
    look(curious, elsewhere=False)
    curious.enter("Kitchen")
    curious.page.locator(".room-head .more").click()
    curious.page.get_by_role("button", name="Unmute").click()
