"""What those who run the site say as such: it comes and stays like any other message."""

from unittest.mock import patch
from uuid import UUID

import pytest
from django.core.management import CommandError, call_command

from chat import access, announcing, audit, messaging, people, rooms
from chat.audit import Actor
from chat.errors import Empty, Forbidden, IdConflict, NotFound, TooLong
from chat.models import AuditEntry, Membership, Message, Room
from tests.callers import Caller
from tests.conftest import token
from tests.conversation import at_once, bodies, deactivate, queries, say, seat_of, stored
from tests.failures import meanwhile
from tests.fake_browser import browser, text_page


async def test_whoever_is_there_sees_it_and_so_does_whoever_comes(
    impatient, application, elsewhere, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await meanwhile(messaging.proclaim, kitchen.pk, "Down at noon")
        for page in (alice, bob):
            await page.sees(kitchen.pk, "Down at noon")
    async with browser(application, tokens["bob"]) as late:
        history = await late.ask("history", room=kitchen.pk)
        for page in (alice, bob, late):
            [told] = page.client.messages[kitchen.pk].values()
            assert (told["announcement"], told["sender"]) == (True, None)
        assert history["messages"][0]["announcement"]


async def test_charlie_learns_nothing_of_what_is_said_in_the_kitchen(
    impatient, application, tokens, kitchen, lobby
):
    async with browser(application, tokens["charlie"]) as page:
        await meanwhile(messaging.proclaim, kitchen.pk, "For cooks")
        await meanwhile(messaging.proclaim, lobby.pk, "For all")
        await page.sees(lobby.pk, "For all")
        assert "For cooks" not in str(page.frames)


async def test_a_device_shows_it_without_a_sender(
    impatient, application, tokens, alice, bob, lobby
):
    direct = await meanwhile(rooms.open_direct, alice, bob)
    async with text_page(application, tokens["bob"]) as device:
        await meanwhile(messaging.proclaim, lobby.pk, "Down\nat noon")
        assert (await device.next()).split("|")[1:] == ["", "Lobby", "Down\\nat noon"]
        await meanwhile(messaging.proclaim, direct.pk, "Be kind")
        assert (await device.next()).split("|")[1:] == ["", "", "Be kind"]


def test_over_http_it_is_one_too(alice, kitchen):
    say(alice, kitchen, "Hello")
    messaging.proclaim(kitchen.pk, "Down at noon")
    told = Caller(token(alice)).get(f"/api/rooms/{kitchen.pk}/messages")["messages"]
    assert [message.get("announcement") for message in told] == [None, True]


def test_it_is_said_where_nobody_may_speak(alice, bob, charlie, kitchen):
    direct = people.block(alice, bob, True)
    Room.objects.filter(pk=kitchen.pk).update(archived=True, slow_mode=60)
    for room in (direct, kitchen):
        for sender in (None, charlie, charlie):
            assert messaging.proclaim(room.pk, "Still", sender).announcement
    assert access.seat(alice.pk, kitchen.pk).room.seq == 3


def test_who_is_named_as_its_sender_need_not_be_there_and_may_take_it_back(alice, charlie, kitchen):
    message = messaging.proclaim(kitchen.pk, "Hello", alice)
    assert (message.sender_name, message.sender_id) == ("alice", alice.pk)
    assert messaging.edit(alice, kitchen.pk, message.seq, "Good day").announcement
    assert messaging.delete(alice, kitchen.pk, message.seq).deleted
    messaging.proclaim(kitchen.pk, "Hello", charlie)
    with pytest.raises(NotFound):
        messaging.delete(charlie, kitchen.pk, 2)


def test_nobody_but_a_moderator_deletes_what_the_system_said(alice, bob, kitchen):
    messaging.proclaim(kitchen.pk, "Down at noon")
    with pytest.raises(Forbidden):
        messaging.delete(bob, kitchen.pk, 1)
    with pytest.raises(Forbidden):
        messaging.edit(alice, kitchen.pk, 1, "Up at noon")
    assert messaging.delete(alice, kitchen.pk, 1).deleted


def test_it_waits_for_everybody_and_for_whoever_said_it_not(alice, bob, kitchen):
    messaging.proclaim(kitchen.pk, "Hello", alice)
    assert seat_of(alice, kitchen).read_seq == 1
    assert seat_of(bob, kitchen).read_seq == 0


@pytest.mark.parametrize(("body", "error"), [(" ", Empty), ("x" * 4_001, TooLong)])
def test_what_nobody_could_say_is_not_said(kitchen, body, error):
    with pytest.raises(error):
        messaging.proclaim(kitchen.pk, body)
    assert not Message.objects.exists()


def test_it_takes_the_same_in_a_large_room(alice, kitchen, station):
    few = queries(lambda: messaging.proclaim(kitchen.pk, "Hello", alice))
    assert queries(lambda: messaging.proclaim(station.pk, "Hello", alice)) == few


# Once


def at_the_same_moment(sender, *room_ids):
    """Two confirm the same; how many messages are new."""

    def say_it():
        said = messaging.proclaim_in(room_ids, "Down at noon", sender, ID)
        return [posted.new for posted in said]

    return [is_new for one in at_once(say_it, say_it) for is_new in one].count(True)


ID = UUID(int=7)


def test_what_two_confirm_at_the_same_moment_is_said_once(transactional_db, alice, kitchen, lobby):
    assert at_the_same_moment(None, kitchen.pk) == 1
    assert at_the_same_moment(alice, kitchen.pk, lobby.pk) == 2
    assert len(stored(kitchen)) == 2


def test_the_id_of_other_words_is_not_taken_for_theirs(kitchen, alice):
    for sender in (None, alice):
        messaging.proclaim_in([kitchen.pk], "Down at noon", sender, ID)
        with pytest.raises(IdConflict):
            messaging.proclaim_in([kitchen.pk], "Down at one", sender, ID)


def test_it_is_said_in_all_rooms_or_in_none(alice, kitchen):
    with pytest.raises(NotFound):
        messaging.proclaim_in([kitchen.pk, "nowhere"], "Down at noon", alice, ID)
    assert not Message.objects.exists()


def test_to_some_people_it_is_said_in_direct_rooms(alice, bob, charlie):
    assert announcing.announce_to(OLGA, [alice, bob], "Down at noon", charlie, ID)
    assert not announcing.announce_to(OLGA, [alice, bob], "Down at noon", charlie, ID)
    for person in (alice, bob):
        direct = rooms.open_direct(charlie, person)
        assert bodies(stored(direct)) == ["Down at noon"]
        assert seat_of(charlie, direct).read_seq == 1
        assert seat_of(person, direct).read_seq == 0


def test_nothing_is_said_that_the_log_does_not_tell(alice, bob, charlie, kitchen):
    with patch.object(audit, "record", side_effect=RuntimeError):
        for announce in (
            lambda: announcing.announce(OLGA, kitchen, "Down at noon", None, ID),
            lambda: announcing.announce_to(OLGA, [alice, bob], "Down at noon", charlie, ID),
        ):
            with pytest.raises(RuntimeError):
                announce()
    assert not Message.objects.exists()


def test_who_cannot_log_in_does_not_get_it(alice, bob, kitchen):
    deactivate(bob)
    assert announcing.recipients(kitchen) == 1


OLGA = Actor("olga", address="192.0.2.7")


# What an operator types


def test_an_operator_tells_everybody(alice, lobby, capsys):
    call_command("announcement", "Down at noon")
    message = Message.objects.get()
    assert (message.room_id, message.sender_id, message.body) == (lobby.pk, None, "Down at noon")
    assert message.announcement
    assert "Said in Lobby, as its message 1, to 1 person." in capsys.readouterr().out


def test_what_an_operator_announces_is_in_the_log(alice, bob, kitchen, capsys):
    call_command("announcement", "Clean up", "--room", kitchen.pk)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.label, entry.after) == ("announced", "Kitchen", {"recipients": 2})
    assert entry.actor_name.startswith("manage.py")
    assert "to 2 people" in capsys.readouterr().out


def test_an_operator_tells_a_room_as_somebody(alice, kitchen):
    call_command("announcement", "Clean up", "--room", kitchen.pk, "--from", "alice")
    message = Message.objects.get()
    assert (message.room_id, message.sender_id) == (kitchen.pk, alice.pk)


def test_there_is_nobody_to_tell_before_anybody_came(db):
    call_command("announcement", "Hello?")
    assert (Message.objects.count(), Membership.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["Hello", "--room", "nowhere"], "no room nowhere"),
        (["Hello", "--from", "nobody"], "no user 'nobody'"),
        ([" "], "empty"),
    ],
)
def test_an_operator_is_told_what_cannot_be(db, arguments, told):
    with pytest.raises(CommandError, match=told):
        call_command("announcement", *arguments)
