"""What staff do to people in the admin panel, as those see it: in real browsers."""

import re
import time

from playwright.sync_api import Locator, expect

from tests.person import PATIENCE, Person


def row(admin: Person, place: str, words: str, *, but: str = "nothing") -> Locator:
    """Of a list of the panel, once it is there: workers tell every second who is connected."""
    admin.page.goto(place)
    found = admin.page.get_by_role("row").filter(has_text=words)
    gone = admin.page.locator(f'a[href^="{but}"]')
    give_up = time.monotonic() + PATIENCE / 1_000
    while not found.count() or gone.count():
        assert time.monotonic() < give_up, words
        admin.page.wait_for_timeout(500)
        admin.page.reload()
    return found


def open_person(admin: Person, name: str) -> None:
    row(admin, f"/admin/chat/access/?q={name}", name).get_by_role("link").first.click()
    expect(admin.page.get_by_role("heading", name=name)).to_be_visible()


def take(admin: Person, measure: str) -> None:
    """One of the measures on a person's page, up to the question."""
    admin.page.get_by_role("link", name=measure, exact=True).first.click()
    expect(admin.page.get_by_role("heading", name="Whom it concerns")).to_be_visible()


def confirm(admin: Person, button: str, said: str) -> None:
    admin.page.get_by_role("button", name=button, exact=True).click()
    expect(admin.page.get_by_text(said)).to_be_visible()


def test_alice_is_disconnected_while_she_writes_and_loses_nothing(alice, bob, admin):
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Before")
    hers = row(admin, "/admin/chat/connection/?q=alice", "alice")
    old = hers.get_by_role("link").first.get_attribute("href").partition("?")[0]
    hers.get_by_role("checkbox").check()
    actions = admin.page.locator(".actions")
    actions.get_by_role("combobox").select_option("Disconnect all of these users")
    actions.get_by_role("button").first.click()
    expect(admin.page.get_by_role("heading", name="Whom it concerns")).to_be_visible()
    confirm(admin, "Disconnect", "Disconnected: alice.")
    alice.write("While it happened")
    bob.sees("Before", "While it happened")
    bob.say("Still there?")
    row(admin, "/admin/chat/connection/?q=alice", "alice", but=old)
    alice.sees("Before", "While it happened", "Still there?")
    alice.say("Of course.")
    bob.sees("Still there?", "Of course.")


def test_charlie_is_banned_for_an_hour_and_his_page_says_so(a_person, admin):
    with a_person("charlie") as charlie:
        charlie.enter("Lobby")
        open_person(admin, "charlie")
        take(admin, "Ban")
        confirm(admin, "Ban", "This field is required.")
        expect(charlie.writing).to_be_editable()
        admin.page.get_by_label("Reason").fill("Spam")
        confirm(admin, "Ban", "Banned: charlie.")
        bar = charlie.page.locator(".connection")
        expect(bar).to_contain_text(re.compile(r"You are banned until .*\d\d:\d\d"))
        expect(charlie.writing).not_to_be_editable()
        expect(admin.page.get_by_role("row").filter(has_text="Spam")).to_contain_text("admin")
        take(admin, "Lift the ban")
        confirm(admin, "Lift the ban", "May come in again: charlie.")
        charlie.page.reload()
        charlie.enter("Lobby")
        charlie.say("Back again.")


def test_a_room_becomes_read_only_while_bob_is_in_it(bob, admin):
    bob.enter("Kitchen")
    row(admin, "/admin/chat/room/?q=Kitchen", "Kitchen").get_by_role("link").first.click()
    admin.page.get_by_label("Read-only").check()
    admin.page.get_by_role("button", name="Save", exact=True).click()
    expect(bob.page.locator(".composer").get_by_text("Only alice can write here.")).to_be_visible()
    expect(bob.writing).to_be_hidden()
    row(admin, "/admin/chat/room/?q=Kitchen", "Kitchen").get_by_role("link").first.click()
    admin.page.get_by_label("Read-only").uncheck()
    admin.page.get_by_role("button", name="Save", exact=True).click()
    expect(bob.writing).to_be_visible()
    bob.say("Mine again.")
