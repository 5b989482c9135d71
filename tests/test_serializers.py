"""Rows as frames: the shapes that clients get, and how a page is cut to fit."""

import json
from datetime import UTC, datetime
from itertools import pairwise
from uuid import UUID

import pytest

from chat import access, archive, conf, frames, leases, messaging, rooms, serializers
from chat.archive import Cursor, History, Page
from chat.models import Message, Room
from tests.conversation import draft, post, read_on, say, say_much, seat_of

LONG = "字" * conf.BODY_CHARS  # 12,000 bytes
WORST = "\x01" * conf.BODY_CHARS  # 24,000 bytes on the wire


def a_message(seq=1, rev=None, body="Hello", sender_name="alice", **fields):
    message = Message(
        room_id="kitchen",
        seq=seq,
        rev=rev or seq,
        born=seq,
        client_id=UUID(int=seq),
        body=body,
        created_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
        **fields,
    )
    message.sender_name = sender_name
    return message


def a_page(messages, after=0, upto=None, complete=True, reset=False):
    upto = messages[-1].rev if upto is None else upto
    return Page("kitchen", messages, after, upto, complete, reset, Cursor(upto))


def replay_frames(page):
    return [json.loads(line) for line in serializers.replay_frames(page)]


# Messages


def test_a_message_as_clients_see_it():
    [line] = serializers.message_lines([a_message(seq=3, rev=7)])
    assert json.loads(line) == {
        "type": "message",
        "room": "kitchen",
        "seq": 3,
        "rev": 7,
        "id": "00000000-0000-0000-0000-000000000003",
        "sender": "alice",
        "at": "2026-11-20T10:00:00.000Z",
        "body": "Hello",
    }


def test_an_edited_message_says_so():
    edited = a_message(edited_at=datetime(2026, 11, 20, 11, tzinfo=UTC))
    assert serializers.message_frame(edited).edited_at == "2026-11-20T11:00:00.000Z"


def test_a_deleted_message_has_no_body():
    [line] = serializers.message_lines([a_message(body="left over", deleted=True)])
    assert json.loads(line)["deleted"] is True
    assert "body" not in json.loads(line)


def test_a_message_of_the_system_has_no_sender():
    [line] = serializers.message_lines([a_message(sender_name=None)])
    assert json.loads(line)["sender"] is None


def test_a_retry_is_answered_as_the_first_time_even_after_an_edit(alice, kitchen):
    once = draft(alice, kitchen)
    first = serializers.posted_frame(post(once).message, "r1")
    messaging.edit(alice, kitchen.pk, 1, "Goodbye")
    assert serializers.posted_frame(post(once).message, "r1") == first
    assert (first.room, first.seq, first.rev, first.id) == (kitchen.pk, 1, 1, once.client_id)


# Rooms


def nobody(user_id):
    return False


def test_a_room_as_its_member_sees_it(alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    messaging.acknowledge({seat_of(bob, kitchen).pk: 2})
    frame = serializers.room_frame(access.seat(bob.pk, kitchen.pk), bob.pk, nobody, "r1")
    assert (frame.ref, frame.room, frame.kind, frame.name) == ("r1", kitchen.pk, "group", "Kitchen")
    assert (frame.role, frame.members, frame.peer) == ("member", 2, None)
    assert (frame.rev, frame.seq, frame.first_seq) == (3, 3, 1)
    assert (frame.delivered_rev, frame.read_seq) == (2, 0)
    assert frame.receipts == {"alice": (0, 3), "bob": (2, 0)}


def test_only_a_slow_room_tells_how_long_its_members_wait(alice, bob, kitchen):
    assert b"slow" not in frames.encode(
        serializers.room_frame(access.seat(bob.pk, kitchen.pk), bob.pk, nobody)
    )
    Room.objects.filter(pk=kitchen.pk).update(slow_mode=30)
    frame = serializers.room_frame(access.seat(bob.pk, kitchen.pk), bob.pk, nobody)
    assert b'"slow_mode":30' in frames.encode(frame)


def test_a_large_room_tells_no_receipts(alice, station):
    frame = serializers.room_frame(access.seat(alice.pk, station.pk), alice.pk, nobody)
    assert (frame.members, frame.receipts) == (301, None)


def test_a_small_room_tells_who_is_online_and_when_the_others_were_last_seen(alice, bob, kitchen):
    leases.begin("one", {"a": leases.Link(alice.pk), "b": leases.Link(bob.pk)})
    leases.renew("one", {}, ["a", "b"])
    seen = leases.last_seen([alice.pk])[alice.pk]
    frame = serializers.room_frame(
        access.seat(bob.pk, kitchen.pk), bob.pk, lambda user: user == bob.pk
    )
    assert frame.online == ["bob"]
    assert frame.last_seen == {"alice": frames.timestamp(seen)}


def test_a_large_room_does_not(alice, station):
    frame = serializers.room_frame(access.seat(alice.pk, station.pk), alice.pk, nobody)
    assert (frame.online, frame.last_seen) == (None, None)


def test_a_direct_room_tells_its_peer(alice, bob):
    room = rooms.open_direct(alice, bob)
    assert serializers.room_frame(access.seat(alice.pk, room.pk), alice.pk, nobody).peer == "bob"


def test_a_receipt_tells_how_far_somebody_got(alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    [membership] = messaging.read({seat_of(bob, kitchen).pk: 2})
    frame = serializers.receipt_frame("bob", membership)
    assert (frame.room, frame.user) == (kitchen.pk, "bob")
    assert (frame.delivered_rev, frame.read_seq) == (0, 2)


# Pages


def test_a_small_page_is_one_frame():
    [frame] = replay_frames(a_page([a_message(2), a_message(1, rev=4)], after=1, upto=5))
    assert frame["type"] == "replay"
    assert (frame["room"], frame["after"], frame["upto"]) == ("kitchen", 1, 5)
    assert frame["complete"] is True
    assert "reset" not in frame
    assert [message["rev"] for message in frame["messages"]] == [2, 4]
    assert {message["type"] for message in frame["messages"]} == {"message"}


@pytest.mark.parametrize(("complete", "reset"), [(True, False), (False, False), (True, True)])
def test_an_empty_page_is_one_frame_too(complete, reset):
    [frame] = replay_frames(a_page([], after=4, upto=9, complete=complete, reset=reset))
    assert (frame["messages"], frame["after"], frame["upto"]) == ([], 4, 9)
    assert (frame["complete"], frame.get("reset", False)) == (complete, reset)


@pytest.mark.parametrize("body", [LONG, WORST, "x"], ids=["long", "worst", "short"])
def test_no_frame_is_larger_than_a_payload(body):
    page = a_page([a_message(seq, body=body) for seq in range(1, 201)], reset=True)
    lines = list(serializers.replay_frames(page))
    assert max(map(len, lines)) <= conf.PAYLOAD_BYTES
    # No more of them than it takes: each but the last has no room for one message more.
    one = len(serializers.message_lines([page.messages[-1]])[0])
    spare = serializers.ENVELOPE_BYTES + one + 1
    assert all(len(line) + spare > conf.PAYLOAD_BYTES for line in lines[:-1])


def test_the_frames_of_a_large_page_lead_from_its_begin_to_its_end():
    messages = [a_message(seq, rev=2 * seq, body=LONG) for seq in range(1, 101)]
    cut = replay_frames(a_page(messages, after=1, upto=250))
    assert len(cut) > 2
    assert [m["seq"] for frame in cut for m in frame["messages"]] == list(range(1, 101))
    assert (cut[0]["after"], cut[-1]["upto"]) == (1, 250)
    for earlier, later in pairwise(cut):
        assert earlier["upto"] == later["after"] == earlier["messages"][-1]["rev"]


def test_only_the_last_frame_of_a_large_page_is_complete():
    messages = [a_message(seq, body=LONG) for seq in range(1, 101)]
    *others, last = (frame["complete"] for frame in replay_frames(a_page(messages)))
    assert (any(others), last) == (False, True)
    assert not any(f["complete"] for f in replay_frames(a_page(messages, complete=False)))


def test_only_the_first_frame_of_a_large_page_is_a_reset():
    messages = [a_message(seq, body=LONG) for seq in range(1, 101)]
    first, *others = (frame.get("reset") for frame in replay_frames(a_page(messages, reset=True)))
    assert (first, any(others)) == (True, False)


def test_a_message_that_no_payload_has_room_for_goes_alone(monkeypatch):
    monkeypatch.setattr(conf, "PAYLOAD_BYTES", 1000)
    messages = [a_message(1), a_message(2, body="x" * 2000), a_message(3)]
    cut = replay_frames(a_page(messages))
    assert [[m["seq"] for m in frame["messages"]] for frame in cut] == [[1], [2], [3]]


def test_the_envelope_of_any_page_fits_where_it_was_reckoned_to():
    huge = 2**63 - 1
    page = Page("r" * 16, [], huge, huge, False, True, Cursor(0))
    [line] = serializers.replay_frames(page)
    assert len(line) <= serializers.ENVELOPE_BYTES


def test_what_was_stored_arrives(alice, bob, kitchen):
    say(alice, kitchen, "one", "two|\n字😀\x01")
    say(bob, kitchen, "three")
    messaging.delete(alice, kitchen.pk, 1)
    [frame] = replay_frames(read_on(kitchen)[0])
    arrived = {m["seq"]: (m["sender"], m.get("body"), m["rev"]) for m in frame["messages"]}
    assert arrived == {
        1: ("alice", None, 4),
        2: ("alice", "two|\n字😀\x01", 2),
        3: ("bob", "three", 3),
    }


def test_a_piece_of_history_as_clients_see_it():
    history = History([a_message(1), a_message(2)], more_before=False, more_after=True)
    frame = serializers.history_frame("kitchen", history, "r1")
    assert (frame.ref, frame.room) == ("r1", "kitchen")
    assert (frame.more_before, frame.more_after) == (False, True)
    assert [json.loads(bytes(message))["seq"] for message in frame.messages] == [1, 2]


def test_history_and_replay_show_a_message_alike(alice, kitchen):
    say(alice, kitchen, "Hello")
    [replayed] = read_on(kitchen)[0].messages
    [looked_up] = archive.history(alice.pk, kitchen.pk).messages
    assert serializers.message_frame(replayed) == serializers.message_frame(looked_up)
    assert serializers.message_frame(replayed).sender == "alice"
