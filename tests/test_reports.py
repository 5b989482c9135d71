"""What people want somebody to look at: what they can see, once, and not too much of it."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from chat import conf, control, messaging, reports, rooms
from chat.audit import Actor
from chat.errors import BadFrame, Empty, Forbidden, InvalidText, NotFound, TooLong
from chat.models import Access, AuditEntry, Message, Report, Room
from tests.conversation import at_once, deactivate, queries, say, seat_of
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


# Cases: what many report is one thing


@pytest.fixture
def company(alice, bob, charlie, kitchen):
    """Charlie is in the kitchen, too."""
    rooms.invite(alice, kitchen.pk, charlie)
    return kitchen


def cases(q):
    return list(Report.objects.filter(q).order_by("pk"))


def summary(report):
    return reports.summaries([report])[report.pk]


def test_what_two_report_is_one_case(alice, bob, charlie, company, said):
    reports.report_message(alice, company.pk, said.seq, "Spam")
    newest = reports.report_message(charlie, company.pk, said.seq, "Rude")
    about_bob = [reports.report_person(one, bob, "A bot") for one in (alice, charlie)]
    assert cases(reports.open_cases()) == [newest, about_bob[-1]]
    assert summary(newest).reports == 2
    assert summary(newest).reasons == ["Rude", "Spam"]
    assert summary(newest).first < summary(newest).last
    assert summary(about_bob[-1]).reasons == ["A bot", "A bot"]


def test_messages_are_cases_of_their_own(alice, bob, kitchen):
    for message in say(bob, kitchen, "Buy my pans", "Buy my knives"):
        reports.report_message(alice, kitchen.pk, message.seq, "Spam")
    reports.report_person(alice, bob, "A bot", kitchen.pk)
    assert len(cases(reports.open_cases())) == len(reports.summaries(Report.objects.all())) == 3


def test_a_case_is_closed_when_none_of_its_reports_is_open(alice, bob, charlie, company, said):
    first = reports.report_message(alice, company.pk, said.seq, "Spam")
    reports.decide(OLGA, first, "kept", "Fine")
    assert (cases(reports.open_cases()), cases(reports.closed_cases())) == ([], [first])
    second = reports.report_message(charlie, company.pk, said.seq, "Rude")
    assert (cases(reports.open_cases()), cases(reports.closed_cases())) == ([second], [])
    assert cases(reports.all_cases()) == [second]
    assert summary(second).reports == 1


def test_many_reasons_are_not_all_told(alice, bob, charlie, company, said):
    everybody = [get_user_model().objects.create_user(f"guest{n}") for n in range(5)]
    rooms.invite(alice, company.pk, *everybody)
    for guest in everybody:
        newest = reports.report_message(guest, company.pk, said.seq, f"of {guest.username}")
    told = summary(newest)
    assert (told.reports, told.reasons) == (5, ["of guest4", "of guest3", "of guest2"])


# Decisions

OLGA = Actor("olga", address="192.0.2.7")


def audited():
    """What the log says, from the beginning."""
    entries = AuditEntry.objects.order_by("pk")
    return [(entry.action, entry.label, entry.comment) for entry in entries]


@pytest.fixture
def spam(alice, kitchen, said):
    """Alice's report of what bob said."""
    return reports.report_message(alice, kitchen.pk, said.seq, "Spam")


def in_an_hour():
    return timezone.now() + timedelta(hours=1)


def test_one_decision_closes_all_reports_of_a_message(charlie, company, spam, said):
    reports.report_message(charlie, company.pk, said.seq, "Rude")
    assert reports.decide(Actor("charlie", charlie.pk), spam, "kept", "Only pans") == 2
    for report in Report.objects.all():
        assert (report.outcome, report.comment) == ("kept", "Only pans")
        assert report.closed_by == charlie
        assert report.closed_at is not None
    assert audited() == [("moderated", f"{company.pk}/1", "Only pans")]


def test_other_cases_stay_open(alice, bob, kitchen, spam):
    other = reports.report_person(alice, bob, "A bot")
    reports.decide(OLGA, spam, "dismissed", "Only pans")
    assert cases(reports.open_cases()) == [other]


def test_a_message_is_deleted_with_its_reports_closed(kitchen, spam):
    reports.decide(OLGA, spam, "deleted", "Spam")
    assert Message.objects.get().deleted
    assert only().outcome == "deleted"
    place = f"{kitchen.pk}/1"
    assert audited() == [("deleted", place, "Spam"), ("moderated", place, "Spam")]


def test_somebody_is_muted_where_they_said_it(bob, kitchen, lobby, spam):
    until = in_an_hour()
    reports.decide(OLGA, spam, "muted", "Spam", until)
    seat = seat_of(bob, kitchen)
    assert (seat.muted_until, seat.mute_reason) == (until, "Spam")
    assert seat_of(bob, lobby).muted_until is None
    assert [entry[:2] for entry in audited()] == [
        ("muted", "bob"),
        ("moderated", f"{kitchen.pk}/1"),
    ]


def test_somebody_is_muted_in_the_room_that_a_report_tells(alice, bob, charlie, kitchen):
    reports.report_person(alice, bob, "Writes too much", kitchen.pk)
    newest = reports.report_person(charlie, bob, "A bot")
    reports.decide(OLGA, newest, "muted", "Indeed", in_an_hour())
    assert seat_of(bob, kitchen).mute_reason == "Indeed"


def test_somebody_is_banned(bob, spam):
    until = in_an_hour()
    reports.decide(OLGA, spam, "banned", "Spam " * 100, until)
    access = Access.objects.get(user=bob)
    assert access.banned_until == until
    assert access.ban_reason == ("Spam " * 100)[:200]
    assert [entry[0] for entry in audited()] == ["banned", "moderated"]


@pytest.mark.parametrize("comment", ["", " ", "x" * (reports.COMMENT_CHARS + 1), "a\0b"])
def test_a_decision_has_a_comment(spam, comment):
    with pytest.raises((Empty, TooLong, InvalidText)):
        reports.decide(OLGA, spam, "kept", comment)
    assert only().closed_at is None


def test_who_comes_second_does_nothing_twice(bob, spam):
    assert reports.decide(OLGA, spam, "kept", "Fine") == 1
    assert reports.decide(OLGA, spam, "banned", "Not fine", in_an_hour()) == 0
    assert (only().outcome, only().comment) == ("kept", "Fine")
    assert not Access.objects.exclude(banned_until=None).exists()
    assert len(audited()) == 1


def test_of_two_who_decide_at_the_same_moment_one_does(transactional_db, spam):
    def decide(comment):
        return reports.decide(OLGA, spam, "banned", comment, in_an_hour())

    assert sorted(at_once(lambda: decide("One"), lambda: decide("Two"))) == [0, 1]
    assert [action for action, *_ in audited()] == ["banned", "moderated"]


@pytest.mark.parametrize("outcome", ["deleted", "muted", "banned"])
def test_what_cannot_be_done_leaves_the_case_open(alice, bob, kitchen, spam, outcome):
    Message.objects.all().delete()
    rooms.leave(bob, kitchen.pk)
    Report.objects.update(person=None)
    with pytest.raises(NotFound):
        reports.decide(OLGA, only(), outcome, "Spam", in_an_hour())
    assert (only().closed_at, audited()) == (None, [])


@pytest.mark.parametrize("outcome", ["deleted", "banned"])
def test_nothing_is_done_that_the_log_does_not_tell(bob, spam, outcome, monkeypatch):
    def full(*_, **values):
        if values.get("action") == "moderated":
            raise RuntimeError("No room left.")
        return create(**values)

    create = AuditEntry.objects.create
    monkeypatch.setattr(type(AuditEntry.objects), "create", full)
    with pytest.raises(RuntimeError):
        reports.decide(OLGA, spam, outcome, "Spam", in_an_hour())
    assert not Message.objects.get().deleted
    assert not Access.objects.exclude(banned_until=None).exists()
    assert (only().closed_at, audited()) == (None, [])


def test_who_reports_again_opens_a_case_again(alice, kitchen, said, spam):
    reports.decide(OLGA, spam, "kept", "Fine")
    reports.report_message(alice, kitchen.pk, said.seq, "Still there")
    assert reports.is_open(spam)
    assert reports.decide(OLGA, spam, "dismissed", "Still fine") == 1


def test_a_case_is_opened_again(charlie, company, spam, said):
    reports.report_message(charlie, company.pk, said.seq, "Rude")
    reports.decide(OLGA, spam, "kept", "Fine")
    assert reports.reopen(OLGA, only_of(spam)) == 2
    assert reports.is_open(spam)
    assert reports.reopen(OLGA, only_of(spam)) == 0
    assert len(audited()) == 2


def only_of(report):
    return Report.objects.get(pk=report.pk)


def test_earlier_decisions_about_the_same_person_are_told(alice, bob, kitchen, spam):
    other = reports.report_person(alice, bob, "A bot")
    assert list(reports.earlier(spam)) == []
    reports.decide(OLGA, other, "dismissed", "No bot")
    assert list(reports.earlier(spam)) == [other]
    assert list(reports.earlier(other)) == []


# The queue of those who look


@pytest.fixture
def moderator(charlie, client):
    """Charlie, who may look at reports and decide; logged in to the admin panel."""
    charlie.is_staff = True
    charlie.save()
    allow(charlie, "view_report", "can_moderate")
    client.force_login(charlie)
    return charlie


def allow(user, *codenames):
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


QUEUE = "/admin/chat/report/"
ALL = ("delete_message", "can_mute", "can_ban")


def page_of(report):
    return f"{QUEUE}{report.pk}/change/"


def decided(client, report, outcome, comment="Because", duration="1h"):
    """What the panel answers to a form that was filled in so."""
    answers = {"outcome": outcome, "comment": comment, "duration": duration}
    return client.post(page_of(report), answers)


def test_the_queue_shows_a_case_once(client, moderator, alice, bob, garden):
    rooms.join(bob, garden.pk)
    rooms.join(moderator, garden.pk)
    say(bob, garden, "Buy my pans")
    reports.report_message(alice, garden.pk, 1, "Spam & more")
    reports.report_message(moderator, garden.pk, 1, "Rude")
    page = client.get(QUEUE)
    for shown in ("Spam &amp; more", "Rude", "bob", "Garden"):
        assertContains(page, shown)
    assertContains(page, "Buy my pans", count=1)
    assertContains(page, '<td class="field-count">2</td>')


def test_the_queue_shows_what_is_open_first(client, moderator, spam):
    reports.decide(OLGA, spam, "kept", "Fine")
    assertNotContains(client.get(QUEUE), "Spam")
    assertContains(client.get(QUEUE, {"state": "closed"}), "Spam")
    assertContains(client.get(QUEUE, {"state": "all"}), "Spam")
    assertNotContains(client.get(QUEUE, {"state": "all", "outcome__exact": "muted"}), "Spam")


@pytest.mark.parametrize(("name", "count"), [("bob", 1), ("alice", 1), ("charlie", 0), ("x", 0)])
def test_the_queue_is_searched_by_who_is_reported_and_who_reports(
    client, moderator, spam, name, count
):
    assert client.get(QUEUE, {"q": name}).context["cl"].result_count == count


def test_a_case_leads_to_what_it_is_about(client, moderator, bob, kitchen, spam):
    page = client.get(page_of(spam))
    assertContains(page, f"/admin/chat/message/{Message.objects.get().pk}/change/")
    assertContains(page, f"/admin/chat/room/{quote(kitchen.pk)}/change/")
    assertContains(page, f"/admin/chat/access/{bob.pk}/change/")


def test_a_decision_is_made_with_a_comment(client, moderator, spam):
    assertContains(decided(client, spam, "kept", comment=" "), "errornote")
    assert only().closed_at is None
    assertRedirects(decided(client, spam, "kept"), QUEUE)
    assert (only().outcome, only().comment, only().closed_by) == ("kept", "Because", moderator)


@pytest.mark.parametrize("outcome", ["", "nonsense"])
def test_what_is_no_decision_is_none(client, moderator, spam, outcome):
    assertContains(decided(client, spam, outcome), "errornote")
    assert only().closed_at is None


@pytest.mark.parametrize(
    ("permission", "outcome"), [*zip(ALL, ("deleted", "muted", "banned"), strict=True)]
)
def test_what_one_may_not_do_one_may_not_decide(client, moderator, spam, permission, outcome):
    allow(moderator, *(set(ALL) - {permission}))
    assertNotContains(client.get(page_of(spam)), f'value="{outcome}"')
    assert decided(client, spam, outcome).status_code == 403
    assert (only().closed_at, audited()) == (None, [])
    allow(moderator, permission)
    moderator = get_user_model().objects.get(pk=moderator.pk)
    assertContains(client.get(page_of(spam)), f'value="{outcome}"')
    assertRedirects(decided(client, spam, outcome), QUEUE)
    assert only().outcome == outcome


@pytest.mark.parametrize("outcome", ["muted", "banned"])
@pytest.mark.parametrize("who", ["superuser", "oneself"])
def test_no_decision_touches_whom_one_may_not_touch(
    client, moderator, alice, bob, kitchen, spam, who, outcome
):
    allow(moderator, *ALL)
    case = spam
    if who == "superuser":
        get_user_model().objects.filter(pk=bob.pk).update(is_superuser=True)
    else:
        case = reports.report_person(alice, moderator, "Strict", kitchen.pk)
        rooms.place(moderator, kitchen.pk)
    assertNotContains(client.get(page_of(case)), f'value="{outcome}"')
    assert decided(client, case, outcome).status_code == 200
    assert not Access.objects.exclude(banned_until=None).exists()
    assert not kitchen.memberships.exclude(muted_until=None).exists()
    assert (Report.objects.filter(closed_at=None).exists(), audited()) == (True, [])


def test_who_may_only_look_decides_nothing(client, moderator, spam):
    moderator.user_permissions.set(Permission.objects.filter(codename="view_report"))
    assertContains(client.get(QUEUE), "Spam")
    assertNotContains(client.get(page_of(spam)), 'name="outcome"')
    assert decided(client, spam, "kept").status_code == 403
    assert client.post(f"{QUEUE}{spam.pk}/reopen/").status_code == 403
    assert (only().closed_at, audited()) == (None, [])


def test_who_may_not_look_sees_nothing(client, moderator, spam):
    moderator.user_permissions.clear()
    for place in (QUEUE, page_of(spam)):
        assert client.get(place).status_code == 403
    assert decided(client, spam, "kept").status_code == 403
    assert client.post(f"{QUEUE}{spam.pk}/read/").status_code == 403


@pytest.mark.parametrize("page", ["add/", "{}/delete/"])
def test_not_even_a_superuser_adds_or_deletes_a_report(admin_client, spam, page):
    place = QUEUE + page.format(spam.pk)
    assert admin_client.post(place, {"post": "yes"}).status_code == 403


def test_who_decides_too_late_is_told(client, moderator, spam):
    reports.decide(OLGA, spam, "kept", "Fine")
    answer = client.post(page_of(spam), {"outcome": "dismissed"}, follow=True)
    assertContains(answer, "Somebody else has decided already")
    assert only().outcome == "kept"


def test_what_is_not_possible_any_more_is_told(client, moderator, bob, kitchen, spam):
    allow(moderator, *ALL)
    messaging.delete(bob, kitchen.pk, 1)
    assertContains(decided(client, spam, "deleted"), "errornote")
    with patch.object(control, "mute", side_effect=NotFound):
        assertContains(decided(client, spam, "muted"), "nothing was done")
    assert only().closed_at is None


def test_a_closed_case_is_opened_again_by_who_may_decide(client, moderator, spam):
    reports.decide(OLGA, spam, "kept", "Fine")
    assertContains(client.get(page_of(spam)), "Open again")
    assertRedirects(client.post(f"{QUEUE}{spam.pk}/reopen/"), page_of(spam))
    assertContains(client.get(page_of(spam)), "Decided before")
    assert only().closed_at is None


# What was said in private


def test_what_was_said_in_private_is_hidden(client, moderator, spam):
    for place in (QUEUE, page_of(spam)):
        assertNotContains(client.get(place), "pans")
    assertNotContains(client.get(page_of(spam)), "/read/")
    assert client.post(f"{QUEUE}{spam.pk}/read/").status_code == 403
    assert audited() == []


@pytest.mark.parametrize("lookup", ["body", "body__startswith", "body__regex"])
def test_nobody_finds_it_out_by_asking_how_it_begins(client, moderator, spam, lookup):
    assert client.get(QUEUE, {lookup: "Buy"}).status_code == 400
    assert client.get(QUEUE, {"outcome__exact": "kept"}).status_code == 200


def test_who_may_read_it_does_and_the_log_tells(client, moderator, kitchen, spam):
    allow(moderator, "can_read_private")
    for place in (QUEUE, page_of(spam)):
        assertNotContains(client.get(place), "pans")
    read = f"{QUEUE}{spam.pk}/read/"
    assertContains(client.get(page_of(spam)), read)
    assert client.get(read).status_code == 405
    assert audited() == []
    assertContains(client.post(read), "Buy my pans")
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.label, entry.room) == ("read", f"{kitchen.pk}/1", kitchen.pk)


def test_what_was_said_in_the_open_is_shown(client, moderator, alice, bob, lobby):
    say(bob, lobby, "Buy my pans")
    report = reports.report_message(alice, lobby.pk, 1, "Spam")
    for place in (QUEUE, page_of(report)):
        assertContains(client.get(place), "Buy my pans")


# What is odd


def test_what_the_system_said_can_be_reported_and_looked_at(client, moderator, alice, lobby):
    allow(moderator, *ALL)
    messaging.proclaim(lobby.pk, "Down at noon")
    report = reports.report_message(alice, lobby.pk, 1, "When?")
    page = client.get(page_of(report))
    assertContains(page, "Down at noon")
    for outcome in ("muted", "banned"):
        assertNotContains(page, f'value="{outcome}"')
    assertContains(client.get(QUEUE), "Down at noon")
    assertRedirects(decided(client, report, "deleted"), QUEUE)


def test_a_room_is_found_whatever_its_id(admin_client, alice, bob):
    odd = Room.objects.create(pk="A_5FBCDEFGHIJKLM", kind=Room.Kind.GROUP, name="Odd")
    rooms.place(alice, odd.pk)
    report = reports.report_person(alice, bob, "A bot", odd.pk)
    place = f"/admin/chat/room/{quote(odd.pk)}/change/"
    assertContains(admin_client.get(page_of(report)), place)
    assertContains(admin_client.get(place), "Odd")


def test_a_case_outlives_its_message(client, moderator, spam):
    Message.objects.all().delete()
    assertContains(client.get(page_of(spam)), "let go of")
    assertRedirects(decided(client, spam, "kept"), QUEUE)


def test_a_decision_outlives_who_made_it(client, moderator, bob, spam, alice):
    olga = get_user_model().objects.create_user("olga")
    reports.decide(Actor("olga", olga.pk), spam, "kept", "Fine")
    olga.delete()
    other = reports.report_person(alice, bob, "A bot")
    for place in (page_of(spam), page_of(other)):
        assertContains(client.get(place), "Fine")


@pytest.mark.parametrize("key", ["0", "x", "99999999999999999999"])
def test_what_was_never_reported_is_not_found(client, moderator, key):
    assert client.get(f"{QUEUE}{key}/change/").status_code == 404


def test_pages_take_as_many_queries_for_many_reports(client, moderator, alice, bob, company, said):
    def pages():
        return queries(lambda: client.get(QUEUE)), queries(lambda: client.get(page_of(case)))

    case = reports.report_message(alice, company.pk, said.seq, "Spam")
    reports.decide(OLGA, reports.report_person(moderator, bob, "A bot"), "kept", "Fine")
    few = pages()
    for message in say(bob, company, *"abcdef"):
        for reporter in (alice, moderator):
            reports.report_message(reporter, company.pk, message.seq, "Spam")
    case = reports.report_message(moderator, company.pk, said.seq, "Rude")
    assert pages() == few
