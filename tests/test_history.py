"""How much was said: each message is counted once, whoever counts, and whenever it was stored."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone

from chat import backlog, history, leases, messaging
from chat.models import Activity, Day, Hour, Message, Tally
from tests.conversation import at_once, draft, queries, say, say_much

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(history, "BATCH", 3)


@pytest.fixture
def at_noon(monkeypatch):
    """Whoever reads what was counted does so on a Wednesday at twelve."""
    noon = datetime(2026, 7, 1, 12, 30, tzinfo=UTC)
    monkeypatch.setattr(timezone, "now", lambda: noon)
    return noon.replace(minute=0)


def age(messages=None, by=timedelta(minutes=1)):
    """Let these, or all, have been said as long ago as this."""
    messages = Message.objects.all() if messages is None else messages
    messages.update(created_at=timezone.now() - by)


def said_at(sender, room, *moments):
    for moment in moments:
        [message] = say(sender, room, "Hello")
        Message.objects.filter(room=room, seq=message.seq).update(created_at=moment)


def count():
    """As the chores do."""
    pieces = 1
    history.claim()
    while history.count_some():
        pieces += 1
    history.sum_up()
    while history.forget_a_day():
        pass
    return pieces


def counted():
    return sum(Hour.objects.values_list("messages", flat=True))


def people():
    return dict(Day.objects.values_list("date", "people"))


def put(at, messages):
    Hour.objects.create(at=at, messages=messages, first_message=1)


# Whose turn it is


def test_one_worker_of_all_counts_and_for_a_while_nobody_does_again(db):
    assert history.claim()
    assert not history.claim()
    Tally.objects.update(counted_at=timezone.now() - timedelta(minutes=1))
    assert history.claim()


@pytest.mark.django_db(transaction=True)
def test_of_workers_that_come_at_the_same_moment_one_counts():
    assert sorted(at_once(history.claim, history.claim, history.claim)) == [False, False, True]


# Each message once


def test_what_was_said_is_in_its_hour(db, alice, kitchen):
    three = datetime(2026, 7, 1, 3, tzinfo=UTC)
    moments = [three - timedelta(microseconds=1), three, three + HOUR - timedelta(microseconds=1)]
    said_at(alice, kitchen, *moments, three + HOUR)
    count()
    hours = dict(Hour.objects.values_list("at", "messages"))
    assert hours == {three - HOUR: 1, three: 2, three + HOUR: 1}


def test_an_hour_knows_its_first_message(alice, kitchen):
    say_much(alice, kitchen, 3)
    age()
    count()
    [hour] = Hour.objects.all()
    assert hour.first_message == Message.objects.order_by("pk").first().pk


def test_counting_again_counts_nothing_again(alice, kitchen):
    say_much(alice, kitchen, 3)
    age()
    count()
    count()
    assert counted() == 3
    say_much(alice, kitchen, 2)
    age()
    count()
    assert counted() == 5


def test_what_was_said_just_now_is_counted_later(alice, kitchen):
    say(alice, kitchen, "old")
    age()
    say(alice, kitchen, "new")
    count()
    assert counted() == 1
    age()
    count()
    assert counted() == 2


def test_nobody_reads_past_what_is_new_even_if_something_old_is_behind_it(alice, kitchen):
    """A transaction that is still open may hold a key between the two."""
    say(alice, kitchen, "new", "old")
    age(Message.objects.exclude(body="new"))
    count()
    assert counted() == 0


def test_tombstones_were_said_too(alice, kitchen):
    say_much(alice, kitchen, 3)
    messaging.delete(alice, kitchen.pk, 2)
    age()
    count()
    messaging.delete(alice, kitchen.pk, 3)
    count()
    assert counted() == 3


def test_a_long_past_is_counted_in_pieces(small_pieces, alice, kitchen):
    say_much(alice, kitchen, 10)
    age()
    assert count() == 4
    assert counted() == 10
    assert len(Hour.objects.all()) <= 2


def test_what_was_interrupted_goes_on_where_it_was(small_pieces, alice, kitchen):
    say_much(alice, kitchen, 10)
    age()
    history.claim()
    assert history.count_some()
    assert counted() == 3
    count()
    assert counted() == 10


def test_what_failed_half_way_has_counted_nothing(alice, kitchen, monkeypatch):
    say_much(alice, kitchen, 3)
    age()
    history.claim()
    with monkeypatch.context() as broken:
        broken.setattr(history, "_note_senders", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            history.count_some()
    count()
    assert counted() == 3


@pytest.mark.django_db(transaction=True)
def test_workers_that_count_at_the_same_moment_count_each_message_once(
    small_pieces, alice, kitchen
):
    say_much(alice, kitchen, 30)
    age()
    history.claim()

    def count_all():
        while history.count_some():
            pass

    at_once(count_all, count_all, count_all)
    assert counted() == 30


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite commits one after the other")
def test_what_is_committed_late_is_counted_all_the_same(alice, kitchen, garden):
    """Its key is lower than that of what was counted before it was there."""

    def count_in_the_meantime():
        with transaction.atomic():
            messaging.post([draft(alice, kitchen, "early key")])
            at_once(lambda: say(alice, garden, "late key"))
            at_once(count)

    at_once(count_in_the_meantime)
    assert [*Message.objects.order_by("pk").values_list("body", flat=True)] == [
        *("early key", "late key")
    ]
    age()
    Tally.objects.update(counted_at=None)
    count()
    assert counted() == 2


# Who was active


def test_who_wrote_on_a_day_is_counted_once(alice, bob, kitchen):
    today = timezone.now().date()
    say_much(alice, kitchen, 3)
    say(bob, kitchen, "I, too")
    Message.objects.update(created_at=datetime.combine(today, datetime.min.time(), UTC) - HOUR)
    count()
    count()
    assert people() == {today - DAY: 2}


def test_whoever_is_connected_is_active_without_a_word(alice, bob, kitchen):
    leases.begin("one", {"phone": leases.Link(bob.pk), "laptop": leases.Link(bob.pk)})
    history.claim()
    for _ in range(2):
        history.note_connected()
    history.sum_up()
    assert list(people().values()) == [1]


def test_who_was_active_is_forgotten_when_their_day_has_been_counted(small_pieces, alice, kitchen):
    say_much(alice, kitchen, 8)
    age(by=10 * DAY)
    history.claim()
    history.count_some()
    assert Activity.objects.count() == 1
    count()
    assert not Activity.objects.exists()
    assert list(people().values()) == [1]


def test_a_day_is_not_counted_down_when_somebody_is_erased(alice, bob, kitchen):
    say(alice, kitchen, "Hello")
    say(bob, kitchen, "Hello")
    age()
    count()
    Activity.objects.filter(user=bob).delete()
    count()
    assert list(people().values()) == [2]


def test_messages_of_nobody_count_and_nobody_is_active(alice, kitchen):
    say(alice, kitchen, "gone")
    Message.objects.update(sender=None)
    age()
    count()
    assert (counted(), people()) == (1, {})


def test_what_waits_for_people_who_are_away_is_noted(alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    history.claim()
    history.note_waiting(backlog.summary())
    told = Tally.objects.get().backlog
    assert (told["people"], told["changes"]) == (2, 6)


def test_counting_costs_the_same_for_few_and_for_many(alice, bob, kitchen):
    say(alice, kitchen, "Hello")
    age()
    few = queries(count)
    say_much(alice, kitchen, 300)
    say_much(bob, kitchen, 300)
    age()
    Tally.objects.update(counted_at=None)
    assert queries(count) <= few


# What is told of it


def test_hours_without_a_word_are_told_as_well(db, at_noon):
    put(at_noon, 4)
    put(at_noon - 2 * HOUR, 5)
    put(at_noon - 3 * HOUR, 6)
    expected = [(at_noon - 2 * HOUR, 5), (at_noon - HOUR, 0), (at_noon, 4)]
    assert history.hours(3) == expected


def test_days_are_told_with_messages_and_people(db, at_noon):
    put(at_noon, 4)
    put(at_noon - 12 * HOUR, 1)
    put(at_noon - 13 * HOUR, 5)
    put(at_noon - 60 * HOUR, 9)
    Day.objects.create(date=date(2026, 6, 30), people=2)
    assert history.days(2) == [(date(2026, 6, 30), 5, 2), (date(2026, 7, 1), 5, 0)]


def test_busiest_hours_are_averages_of_four_weeks(db, at_noon):
    tuesday = at_noon - DAY
    for weeks, messages in enumerate((4, 0, 4, 8)):
        if messages:
            put(tuesday - weeks * 7 * DAY, messages)
    put(tuesday - 4 * 7 * DAY, 100)  # too long ago
    put(at_noon, 100)  # not over yet
    week = history.busiest()
    assert (len(week), {len(day) for day in week}) == (7, {24})
    assert week[1][12] == 4.0
    assert sum(map(sum, week)) == 4.0


def test_busiest_hours_begin_with_the_first_word(db, at_noon):
    put(at_noon - DAY, 6)
    assert history.busiest()[1][12] == 6.0


def test_where_nothing_was_said_all_is_zero(db):
    assert sum(messages for _, messages in history.hours(48)) == 0
    assert sum(day.messages + day.people for day in history.days(30)) == 0
    assert sum(map(sum, history.busiest())) == 0


def test_what_is_told_costs_the_same_for_few_and_for_many(db):
    def tell():
        history.hours(48), history.days(30), history.busiest()

    few = queries(tell)
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for n in range(100):
        put(now - n * 6 * HOUR, n)
    assert queries(tell) == few
