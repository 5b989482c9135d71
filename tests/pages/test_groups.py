"""Groups and people: who is in what, what they may do there, and whom one does not want to hear."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from tests.person import PHONE, Person, choose


@pytest.fixture
def charlie(a_person) -> Iterator[Person]:
    with a_person("charlie") as charlie:
        yield charlie


def dialog(person: Person, name: str) -> Locator:
    return person.page.get_by_role("dialog", name=name)


def make_a_group(person: Person, name: str, *members: str, access: str = "A group") -> None:
    person.page.get_by_role("button", name="New group").first.click()
    form = dialog(person, "New group")
    form.get_by_label("Name").fill(name)
    form.get_by_role("radio", name=access).check()
    for member in members:
        form.get_by_role("combobox").press_sequentially(member)
        form.get_by_role("option", name=member, exact=True).click()
    form.get_by_role("button", name="Create").click()
    expect(person.page.locator(".room-head h1")).to_have_text(name)


def open_menu(person: Person, what: str) -> None:
    person.page.get_by_role("button", name="What can be done here").click()
    dialog(person, "Room").get_by_role("button", name=what).click()


def card(person: Person, of: str) -> Locator:
    """Opened by the name over what they said last."""
    person.page.locator(".message.opens .sender").get_by_text(of, exact=True).last.click()
    return dialog(person, of)


def members(person: Person) -> Locator:
    return person.page.get_by_role("complementary", name="Members").get_by_role("listitem")


# Groups


def test_a_group_is_made_talks_changes_and_rests(alice, bob):
    make_a_group(alice, "Books", "bob")
    alice.say("What do we read?")
    bob.enter("Books")
    bob.sees("What do we read?")
    bob.say("Something short.")
    expect(bob.page.get_by_role("button", name="What can be done here")).to_be_visible()
    open_menu(alice, "Rename…")
    dialog(alice, "Rename").get_by_label("Name").fill("Book club")
    dialog(alice, "Rename").get_by_role("button", name="Rename").click()
    expect(bob.page.locator(".room-head h1")).to_have_text("Book club")
    open_menu(alice, "Archive…")
    dialog(alice, "Archive Book club?").get_by_role("button", name="Archive").click()
    for each in (alice, bob):
        expect(each.page.get_by_text("This room is archived")).to_be_visible()
        expect(each.writing).to_be_hidden()
        expect(each.link("Book club")).to_be_visible()  # in a list of its own
    expect(bob.page.get_by_role("button", name="Restore")).to_be_hidden()
    alice.page.get_by_role("button", name="Restore").click()
    expect(bob.writing).to_be_visible()
    bob.say("We are back.")
    alice.sees("We are back.")


def test_a_group_is_made_once_however_often_one_asked_for_the_dialog(alice):
    alice.page.get_by_role("button", name="New group").first.dblclick()
    dialog(alice, "New group").get_by_label("Name").fill("Band")
    dialog(alice, "New group").get_by_role("button", name="Create").click()
    expect(alice.page.locator(".room-head h1")).to_have_text("Band")
    alice.say("One, two, three.")
    alice.sees("One, two, three.")
    expect(alice.page.locator(".rooms").get_by_role("link", name="Band")).to_have_count(1)


def test_an_owner_appoints_and_removes(alice, bob):
    make_a_group(alice, "Garden", "bob")
    expect(members(alice)).to_have_text(["Aalice (you)owner · online", "Bbobonline"])
    members(alice).last.get_by_role("button").click()
    bobs = dialog(alice, "bob")
    bobs.get_by_role("button", name="Make moderator").click()
    expect(bobs.get_by_role("heading", name="Garden: moderator")).to_be_visible()
    expect(bobs.get_by_role("button", name="Make owner")).to_be_focused()
    bob.enter("Garden")
    expect(members(bob)).to_have_text(["Aaliceowner · online", "Bbob (you)moderator · online"])
    bobs.get_by_role("button", name="Remove…").click()
    dialog(alice, "Remove bob from Garden?").get_by_role("button", name="Remove").click()
    expect(bob.page.get_by_text("You are no longer in Garden.")).to_be_visible()
    expect(members(alice)).to_have_count(1)
    open_menu(alice, "Invite people…")
    form = dialog(alice, "Invite people to Garden")
    form.get_by_role("button", name="Invite", exact=True).click()  # whom?
    expect(form.get_by_role("combobox")).to_be_focused()
    form.get_by_role("combobox").fill("bob")
    expect(form.get_by_role("option", name="bob", exact=True)).to_be_visible()
    alice.page.keyboard.press("Enter")
    form.get_by_role("button", name="Invite", exact=True).click()
    expect(bob.link("Garden")).to_be_visible()


def test_the_last_owner_who_leaves_is_told_who_follows(alice, bob):
    make_a_group(alice, "Choir", "bob")
    open_menu(alice, "Leave…")
    question = dialog(alice, "Leave Choir?")
    expect(question).to_contain_text("You are its last owner")
    question.get_by_role("button", name="Leave").click()
    expect(alice.link("Choir")).to_be_hidden()
    bob.enter("Choir")
    expect(members(bob)).to_have_text(["Bbob (you)owner · online"])


def test_who_may_not_is_offered_nothing_that_the_server_would_refuse(alice, bob):
    make_a_group(alice, "News", "bob", access="A feed")
    alice.say("The first news.")
    bob.enter("News")
    bob.sees("The first news.")
    expect(bob.writing).to_be_hidden()
    expect(bob.page.locator(".closed")).to_have_text("Only alice can write here.")
    bob.page.get_by_role("button", name="What can be done here").click()
    expect(dialog(bob, "Room").get_by_role("button")).to_have_text(["Mute", "Leave…"])
    bob.page.keyboard.press("Escape")
    expect(card(bob, "alice").get_by_role("button")).to_have_text(
        ["", "Write to alice", "Block", "Report…"]
    )


def test_the_switcher_finds_what_one_is_not_in(alice, charlie):
    make_a_group(alice, "Gliding", access="Open to all")
    charlie.page.keyboard.press("Control+k")
    charlie.page.keyboard.type("glid")
    offer = charlie.page.get_by_role("option", name="Gliding")
    expect(offer).to_contain_text("Join · 1 member")
    charlie.page.keyboard.press("Enter")
    expect(charlie.page.locator(".room-head h1")).to_have_text("Gliding")
    charlie.say("May I?")
    alice.sees("May I?")


# Words to one person


def test_a_direct_room_is_listed_once_something_is_said_or_begun_there(alice, charlie):
    alice.page.get_by_role("button", name="New direct message").first.click()
    dialog(alice, "New direct message").get_by_role("combobox").fill("charl")
    expect(alice.page.get_by_role("option", name="charlie", selected=True)).to_be_visible()
    alice.page.keyboard.press("Enter")
    expect(alice.page.locator(".room-head h1")).to_have_text("charlie")
    alice.enter("Lobby")
    expect(alice.link("charlie")).to_be_hidden()
    expect(charlie.link("alice")).to_be_hidden()
    card(alice, "charlie").get_by_role("button", name="Write to charlie").click()
    expect(alice.page.locator(".room-head h1")).to_have_text("charlie")
    alice.writing.fill("Half a")
    alice.enter("Lobby")
    expect(alice.link("charlie")).to_be_visible()
    alice.enter("charlie")
    alice.say("Half a thought.")
    expect(charlie.link("alice")).to_be_visible()


# Whom one does not want to hear


def test_a_blocked_person_is_folded_away_and_heard_again_after(alice, bob):
    for each in (alice, bob):
        each.enter("Kitchen")
    bob.say("Buy my knives!")
    alice.sees("Buy my knives!")
    card(alice, "bob").get_by_role("button", name="Block", exact=True).click()
    expect(dialog(alice, "bob").get_by_role("button", name="Unblock")).to_be_focused()
    alice.page.keyboard.press("Escape")
    folded = alice.page.locator(".message.is-folded").last
    expect(folded.locator(".body")).to_have_text("Message of a blocked person · Show")
    expect(folded).to_have_attribute("aria-label", "Message of a blocked person")
    bob.writing.press_sequentially("Cheap")
    bob.say("Really!")
    expect(alice.page.locator(".composer .typing")).to_be_empty()
    expect(alice.page.get_by_text("Really!")).to_be_hidden()
    folded = alice.page.locator(".message.is-folded").last
    folded.get_by_role("button", name="Show").click()
    expect(alice.page.get_by_text("Really!")).to_be_visible()
    alice.enter("bob")
    expect(alice.page.locator(".closed")).to_contain_text("You have blocked bob.")
    expect(alice.writing).to_be_hidden()
    alice.page.get_by_role("button", name="Unblock").click()
    expect(alice.writing).to_be_visible()
    alice.enter("Kitchen")
    expect(alice.page.get_by_text("Buy my knives!")).to_be_visible()


def test_a_message_and_a_person_are_reported(alice, bob):
    for each in (alice, bob):
        each.enter("Kitchen")
    bob.say("Something nasty")
    choose(alice.message("Something nasty"), "Report…")
    form = dialog(alice, "Report this message by bob")
    expect(form.get_by_text("Something nasty")).to_be_visible()
    form.get_by_label("What is wrong?").fill("It is nasty.")
    form.get_by_role("button", name="Send").click()
    thanks = alice.page.get_by_text("Those who run this site will look at it.")
    expect(thanks).to_be_visible()
    card(alice, "bob").get_by_role("button", name="Report…").click()
    dialog(alice, "Report bob").get_by_label("What is wrong?").fill("He is nasty.")
    alice.page.keyboard.press("Tab")
    alice.page.keyboard.press("Tab")
    alice.page.keyboard.press("Enter")
    expect(dialog(alice, "Report bob")).to_be_hidden()


# By keyboard, and on a phone


def test_the_focus_returns_and_escape_closes_what_is_open_first(alice, bob):
    alice.enter("Kitchen")
    bob.enter("Kitchen")
    page = alice.page
    alice.say("Who?")
    page.locator(".log").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(dialog(alice, "alice (you)")).to_be_visible()
    page.keyboard.press("Escape")
    expect(dialog(alice, "alice (you)")).to_be_hidden()
    expect(page.locator(".message .sender:focus")).to_have_text("alice")
    more = page.get_by_role("button", name="What can be done here")
    more.focus()
    page.keyboard.press("Enter")
    expect(dialog(alice, "Room").get_by_role("button", name="Mute")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(dialog(alice, "Room").get_by_role("button", name="Leave…")).to_be_focused()
    page.keyboard.press("Escape")
    expect(more).to_be_focused()
    alice.enter("Lobby")
    bob.say("Anybody?")
    alice.has_unread("Kitchen", 1)
    alice.enter("Kitchen")
    divider = page.locator(".rows .new")
    expect(divider).to_be_visible()
    members(alice).first.get_by_role("button").focus()
    page.keyboard.press("Escape")
    expect(page.get_by_role("complementary", name="Members")).to_be_hidden()
    expect(page.get_by_role("button", name="Members")).to_be_focused()
    expect(divider).to_be_visible()


def test_on_a_phone_a_group_is_made_from_below(a_person):
    with a_person("alice", **PHONE) as alice:
        make_a_group(alice, "Picnic", "bob")
        alice.page.get_by_role("button", name="Members").click()
        list_of_members = dialog(alice, "Members")
        list_of_members.get_by_role("button", name=re.compile("^bob")).click()
        bobs = dialog(alice, "bob")
        box = bobs.bounding_box()
        assert box["x"] == 0
        assert box["width"] == PHONE["viewport"]["width"]
        assert round(box["y"] + box["height"]) == PHONE["viewport"]["height"]
        bobs.get_by_role("button", name="Write to bob").click()
        expect(alice.page.locator(".room-head h1")).to_have_text("bob")
        expect(list_of_members).to_be_hidden()
