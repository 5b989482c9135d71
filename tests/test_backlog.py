"""What waits for people who are away is told as it is, however many they are."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from chat import backlog, control, leases, messaging, reach, rooms
from chat.models import Connection, LastSeen, Lease, Membership, Message, Room
from chat.reach import State
from tests.conversation import crowd, deactivate, head, queries, say_much, seat_of, stored
from tests.conversation import say as post


@pytest.fixture(autouse=True)
def nobody_waits_for_the_lobby(lobby):
    """Only what a test says waits."""


def say(user, room, *bodies):
    """As they are stored: with their keys."""
    post(user, room, *bodies)
    return stored(room)[-len(bodies) :]


def arrive(user, room, rev):
    messaging.acknowledge({seat_of(user, room).pk: rev})


def queue_of(user):
    [queue] = [queue for queue in backlog.told(list(backlog.queues())) if queue.user_id == user.pk]
    return queue


def age(message, **ago):
    at = timezone.now() - timedelta(**ago)
    Message.objects.filter(pk=message.pk).update(created_at=at)
    return at


def connect(user, state=Connection.State.LIVE, key="phone"):
    leases.begin(f"w-{key}", {key: leases.Link(user.pk, state=state)})


def why(user):
    return reach.reach([user.pk])[user.pk]


# How much, since when


def test_nothing_waits_where_nothing_was_said(alice, bob, kitchen):
    assert backlog.summary() == {"people": 0, "changes": 0, "oldest": None}
    assert not backlog.queues().exists()


def test_what_waits_is_counted_and_its_oldest_told(alice, bob, kitchen):
    first, *_ = say(alice, kitchen, "one", "two", "three")
    arrive(alice, kitchen, 3)
    at = age(first, hours=2)
    assert backlog.summary() == {"people": 1, "changes": 3, "oldest": at.isoformat()}
    assert queue_of(bob)[1:5] == ("bob", 3, 1, at)


def test_what_arrived_waits_no_more(alice, bob, kitchen):
    say(alice, kitchen, "one", "two")
    arrive(alice, kitchen, 2)
    arrive(bob, kitchen, 1)
    assert backlog.summary()["changes"] == 1
    arrive(bob, kitchen, 2)
    assert backlog.summary()["people"] == 0


def test_edits_and_deletions_wait_too(alice, bob, kitchen):
    [one, two] = say(alice, kitchen, "one", "two")
    arrive(bob, kitchen, 2)
    age(one, days=300)
    edited = messaging.edit(alice, kitchen.pk, one.seq, "won")
    messaging.delete(alice, kitchen.pk, two.seq)
    assert queue_of(bob).changes == 2
    assert queue_of(bob).since == edited.edited_at, "not when it was said"


def test_nobody_knows_since_when_a_deletion_waits(alice, bob, kitchen):
    [one] = say(alice, kitchen, "one")
    arrive(bob, kitchen, 1)
    messaging.delete(alice, kitchen.pk, one.seq)
    assert queue_of(bob).since is None
    assert backlog.summary()["oldest"] is None


def test_the_oldest_is_found_over_all_rooms(alice, bob, kitchen):
    attic = rooms.create(alice, "Attic", members=[bob])
    [older] = say(alice, attic, "older")
    say(alice, kitchen, "newer")
    at = age(older, days=3)
    assert queue_of(bob)[2:5] == (2, 2, at)
    assert backlog.summary()["oldest"] == at.isoformat()


def test_what_a_room_has_let_go_of_is_not_the_oldest(alice, bob, kitchen):
    gone, kept = say(alice, kitchen, "gone", "kept")
    age(gone, days=90)
    at = age(kept, days=1)
    Room.objects.filter(pk=kitchen.pk).update(first_seq=2, first_rev=2)
    assert queue_of(bob).since == at
    [waits] = backlog.of(bob.pk)
    assert (waits.first, waits.since) == (kept.pk, at)


def test_who_may_not_log_in_does_not_count_but_is_listed(alice, bob, kitchen):
    say(alice, kitchen, "one")
    arrive(alice, kitchen, 1)
    deactivate(bob)
    assert backlog.summary() == {"people": 0, "changes": 0, "oldest": None}
    assert queue_of(bob).reach.state == State.DEACTIVATED


def test_a_summary_fits_into_json(alice, bob, kitchen):
    say(alice, kitchen, "one")
    assert json.loads(json.dumps(backlog.summary())) == backlog.summary()


def test_what_waits_is_told_room_by_room(alice, bob, kitchen):
    attic = rooms.create(alice, "Attic", members=[bob])
    [first, _] = say(alice, attic, "one", "two")
    [only] = say(alice, kitchen, "three")
    told = [(waits.room, waits.changes, waits.first) for waits in backlog.of(bob.pk)]
    assert told == [(attic, 2, first.pk), (kitchen, 1, only.pk)]


def test_whoever_is_looked_for_is_found_by_the_beginning_of_the_name(alice, bob, kitchen):
    say(alice, kitchen, "one")
    assert [queue["user"] for queue in backlog.queues("bo")] == [bob.pk]
    assert not backlog.queues("ob").exists()


# Why


def test_who_never_came_never_came(bob):
    assert why(bob) == (State.NEVER, None, None, ())


def test_who_left_is_away_since_then(bob):
    at = timezone.now()
    LastSeen.objects.create(user=bob, at=at)
    assert why(bob) == (State.AWAY, at, None, ())


@pytest.mark.parametrize("state", Connection.State)
def test_who_is_connected_is_as_far_as_the_connection_is(bob, state):
    connect(bob, state)
    assert why(bob).state == state.value
    assert [connection.pk for connection in why(bob).connections] == ["phone"]


def test_one_device_that_gets_everything_is_enough(bob):
    connect(bob, Connection.State.BEHIND, "phone")
    connect(bob, Connection.State.LIVE, "laptop")
    assert why(bob).state == State.LIVE
    assert len(why(bob).connections) == 2


def test_who_is_banned_is_kept_out_until_then(bob):
    until = timezone.now() + timedelta(hours=1)
    control.ban(bob, until)
    assert (why(bob).state, why(bob).banned_until) == (State.BANNED, until)


def test_a_ban_that_is_over_is_no_reason(bob):
    control.ban(bob, timezone.now() - timedelta(hours=1))
    assert why(bob).state == State.NEVER


def test_who_is_deactivated_is_not_waited_for(bob):
    deactivate(bob)
    assert why(bob).state == State.DEACTIVATED


def test_a_connection_of_a_dead_worker_is_none(bob):
    connect(bob)
    Lease.objects.update(renewed_at=timezone.now() - 2 * leases.LIFE)
    assert why(bob).state == State.NEVER


# What it costs


def test_all_of_it_costs_the_same_for_few_and_for_many(alice, bob, kitchen, lobby):
    say(alice, kitchen, "one")

    def costs():
        return (
            queries(backlog.summary),
            queries(lambda: backlog.told(list(backlog.queues()))),
            queries(lambda: list(backlog.of(bob.pk))),
        )

    few = costs()
    say_much(alice, lobby, 50)
    crowd(lobby, 300)
    for n in range(5):
        say(alice, rooms.create(alice, f"Room {n}", members=[bob]), "more")
    assert backlog.queues().count() > 300
    assert head(lobby) == 50
    assert Membership.objects.filter(user=bob).count() > 5
    assert costs() == few
