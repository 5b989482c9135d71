"""A report, from the chat to those who run the site and back: in real browsers."""

from playwright.sync_api import expect

from tests.person import Person, choose


def report(person: Person, body: str, reason: str) -> None:
    choose(person.message(body), "Report…")
    form = person.page.get_by_role("dialog", name="Report this message")
    form.get_by_label("What is wrong?").fill(reason)
    form.get_by_role("button", name="Send").click()
    expect(person.page.get_by_text("Those who run this site will look at it.")).to_be_visible()


def open_case(admin: Person, words: str) -> None:
    """In the queue, by what stands in its row."""
    admin.page.goto("/admin/chat/report/")
    admin.page.get_by_role("row").filter(has_text=words).get_by_role("link").first.click()
    expect(admin.page.get_by_role("heading", name="A reported message")).to_be_visible()


def decide(admin: Person, decision: str, comment: str) -> None:
    admin.page.get_by_label(decision).check()
    admin.page.get_by_label("Comment").fill(comment)
    admin.page.get_by_role("button", name="Decide").click()


def test_bob_reports_what_alice_said_and_a_moderator_deletes_it(alice, bob, admin):
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Buy my pans")
    report(bob, "Buy my pans", "She sells pans.")
    open_case(admin, "She sells pans.")
    page = admin.page
    expect(page.get_by_text("Buy my pans")).to_have_count(0)
    page.get_by_role("button", name="Read what was said").click()
    expect(page.get_by_role("cell", name="Buy my pans")).to_be_visible()
    decide(admin, "Delete the message", "")
    expect(page.get_by_text("This field is required.")).to_be_visible()
    decide(admin, "Delete the message", "No sales here.")
    expect(page.get_by_text("Decided; 1 report is closed.")).to_be_visible()
    for each in (alice, bob):
        expect(each.page.get_by_text("This message was deleted.")).to_be_visible()
        expect(each.message("Buy my pans")).to_have_count(0)
    expect(page.get_by_text("She sells pans.")).to_have_count(0)
    page.goto("/admin/chat/report/?state=closed")
    expect(page.get_by_text("She sells pans.")).to_be_visible()
    page.goto("/admin/chat/auditentry/")
    expect(page.get_by_role("row").filter(has_text="No sales here.")).to_have_count(2)
    expect(page.get_by_role("row").filter(has_text="Read a private message")).to_have_count(1)
