"""Messages in the admin panel: found, read where they are public, hidden where they are not."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from chat import conf, messaging, rooms
from chat.admin import lists
from chat.models import AuditEntry, Hour, LastSeen, Message, Room, Tally
from tests.conversation import crowd, head, queries, say, say_much

LIST = "/admin/chat/message/"
SECRET = "the key is under the mat"


def page_of(message, page="change"):
    return f"{LIST}{message.pk}/{page}/"


def newest(room):
    return Message.objects.filter(room=room).latest("seq")


def read(person, message, **answers):
    return person.post(page_of(message, "read"), answers)


def select(person, *messages, **answer):
    chosen = {"action": "delete_selected", "_selected_action": [m.pk for m in messages]}
    return person.post(LIST, chosen | answer)


def texts(page):
    return [message.body for message in page.context["cl"].result_list]


def entries():
    return [(e.actor_name, e.action, e.label, e.comment) for e in AuditEntry.objects.order_by("pk")]


@pytest.fixture
def staff(client, charlie):
    """Logs charlie in as staff with these permissions."""

    def log_in(*codenames):
        charlie.is_staff = True
        charlie.save()
        charlie.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(charlie)
        return client

    return log_in


@pytest.fixture
def watcher(staff):
    return staff("view_message")


@pytest.fixture
def moderator(staff):
    return staff("view_message", "delete_message", "can_read_private")


@pytest.fixture
def secret(alice, kitchen):
    say(alice, kitchen, SECRET)
    return newest(kitchen)


@pytest.fixture
def notice(alice, lobby):
    say(alice, lobby, "Good morning")
    return newest(lobby)


# What is private


@pytest.mark.parametrize("page", ["change", "delete", "history", "whereabouts"])
def test_no_page_shows_what_was_said_in_private(moderator, secret, page):
    assertNotContains(moderator.get(page_of(secret, page)), SECRET)


def test_no_list_shows_what_was_said_in_private(moderator, secret, notice):
    page = moderator.get(LIST)
    assertContains(page, "Hidden: private")
    assertContains(page, "Good morning")
    assertNotContains(page, SECRET)


def test_what_was_said_between_two_is_private(moderator, alice, bob):
    direct = rooms.open_direct(alice, bob)
    say(alice, direct, SECRET)
    assertNotContains(moderator.get(LIST), SECRET)
    assertNotContains(moderator.get(page_of(newest(direct))), SECRET)


def test_who_is_asked_whether_to_delete_it_is_not_told_it(moderator, secret, notice):
    question = select(moderator, secret, notice)
    assertContains(question, "Good morning")
    assertNotContains(question, SECRET)


def test_nobody_finds_it_out_by_asking_how_it_begins(moderator, secret):
    for lookup in ("body__startswith", "body", "digest", "room__messages__body", "room"):
        assert moderator.get(LIST, {lookup: "the"}).status_code == 400


def test_no_other_page_gives_it_away(moderator, staff, secret):
    staff("view_message", "view_auditentry", "view_waiting", "view_room", "can_read_private")
    read(moderator, secret)
    for page in ("/admin/", "/admin/chat/auditentry/", "/admin/chat/waiting/"):
        assertNotContains(moderator.get(page), SECRET)


# Reading it


def test_it_is_read_once_somebody_says_so_and_that_is_written_down(moderator, secret):
    page = read(moderator, secret, reason="Reported by bob")
    assertContains(page, SECRET)
    assert entries() == [("charlie", "read", str(secret), "Reported by bob")]
    assert AuditEntry.objects.get().room == secret.room_id
    assert "no-store" in page["Cache-Control"]


def test_each_reading_is_written_down(moderator, secret):
    for _ in range(2):
        read(moderator, secret)
    assert [action for _, action, *_ in entries()] == ["read", "read"]


def test_to_look_is_not_to_read(moderator, secret):
    assertContains(moderator.get(page_of(secret)), "Read it")
    assertRedirects(moderator.get(page_of(secret, "read")), page_of(secret))
    assert entries() == []


def test_what_is_public_is_read_without_a_word(watcher, notice):
    assertContains(watcher.get(page_of(notice)), "Good morning")
    assertNotContains(watcher.get(page_of(notice)), "Read it")
    assert entries() == []


def test_an_open_group_is_public(watcher, alice, garden):
    say(alice, garden, "Roses")
    assertContains(watcher.get(page_of(newest(garden))), "Roses")


def test_to_read_what_is_public_is_nothing_to_write_down(moderator, notice):
    assertRedirects(read(moderator, notice), page_of(notice))
    assert entries() == []


def test_who_may_only_look_is_told_what_it_takes(watcher, secret):
    assertContains(watcher.get(page_of(secret)), "you need the permission")
    assertNotContains(watcher.get(page_of(secret)), "Read it")


def test_who_may_only_look_does_not_read(watcher, secret):
    assert read(watcher, secret).status_code == 403
    assert entries() == []


def test_who_may_not_even_look_does_not_read(staff, secret):
    person = staff("can_read_private")
    assert read(person, secret).status_code == 403
    assert person.get(page_of(secret)).status_code == 403
    assert person.get(LIST).status_code == 403
    assert entries() == []


def test_whoever_is_not_staff_is_asked_to_log_in(as_charlie, secret):
    assert read(as_charlie, secret).status_code == 302
    assert entries() == []


def test_too_long_a_reason_is_refused_and_not_lost(moderator, secret):
    reason = "because " * conf.REASON_CHARS
    page = read(moderator, secret, reason=reason)
    assertContains(page, reason.strip())
    assertNotContains(page, SECRET)
    assert entries() == []


def test_nothing_is_read_that_cannot_be_written_down(moderator, secret, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError

    monkeypatch.setattr("chat.audit.record", refuse)
    with pytest.raises(RuntimeError):
        read(moderator, secret)


def test_a_tombstone_has_nothing_to_read(moderator, secret):
    messaging.take_down(secret.room_id, secret.seq)
    assertContains(moderator.get(page_of(secret)), "It was deleted")
    assertRedirects(read(moderator, secret), page_of(secret))
    assert entries() == []


def test_nobody_reads_a_message_that_is_not_there(moderator):
    assert moderator.post(f"{LIST}4711/read/").status_code == 404


# Taking it down


def test_what_is_taken_down_is_written_down_without_its_text(moderator, secret):
    moderator.post(page_of(secret, "delete"), {"post": "yes"})
    secret.refresh_from_db()
    assert (secret.deleted, secret.body) == (True, "")
    assert entries() == [("charlie", "deleted", str(secret), "")]
    assert SECRET not in str(AuditEntry.objects.values().get())


def test_each_of_many_is_written_down(moderator, secret, notice):
    select(moderator, secret, notice, post="yes")
    assert not Message.objects.filter(deleted=False).exists()
    assert {label for *_, label, _ in entries()} == {str(secret), str(notice)}


def test_what_is_a_tombstone_already_is_not_written_down_again(moderator, secret):
    for _ in range(2):
        moderator.post(page_of(secret, "delete"), {"post": "yes"})
    assert len(entries()) == 1


def test_what_its_room_has_let_go_of_stays_as_it_is(moderator, secret):
    Room.objects.filter(pk=secret.room_id).update(first_seq=2, first_rev=2)
    assert moderator.post(page_of(secret, "delete"), {"post": "yes"}).status_code == 302
    assert entries() == []
    assert head(secret.room) == 1


def test_who_may_not_delete_takes_nothing_down(watcher, secret):
    assert watcher.post(page_of(secret, "delete"), {"post": "yes"}).status_code == 403
    select(watcher, secret, post="yes")
    assert Message.objects.get().body == SECRET
    assert entries() == []


def test_nobody_takes_down_more_than_was_shown(moderator, alice, lobby):
    say_much(alice, lobby, 150)
    chosen = newest(lobby)
    select(moderator, chosen, select_across="1", post="yes")
    assert Message.objects.filter(deleted=True).count() == 1
    assertNotContains(moderator.get(LIST), "across all pages")


# Finding it


def test_an_announcement_has_no_author(watcher, lobby):
    messaging.proclaim(lobby.pk, "Down at noon")
    page = watcher.get(LIST)
    assertContains(page, "Announcement")
    assertContains(page, "Down at noon")
    assertContains(watcher.get(page_of(newest(lobby))), "Down at noon")


@pytest.mark.parametrize("page", ["change", "whereabouts"])
def test_a_message_leads_to_its_room_and_to_who_wrote_it(staff, alice, secret, page):
    shown = staff("view_message").get(page_of(secret, page))
    assertContains(shown, f'<a href="/admin/chat/room/{quote(secret.room_id)}/change/">')
    assertContains(shown, f'<a href="/admin/chat/access/{alice.pk}/change/">alice</a>')


def test_long_texts_are_cut_short_in_the_list(watcher, alice, lobby):
    say(alice, lobby, "long " * 100)
    assertContains(watcher.get(LIST), "long " * 15)
    assertNotContains(watcher.get(LIST), "long " * 17)


def test_messages_are_found_by_their_state(watcher, alice, lobby):
    say(alice, lobby, "as it was", "rude", "typo")
    messaging.take_down(lobby.pk, 2)
    messaging.edit(alice, lobby.pk, 3, "type")
    messaging.proclaim(lobby.pk, "Down at noon")
    for state, found in (
        ("deleted", [""]),
        ("edited", ["type"]),
        ("announcement", ["Down at noon"]),
        ("nonsense", ["Down at noon", "type", "", "as it was"]),
    ):
        assert texts(watcher.get(LIST, {"state": state})) == found


def test_messages_are_found_by_the_kind_of_their_room(watcher, secret, notice):
    assert texts(watcher.get(LIST, {"kind": "everyone"})) == ["Good morning"]
    assert texts(watcher.get(LIST, {"kind": "group"})) == [SECRET]


def test_only_the_newest_are_asked_for_the_kind_of_their_room(watcher, secret, notice, monkeypatch):
    monkeypatch.setattr(lists, "NEWEST", 1)
    assert texts(watcher.get(LIST, {"kind": "group"})) == []


def test_messages_of_a_room_or_a_person_come_newest_first(watcher, alice, bob, kitchen, lobby):
    say(alice, kitchen, "one", "two")
    say(bob, kitchen, "three")
    say(bob, lobby, "four")
    assert texts(watcher.get(LIST, {"q": kitchen.pk})) == ["three", "two", "one"]
    assert texts(watcher.get(LIST, {"q": "bob"})) == ["four", "three"]
    assert texts(watcher.get(LIST, {"q": "nobody"})) == []


@pytest.mark.parametrize("asked", [{"kind": "x"}, {"p": "x"}, {"q": "%"}, {"o": "1"}], ids=str)
def test_nonsense_is_answered_with_a_list(watcher, notice, asked):
    assert watcher.get(LIST, asked, follow=True).status_code == 200


def test_state_and_room_or_person_narrow_down_together(watcher, alice, bob, garden, lobby):
    for room in (garden, lobby):
        say(alice, room, "typo")
        messaging.edit(alice, room.pk, newest(room).seq, f"type in {room}")
    say(bob, lobby, "as it was")
    for asked in (garden.pk, "alice", "bob"):
        found = texts(watcher.get(LIST, {"q": asked, "state": "edited"}))
        assert found == {"alice": ["type in Lobby", "type in Garden"], "bob": []}.get(
            asked, ["type in Garden"]
        )


def test_who_has_said_much_is_found_all_the_same(watcher, alice, bob, lobby, monkeypatch):
    monkeypatch.setattr(lists, "CAP", 2)
    say(alice, lobby, "one", "two", "three")
    say(bob, lobby, "four")
    assert texts(watcher.get(LIST, {"q": "alice"})) == ["three", "two", "one"]
    assert texts(watcher.get(LIST, {"q": "bob"})) == ["four"]


# By time


def date(message, at):
    Message.objects.filter(pk=message.pk).update(created_at=at)


@pytest.fixture
def aged(alice, lobby):
    """Said forty days ago, ten, three, and now: though midnight come before they are looked for."""
    say(alice, lobby, "40", "10", "3", "0")
    now = timezone.now() + timedelta(minutes=5)
    for message in Message.objects.all():
        date(message, now - timedelta(days=int(message.body)))
    return list(Message.objects.order_by("pk"))


def count_hours(messages):
    """As the minute's chore does."""
    for message in messages:
        at = message.created_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        Hour.objects.create(at=at, messages=1, first_message=message.pk)
    Tally.objects.create(upto=messages[-1].pk if messages else 0)


@pytest.mark.parametrize("counted", [0, 1, 3, 4])
def test_messages_are_found_by_time_however_many_hours_have_counted(watcher, aged, counted):
    count_hours(aged[:counted])
    assert texts(watcher.get(LIST, {"since": "today"})) == ["0"]
    assert texts(watcher.get(LIST, {"since": "week"})) == ["0", "3"]
    assert texts(watcher.get(LIST, {"since": "month"})) == ["0", "3", "10"]
    assert texts(watcher.get(LIST, {"since": "nonsense"})) == ["0", "3", "10", "40"]


def test_a_day_that_begins_within_an_hour_is_kept_apart(watcher, aged, settings, alice, lobby):
    settings.TIME_ZONE = "Asia/Kolkata"  # half an hour beside the others
    midnight = timezone.localtime().replace(hour=0, minute=0, second=0, microsecond=0)
    *_, before, after = aged
    date(before, midnight - timedelta(minutes=1))
    date(after, midnight + timedelta(minutes=1))
    hour = midnight.astimezone(UTC).replace(minute=0)
    Hour.objects.create(at=hour, messages=2, first_message=before.pk)
    Tally.objects.create(upto=after.pk)
    assert texts(watcher.get(LIST, {"since": "today"})) == ["0"]


def test_only_messages_since_then_are_looked_through(aged):
    count_hours(aged)
    begin = aged[2].created_at
    assert lists._first_key(begin) == aged[2].pk
    assert lists._first_key(datetime(9999, 1, 1, tzinfo=UTC)) == aged[3].pk + 1


# Many of them


def test_a_million_are_not_counted(watcher, alice, lobby, monkeypatch):
    monkeypatch.setattr(lists.Capped, "cap", 120)
    monkeypatch.setattr(lists.Capped, "cap_told", "120")
    say_much(alice, lobby, 130)
    page = watcher.get(LIST)
    assertContains(page, "More than 120 messages")
    assertContains(watcher.get(LIST, {"q": "alice"}), "More than 120 results")
    assert page.context["cl"].paginator.num_pages == 3
    assert len(texts(watcher.get(LIST, {"p": 3}))) == 20
    assertContains(watcher.get(LIST, {"q": "bob"}), "0 messages")


def test_nobody_counts_a_million_by_asking_for_facets(watcher, notice):
    assertNotContains(watcher.get(LIST), "Show counts")
    assertNotContains(watcher.get(LIST, {"_facets": "True"}), "Edited (0)")


def test_the_list_costs_the_same_for_few_and_for_many(watcher, alice, bob, kitchen, lobby):
    say(alice, lobby, "one")

    def costs():
        asked = ({}, {"q": "alice"}, {"state": "edited"}, {"since": "week"}, {"kind": "group"})
        return [queries(lambda: watcher.get(LIST, one)) for one in asked]  # noqa: B023

    few = costs()
    say_much(alice, lobby, 150)
    for n in range(5):
        say(bob, rooms.create(bob, f"Room {n}"), "more")
    messaging.edit(alice, lobby.pk, 1, "won")
    assert costs() == few


# The offline queue


QUEUE = "/admin/chat/waiting/"


@pytest.fixture
def operator(staff):
    return staff("view_waiting", "view_message", "view_room", "view_access")


def shown(page):
    return [queue.username for queue in page.context["queues"]]


def test_the_queue_says_for_whom_something_waits_and_why(operator, alice, bob, kitchen):
    say(alice, kitchen, SECRET)
    LastSeen.objects.create(user=bob, at=timezone.now())
    page = operator.get(QUEUE, {"q": "bo"})
    [queue] = page.context["queues"]
    assert (queue.username, queue.changes, queue.rooms) == ("bob", 1, 1)
    assertContains(page, "Away since")
    assertNotContains(page, SECRET)


def test_the_queue_can_be_sorted_and_searched(operator, alice, bob, kitchen, lobby):
    messaging.acknowledge({kitchen.memberships.get(user=bob).pk: 0})
    say(alice, kitchen, "one", "two")
    messaging.acknowledge({kitchen.memberships.get(user=alice).pk: 1})
    assert shown(operator.get(QUEUE)) == ["bob", "alice"]
    assert shown(operator.get(QUEUE, {"o": "-changes"})) == ["alice", "bob"]
    assert shown(operator.get(QUEUE, {"o": "rooms"})) == ["alice", "bob"]
    assert shown(operator.get(QUEUE, {"o": "nonsense"})) == ["bob", "alice"]
    assert shown(operator.get(QUEUE, {"q": "al"})) == ["alice"]
    assert shown(operator.get(QUEUE, {"q": "%"})) == []


def test_what_waits_for_somebody_leads_to_where_it_is(operator, alice, bob, kitchen):
    say(alice, kitchen, "one", "two")
    page = operator.get(f"{QUEUE}{bob.pk}/")
    first = Message.objects.get(room=kitchen, seq=1)
    assertContains(page, page_of(first, "whereabouts"))
    assertContains(page, "Has never been connected")


def test_where_nothing_waits_the_queue_says_so(operator, bob):
    assertContains(operator.get(QUEUE), "Nothing waits for anybody.")
    assertContains(operator.get(f"{QUEUE}{bob.pk}/"), "Nothing waits.")


@pytest.mark.parametrize("key", ["4711", "nonsense", "9" * 30])
def test_nobody_has_no_queue(operator, key):
    assert operator.get(f"{QUEUE}{key}/").status_code == 404


def test_only_who_may_look_at_the_queue_does(watcher, bob):
    assert watcher.get(QUEUE).status_code == 403
    assert watcher.get(f"{QUEUE}{bob.pk}/").status_code == 403


def test_the_queue_costs_the_same_for_few_and_for_many(operator, alice, bob, kitchen, lobby):
    say(alice, kitchen, "one")

    def costs():
        return [queries(lambda: operator.get(page)) for page in (QUEUE, f"{QUEUE}{bob.pk}/")]  # noqa: B023

    few = costs()
    crowd(lobby, 150)
    for n in range(5):
        say(alice, rooms.create(alice, f"Room {n}", members=[bob]), "more")
    say(alice, lobby, "hello")
    assert len(shown(operator.get(QUEUE))) == 100
    assert costs() == few
