"""What people want somebody to look at: what they can see, once, and not too much of it."""

import pytest
from django.contrib.auth.models import Permission

from chat import conf, messaging, reports, rooms
from chat.errors import BadFrame, Empty, Forbidden, InvalidText, NotFound, TooLong
from chat.models import Message, Report
from tests.conversation import deactivate, say
from tests.failures import meanwhile
from tests.fake_browser import browser


@pytest.fixture
def said(bob, kitchen):
    """What bob said in the kitchen."""
    return say(bob, kitchen, "Buy my pans")[0]


def only():
    [report] = Report.objects.all()
    return report


async def test_alice_reports_what_bob_said(application, tokens, alice, bob, kitchen):
    await meanwhile(say, bob, kitchen, "Buy my pans")
    async with browser(application, tokens["alice"]) as page:
        answer = await page.ask("report", room=kitchen.pk, seq=1, reason="Spam")
        assert answer["type"] == "ok"
    report = await meanwhile(only)
    assert (report.reporter_id, report.person_id) == (alice.pk, bob.pk)
    assert (report.room_id, report.seq, report.body) == (kitchen.pk, 1, "Buy my pans")
    assert (report.reason, report.closed_at) == ("Spam", None)


async def test_alice_reports_bob(application, tokens, alice, bob, kitchen):
    async with browser(application, tokens["alice"]) as page:
        assert (await page.ask("report", user="bob", reason="A bot"))["type"] == "ok"
        answer = await page.ask("report", user="bob", room=kitchen.pk, reason="Writes too much")
        assert answer["type"] == "ok"
    report = await meanwhile(only)
    assert (report.person_id, report.room_id, report.seq) == (bob.pk, kitchen.pk, None)
    assert (report.body, report.reason) == ("", "Writes too much")


async def test_who_has_been_deactivated_is_reported_as_well(
    application, tokens, alice, bob, kitchen
):
    await meanwhile(say, bob, kitchen, "Buy my pans")
    await meanwhile(deactivate, bob)
    async with browser(application, tokens["alice"]) as page:
        for what in ({"room": kitchen.pk, "seq": 1}, {"user": "bob"}):
            assert (await page.ask("report", **what, reason="Spam"))["type"] == "ok"
    about = await meanwhile(lambda: list(Report.objects.values_list("person", flat=True)))
    assert about == [bob.pk, bob.pk]


async def test_charlie_cannot_report_what_he_cannot_see(application, tokens, bob, kitchen):
    await meanwhile(say, bob, kitchen, "Secret")
    async with browser(application, tokens["charlie"]) as page:
        for place in ({"seq": 1}, {"seq": 2}, {"user": "bob"}):
            for room in (kitchen.pk, "AAAAAAAAAAAAAAAA"):
                answer = await page.ask("report", room=room, **place, reason="I was not asked")
                assert answer["code"] == "not_found"
    assert not await meanwhile(Report.objects.exists)


@pytest.mark.parametrize(
    "what",
    [
        {},
        {"room": "x"},
        {"seq": 1},
        {"room": "", "seq": 1},
        {"room": "x", "seq": 1, "user": "bob"},
        {"user": "alice"},
    ],
)
async def test_a_report_is_of_a_message_or_of_somebody_else(application, tokens, what):
    async with browser(application, tokens["alice"]) as page:
        assert (await page.ask("report", **what, reason="Why not?"))["code"] == "bad_frame"


def test_what_was_deleted_cannot_be_reported(alice, bob, kitchen, said):
    messaging.delete(bob, kitchen.pk, said.seq)
    with pytest.raises(NotFound):
        reports.report_message(alice, kitchen.pk, said.seq, "Spam")


def test_what_was_let_go_of_cannot_be_reported(alice, kitchen, said):
    type(kitchen).objects.filter(pk=kitchen.pk).update(first_seq=2)
    with pytest.raises(NotFound):
        reports.report_message(alice, kitchen.pk, said.seq, "Spam")


def test_nobody_reports_what_they_said_themselves(bob, kitchen, said):
    with pytest.raises(BadFrame):
        reports.report_message(bob, kitchen.pk, said.seq, "Ashamed")


@pytest.mark.parametrize(
    ("reason", "error"),
    [("", Empty), (" \n", Empty), ("x" * (conf.REASON_CHARS + 1), TooLong), ("a\0b", InvalidText)],
)
def test_a_report_has_a_reason(alice, bob, reason, error):
    with pytest.raises(error):
        reports.report_person(alice, bob, reason)


def test_who_reports_the_same_again_gives_another_reason(alice, bob, kitchen, said):
    reports.report_message(alice, kitchen.pk, said.seq, "Spam")
    Report.objects.update(closed_at="2026-01-01T00:00Z")
    messaging.edit(bob, kitchen.pk, said.seq, "Buy my knives")
    reports.report_message(alice, kitchen.pk, said.seq, "Knives now")
    report = only()
    assert (report.reason, report.body, report.closed_at) == ("Knives now", "Buy my knives", None)
    assert report.created_at.year > 2025


def test_others_report_it_for_themselves(alice, bob, charlie, kitchen, said):
    rooms.invite(alice, kitchen.pk, charlie)
    for reporter in (alice, charlie):
        reports.report_message(reporter, kitchen.pk, said.seq, "Spam")
        reports.report_person(reporter, bob, "Spam")
    assert Report.objects.count() == 4


def test_a_report_stays_what_it_was_when_the_message_goes(alice, bob, kitchen, said):
    reports.report_message(alice, kitchen.pk, said.seq, "Spam")
    messaging.delete(bob, kitchen.pk, said.seq)
    assert only().body == "Buy my pans"


def test_who_has_reported_much_waits_until_somebody_has_looked(alice, bob, charlie, monkeypatch):
    monkeypatch.setattr(conf, "OPEN_REPORTS", 1)
    reports.report_person(alice, bob, "A bot")
    reports.report_person(alice, bob, "Surely a bot")
    with pytest.raises(Forbidden):
        reports.report_person(alice, charlie, "Another one")
    reports.report_person(bob, charlie, "Not I")
    Report.objects.filter(reporter=alice).update(closed_at="2026-01-01T00:00Z")
    reports.report_person(alice, charlie, "Another one")


# The queue of those who look


@pytest.fixture
def moderator(charlie, client):
    """Charlie, who may look at reports and close them; logged in to the admin panel."""
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.set(Permission.objects.filter(codename__endswith="_report"))
    client.force_login(charlie)
    return charlie


QUEUE = "/admin/chat/report/"


def test_the_queue_shows_what_is_open(client, moderator, alice, bob, kitchen, said):
    reports.report_message(alice, kitchen.pk, said.seq, "Spam & more")
    page = client.get(QUEUE).content.decode()
    for shown in ("Spam &amp; more", "Buy my pans", "alice", "bob", "Kitchen"):
        assert shown in page
    Report.objects.update(closed_at="2026-01-01T00:00Z")
    assert "Spam" not in client.get(QUEUE).content.decode()
    assert "Spam" in client.get(f"{QUEUE}?state=closed").content.decode()
    assert "Spam" in client.get(f"{QUEUE}?state=all").content.decode()


def test_who_has_looked_closes_a_report(client, moderator, alice, bob):
    report = reports.report_person(alice, bob, "A bot")
    client.post(QUEUE, {"action": "close", "_selected_action": report.pk})
    assert only().closed_at is not None
    client.post(f"{QUEUE}?state=closed", {"action": "reopen", "_selected_action": report.pk})
    assert only().closed_at is None


def test_who_may_only_look_closes_nothing(client, moderator, alice, bob):
    moderator.user_permissions.set(Permission.objects.filter(codename="view_report"))
    report = reports.report_person(alice, bob, "A bot")
    assert "A bot" in client.get(QUEUE).content.decode()
    client.post(QUEUE, {"action": "close", "_selected_action": report.pk})
    assert only().closed_at is None


def test_who_may_not_look_sees_nothing(client, moderator, alice, bob):
    moderator.user_permissions.clear()
    reports.report_person(alice, bob, "A bot")
    assert client.get(QUEUE).status_code == 403


def test_a_report_leads_to_what_it_is_about(client, moderator, alice, bob, kitchen, said):
    report = reports.report_message(alice, kitchen.pk, said.seq, "Spam")
    page = client.get(f"{QUEUE}{report.pk}/change/").content.decode()
    assert f"/admin/chat/message/{Message.objects.get().pk}/change/" in page
    assert f"/admin/chat/room/{kitchen.pk}/change/" in page
    assert f"/admin/auth/user/{bob.pk}/change/" in page


def test_the_queue_takes_as_many_queries_for_many_reports(
    client, moderator, alice, bob, kitchen, said, django_assert_max_num_queries
):
    for reporter in (alice, moderator):
        reports.report_person(reporter, bob, "A bot")
    reports.report_message(alice, kitchen.pk, said.seq, "Spam")
    with django_assert_max_num_queries(9):
        client.get(QUEUE)
