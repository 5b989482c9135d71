"""Where is my message? Told member by member: who has it, who has read it, why it waits."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains

from chat import control, leases, messaging, rooms, whereabouts
from chat.models import Connection, LastSeen, Membership, Message, Room
from chat.reach import State
from chat.whereabouts import Arrival, Shown
from tests.conversation import crowd, deactivate, queries, seat_of
from tests.conversation import say as post

NOON = timezone.now()


def say(user, room, body="Hello"):
    """As it is stored: with its key and its room."""
    [posted] = post(user, room, body)
    return again(room, posted.seq)


def again(room, seq):
    return Message.objects.select_related("room").get(room=room, seq=seq)


def arrive(user, room, rev):
    messaging.acknowledge({seat_of(user, room).pk: rev})


def read(user, room, seq):
    messaging.read({seat_of(user, room).pk: seq})


def connect(user, state, key="phone"):
    leases.begin(f"w-{key}", {key: leases.Link(user.pk, state=state)})


def join_later(user, room):
    rooms.place(user, room.pk)
    Membership.objects.filter(user=user, room=room).update(
        joined_at=timezone.now() + timedelta(hours=1)
    )


def whereabouts_of(message, user):
    told = whereabouts.told(message, list(whereabouts.members(message)))
    [member] = [member for member in told if member.user_id == user.pk]
    return member


# How far it is


def test_at_first_it_waits_for_the_others(alice, bob, kitchen):
    message = say(alice, kitchen)
    bobs = whereabouts_of(message, bob)
    assert (bobs.arrival, bobs.waits, bobs.has_read) == (Arrival.WAITS, True, False)
    assert whereabouts_of(message, alice).wrote_it
    assert not bobs.wrote_it


def test_bob_has_it_once_a_device_of_his_does(alice, bob, kitchen):
    message = say(alice, kitchen)
    arrive(bob, kitchen, message.rev)
    bobs = whereabouts_of(message, bob)
    assert (bobs.arrival, bobs.waits, bobs.has_read) == (Arrival.HAS, False, False)


def test_bob_has_read_it_once_he_has(alice, bob, kitchen):
    message = say(alice, kitchen)
    arrive(bob, kitchen, message.rev)
    read(bob, kitchen, message.seq)
    assert whereabouts_of(message, bob).has_read


def test_an_edit_waits_for_whoever_has_what_was_said_first(alice, bob, kitchen):
    message = say(alice, kitchen)
    arrive(bob, kitchen, message.rev)
    messaging.edit(alice, kitchen.pk, message.seq, "Hallo")
    edited = again(kitchen, message.seq)
    assert whereabouts_of(edited, bob)[2:4] == (Arrival.EARLIER, False)
    arrive(bob, kitchen, edited.rev)
    assert whereabouts_of(edited, bob).arrival == Arrival.HAS


def test_nothing_waits_for_whoever_joined_later(alice, charlie, kitchen):
    message = say(alice, kitchen)
    join_later(charlie, kitchen)
    charlies = whereabouts_of(message, charlie)
    assert (charlies.arrival, charlies.waits, charlies.has_read) == (Arrival.LATER, False, False)
    assert whereabouts.figures(message).later == 1


def test_an_edit_waits_for_whoever_joined_before_it(alice, charlie, kitchen):
    message = say(alice, kitchen)
    join_later(charlie, kitchen)
    messaging.edit(alice, kitchen.pk, message.seq, "Hallo")
    assert whereabouts_of(again(kitchen, message.seq), charlie).arrival == Arrival.WAITS


# Why it waits


def test_it_says_when_who_is_away_was_seen_last(alice, bob, kitchen):
    LastSeen.objects.create(user=bob, at=NOON)
    assert whereabouts_of(say(alice, kitchen), bob).reach[:2] == (State.AWAY, NOON)


def test_it_says_who_has_never_come(alice, bob, kitchen):
    assert whereabouts_of(say(alice, kitchen), bob).reach.state == State.NEVER


@pytest.mark.parametrize("state", Connection.State)
def test_it_says_how_a_connection_is(alice, bob, kitchen, state):
    connect(bob, state)
    reach = whereabouts_of(say(alice, kitchen), bob).reach
    assert (reach.state, len(reach.connections)) == (state.value, 1)


def test_it_says_who_is_banned_until_when(alice, bob, kitchen):
    until = NOON + timedelta(hours=1)
    control.ban(bob, until)
    reach = whereabouts_of(say(alice, kitchen), bob).reach
    assert (reach.state, reach.banned_until) == (State.BANNED, until)


def test_it_says_who_is_deactivated(alice, bob, kitchen):
    deactivate(bob)
    assert whereabouts_of(say(alice, kitchen), bob).reach.state == State.DEACTIVATED


# All of them


def test_everybody_is_counted_once(alice, bob, charlie, kitchen):
    message = say(alice, kitchen)
    crowd(kitchen, 5)
    arrive(alice, kitchen, 1)
    connect(bob, Connection.State.BEHIND)
    join_later(charlie, kitchen)
    figures = whereabouts.figures(message)
    assert figures == (8, 1, 1, 1, 6, 5)
    assert figures.connected == 1
    assert figures.members == figures.have + figures.later + figures.away + figures.connected


def test_members_are_shown_by_how_far_it_is(alice, bob, kitchen):
    message = say(alice, kitchen)
    arrive(alice, kitchen, message.rev)

    def shown(which, name=""):
        return [seat.user.username for seat in whereabouts.members(message, which, name)]

    assert shown(Shown.EVERYBODY) == ["alice", "bob"]
    assert shown(Shown.WAITING) == ["bob"]
    assert shown(Shown.HAVING) == shown(Shown.READING) == ["alice"]
    assert shown(Shown.EVERYBODY, "bo") == ["bob"]
    assert shown(Shown.HAVING, "bo") == []


# The page


def page_of(message, **asked):
    return f"/admin/chat/message/{message.pk}/whereabouts/", asked


@pytest.fixture
def watcher(client, charlie):
    """Staff who may look at messages, and no more."""
    charlie.is_staff = True
    charlie.save()
    charlie.user_permissions.add(Permission.objects.get(codename="view_message"))
    client.force_login(charlie)
    return client


def test_the_page_says_where_it_is(watcher, alice, bob, kitchen):
    message = say(alice, kitchen, "secret")
    arrive(alice, kitchen, message.rev)
    LastSeen.objects.create(user=bob, at=NOON)
    page = watcher.get(*page_of(message))
    assertContains(page, "Away since")
    assertContains(page, "Has yet to get it")
    assertContains(page, "they do not hide it from you")
    assertNotContains(page, "secret")


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("live", "on its way, or not confirmed yet"),
        ("behind", "the connection is behind"),
        ("silent", "no connection has resumed yet"),
    ],
)
def test_the_page_says_why_it_waits_for_who_is_connected(
    watcher, alice, bob, kitchen, state, words
):
    connect(bob, state)
    assertContains(watcher.get(*page_of(say(alice, kitchen))), words)


def test_the_page_says_who_is_kept_out(watcher, alice, bob, kitchen):
    message = say(alice, kitchen)
    control.ban(bob, NOON + timedelta(hours=1))
    assertContains(watcher.get(*page_of(message)), "Banned until")
    deactivate(bob)
    assertContains(watcher.get(*page_of(message)), "Deactivated: they cannot log in")


def test_the_page_shows_whom_it_is_asked_for(watcher, alice, bob, kitchen):
    message = say(alice, kitchen)
    arrive(alice, kitchen, message.rev)
    for asked, shown in (({"show": "waiting"}, "bob"), ({"q": "ali"}, "alice")):
        members = watcher.get(*page_of(message, **asked)).context["members"]
        assert [member.username for member in members] == [shown]


@pytest.mark.parametrize(
    "asked",
    [{"show": "nonsense"}, {"p": "nonsense"}, {"p": "99"}, {"q": "%"}],
    ids=str,
)
def test_a_page_that_cannot_be_is_another_one(watcher, alice, kitchen, asked):
    assert watcher.get(*page_of(say(alice, kitchen), **asked)).status_code == 200


def test_a_message_that_its_room_has_let_go_of_is_gone(watcher, alice, kitchen):
    message = say(alice, kitchen)
    Room.objects.filter(pk=kitchen.pk).update(first_seq=2, first_rev=2)
    assertContains(watcher.get(*page_of(message)), "It is gone")


def test_the_page_says_that_it_was_changed(watcher, alice, kitchen):
    message = say(alice, kitchen)
    messaging.edit(alice, kitchen.pk, message.seq, "Hallo")
    assertContains(watcher.get(*page_of(message)), "Edited")
    messaging.take_down(kitchen.pk, message.seq)
    assertContains(watcher.get(*page_of(message)), "Deleted, by the room")


def test_many_members_are_shown_page_by_page(watcher, alice, kitchen):
    crowd(kitchen, 150)
    message = say(alice, kitchen)
    first, second = (watcher.get(*page_of(message, p=n)).context["members"] for n in (1, 2))
    assert (len(first), len(second)) == (100, 52)
    assert not {member.user_id for member in first} & {member.user_id for member in second}


def test_the_page_costs_the_same_for_few_members_and_for_many(watcher, alice, bob, kitchen):
    message = say(alice, kitchen)
    connect(bob, Connection.State.LIVE)
    few = queries(lambda: watcher.get(*page_of(message)))
    crowd(kitchen, 300)
    assert queries(lambda: watcher.get(*page_of(message))) == few


def test_who_may_not_look_at_messages_is_not_told(client, alice, bob, kitchen):
    message = say(alice, kitchen)
    bob.is_staff = True
    bob.save()
    client.force_login(bob)
    assert client.get(*page_of(message)).status_code == 403


def test_nobody_is_told_of_a_message_that_is_not_there(watcher):
    for key in ("4711", "nonsense", "9" * 30):
        assert watcher.get(f"/admin/chat/message/{key}/whereabouts/").status_code == 404
