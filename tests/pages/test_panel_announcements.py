"""Announcements from the admin panel, as they arrive: in real browsers."""

from playwright.sync_api import expect

from tests.person import Person


def write(admin: Person, words: str, *choices: str) -> None:
    admin.page.goto("/admin/chat/announcement/add/")
    for choice in choices:
        admin.page.get_by_label(choice).check()
    admin.page.get_by_label("Text:", exact=True).fill(words)


def preview(admin: Person) -> None:
    admin.page.get_by_role("button", name="Preview").click()
    expect(admin.page.get_by_role("heading", name="Is this what you want")).to_be_visible()


def announced(person: Person, words: str) -> None:
    """Whether it stands there, as such, once."""
    message = person.page.locator(".message.is-announcement").filter(has_text=words)
    expect(message).to_be_visible()
    expect(message).to_have_count(1)


def test_everybody_is_told_once_it_has_been_looked_at(alice, admin):
    alice.enter("Lobby")
    write(admin, "We move at six.\nNothing is lost.", "Everybody")
    preview(admin)
    expect(admin.page.get_by_text("Nothing is lost.")).to_be_visible()
    expect(alice.page.get_by_text("We move at six.")).to_have_count(0)
    admin.page.get_by_role("button", name="Announce to 4 people").click()
    expect(admin.page.get_by_text("Announced to 4 people.")).to_be_visible()
    announced(alice, "We move at six.")


def test_who_clicks_twice_says_it_once(alice, admin):
    alice.enter("Lobby")
    write(admin, "Only once.", "Everybody")
    preview(admin)
    admin.page.get_by_role("button", name="Announce to").dblclick()
    expect(admin.page.locator(".messagelist")).to_contain_text("nnounced")
    announced(alice, "Only once.")
    admin.page.goto("/admin/chat/announcement/")
    expect(admin.page.get_by_role("row").filter(has_text="Only once.")).to_have_count(1)


def test_a_room_and_people_are_found_as_one_types(alice, admin):
    alice.enter("Kitchen")
    page = admin.page
    write(admin, "For cooks.", "One room")
    page.locator(".field-room .select2-selection").click()
    page.locator(".select2-search__field").last.fill("kit")
    page.get_by_role("option", name="Kitchen").click()
    preview(admin)
    page.get_by_role("button", name="Announce to 2 people").click()
    announced(alice, "For cooks.")
    write(admin, "For alice.", "Some people", "You, by name")
    page.locator(".field-people .select2-search__field").fill("ali")
    page.get_by_role("option", name="alice").click()
    preview(admin)
    page.get_by_role("button", name="Announce to 1 person").click()
    expect(page.get_by_text("Announced to 1 person.")).to_be_visible()
    alice.enter("admin")
    announced(alice, "For alice.")
