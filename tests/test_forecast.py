"""What would go is told by numbers: rightly, also where it is much, and with few questions."""

from datetime import UTC, datetime, timedelta

import pytest

from chat import forecast as forecasts
from chat import rooms
from chat.forecast import forecast
from chat.models import Message, Room
from chat.retention import purge
from tests.conversation import queries, say_much


def age(room, upto, days=100):
    then = datetime.now(UTC) - timedelta(days=days)
    Message.objects.filter(room=room, seq__lte=upto).update(created_at=then)


def would_go(rooms=None, days=90):
    told = forecast(Room.objects.all() if rooms is None else rooms, days)
    return {share.room.pk: share.messages for share in told.shares}


@pytest.mark.parametrize("old", [0, 1, 2, 3, 4, 7, 8, 9, 10])
def test_as_many_go_as_are_old(alice, kitchen, old):
    say_much(alice, kitchen, 10)
    age(kitchen, upto=old)
    assert would_go() == ({kitchen.pk: old} if old else {})
    assert sum(purged.messages for purged in purge(timedelta(days=90))) == old


def test_what_has_gone_does_not_go_again(alice, kitchen):
    say_much(alice, kitchen, 10)
    age(kitchen, upto=4)
    [*purge(timedelta(days=90))]
    assert would_go() == {}
    age(kitchen, upto=7)
    assert would_go() == {kitchen.pk: 3}


def test_rooms_are_told_by_how_much_goes(alice, kitchen, garden, lobby, monkeypatch):
    monkeypatch.setattr(forecasts, "SHOWN", 2)
    for room, old in ((kitchen, 2), (garden, 9), (lobby, 5)):
        say_much(alice, room, 10)
        age(room, upto=old)
    told = forecast(Room.objects.all(), 90)
    assert [share.messages for share in told.shares] == [9, 5]
    assert (told.rooms, told.messages, told.is_whole) == (3, 16, True)


def test_for_ever_is_nothing(alice, kitchen):
    say_much(alice, kitchen, 1)
    age(kitchen, upto=1)
    assert would_go(days=0) == {}


def test_more_rooms_and_messages_take_few_questions(alice, kitchen):
    say_much(alice, kitchen, 2)
    age(kitchen, upto=1)
    few = queries(would_go)
    for n in range(20):
        room = rooms.create(alice, f"Room {n}")
        say_much(alice, room, 60)
        age(room, upto=n)
    assert queries(would_go) <= few + 6


@pytest.mark.parametrize(("limit", "value"), [("PATIENCE", -1), ("MOST_ROOMS", 1)])
def test_what_takes_long_is_told_as_far_as_it_was_seen(
    alice, kitchen, garden, monkeypatch, limit, value
):
    monkeypatch.setattr(forecasts, "AT_ONCE", 1)
    monkeypatch.setattr(forecasts, limit, value)
    for room, count in ((kitchen, 4), (garden, 9)):
        say_much(alice, room, count)
        age(room, upto=count)
    told = forecast(Room.objects.all(), 90)
    assert (told.messages, told.is_whole) == (9, False)
