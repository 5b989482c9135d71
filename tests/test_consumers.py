"""One WebSocket from its handshake to its end: offline, back, and in step with everybody else."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F
from django.test import override_settings

from chat import conf, messaging, pulse, rooms
from chat.models import Access, Membership, Message, Room
from tests.client import Client, state
from tests.conversation import say, say_much, seat_of
from tests.failures import epoch, meanwhile, until, unwritable_database
from tests.fake_browser import PATIENCE, Browser, browser


async def test_bob_hears_alice_at_once(application, tokens):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        kitchen = alice.room("Kitchen")
        posted = await alice.post("Tea?", room=kitchen)
        await bob.sees(kitchen, "Tea?")
    assert (posted["type"], posted["seq"]) == ("posted", 1)


async def test_bob_finds_what_he_missed(application, tokens):
    async with browser(application, tokens["alice"]) as alice:
        for body in ("one", "two", "three"):
            await alice.post(body, to="bob")
        await alice.post("to all", room=alice.room("Lobby"))
    async with browser(application, tokens["bob"]) as bob:
        await bob.sees(bob.room("alice"), "one", "two", "three")
        await bob.sees(bob.room("Lobby"), "to all")
        assert bob.client.unread(bob.room("alice")) == 3


# Welcome


async def test_welcome_comes_first_and_tells_who_where_and_how_much(
    application, tokens, alice, kitchen, lobby
):
    async with browser(application, tokens["alice"]) as page:
        welcome = page.frames[0]
    assert welcome["type"] == "welcome"
    assert welcome["user"] == {"username": "alice", "name": "alice"}
    assert welcome["heartbeat"] == conf.heartbeat()
    assert welcome["epoch"] == await meanwhile(epoch)
    assert welcome["time"].endswith("Z")
    assert {room["room"] for room in welcome["rooms"]} == {kitchen.pk, lobby.pk}
    assert welcome["limits"] == {
        "message_bytes": 65536,
        "body_chars": 4000,
        "post_rate": 0,
        "post_burst": 0,
        "frame_rate": 0,
        "connections": 50,
        "connect_rate": 0,
        "connect_burst": 0,
    }


async def test_a_room_tells_all_that_a_client_needs(application, tokens, alice, kitchen):
    await meanwhile(say, alice, kitchen, "one", "two")
    async with browser(application, tokens["bob"]) as page:
        room = next(r for r in page.of_type("welcome")[0]["rooms"] if r["room"] == kitchen.pk)
    assert room == {
        "type": "room",
        "room": kitchen.pk,
        "kind": "group",
        "name": "Kitchen",
        "members": 2,
        "role": "member",
        "rev": 2,
        "seq": 2,
        "first_seq": 1,
        "delivered_rev": 0,
        "read_seq": 0,
        "receipts": {"alice": [0, 2], "bob": [0, 0]},
        "online": ["bob"],
        "roles": {"alice": "owner"},
    }


async def test_rooms_that_do_not_fit_into_welcome_follow_before_synced(
    application, tokens, alice, monkeypatch
):
    for name in "abcde":
        await meanwhile(rooms.create, alice, name)
    monkeypatch.setattr("chat.serializers.ENVELOPE_BYTES", conf.PAYLOAD_BYTES - 1_000)
    async with browser(application, tokens["alice"]) as page:
        assert 0 < len(page.of_type("welcome")[0]["rooms"]) < 7
        kinds = [frame["type"] for frame in page.frames]
        assert kinds[1:].index("synced") == len(kinds) - 2
        assert len(page.client.rooms) == 7


async def test_synced_repeats_the_ref_and_follows_the_replays(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 450)
    async with browser(application, tokens["bob"]) as bob:
        kinds = [frame["type"] for frame in bob.frames]
        assert kinds == ["welcome", "replay", "replay", "replay", "synced"]
        assert bob.of_type("synced")[0]["ref"] == "resume"


async def test_nothing_is_said_before_somebody_resumes(application, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"], resume=False) as bob,
    ):
        await alice.post("Bob?", room=kitchen.pk)
        await bob.send({"type": "ping"})
        await bob.until(lambda: bob.frames)
        assert [frame["type"] for frame in bob.frames] == ["pong"]


# Offline, and back


@pytest.mark.parametrize("missed", [0, 1, 199, 200, 201, 400, 401, 1000])
async def test_whatever_was_missed_comes_in_order_once(application, tokens, alice, kitchen, missed):
    await meanwhile(say_much, alice, kitchen, missed) if missed else None
    async with browser(application, tokens["bob"]) as bob:
        assert bob.client.bodies(kitchen.pk) == [str(n + 1) for n in range(missed)]
        replays = bob.of_type("replay")
        assert sum(len(replay["messages"]) for replay in replays) == missed
        assert all(len(replay["messages"]) <= 200 for replay in replays)


async def test_ten_thousand_missed_messages_come_within_seconds(
    application, tokens, alice, kitchen
):
    await meanwhile(say_much, alice, kitchen, 10_000)
    async with browser(application, tokens["bob"], resume=False) as bob:
        await bob.send(bob.client.resume())
        # Two seconds, on a machine that has nothing else to do.
        await bob.until(lambda: bob.of_type("synced"), timeout=30)
        assert bob.client.bodies(kitchen.pk) == [str(n + 1) for n in range(10_000)]


async def test_who_returns_gets_only_what_is_new(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 10)
    client = Client()
    async with browser(application, tokens["bob"], client=client):
        pass
    await meanwhile(say, alice, kitchen, "new")
    async with browser(application, tokens["bob"], client=client) as bob:
        [replay] = bob.of_type("replay")
        assert (replay["after"], replay["upto"]) == (10, 11)
        assert [message["body"] for message in replay["messages"]] == ["new"]


@pytest.mark.parametrize(("limit", "shown"), [(11, 10), (10, 10), (9, 9), (1, 1), (0, 0)])
async def test_a_limit_leaves_out_the_oldest(application, tokens, alice, kitchen, limit, shown):
    await meanwhile(say_much, alice, kitchen, 10)
    client = Client(limit=limit)
    async with browser(application, tokens["bob"], client=client) as bob:
        assert client.bodies(kitchen.pk) == [str(n) for n in range(11 - shown, 11)]
        assert client.resets == (0 if shown == 10 else 1)
        assert client.cursors[kitchen.pk] == 10
        history = await bob.ask("history", room=kitchen.pk)
        assert len(history["messages"]) == 10


async def test_a_limit_counts_messages_not_their_changes(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 3)
    for n in range(20):
        await meanwhile(messaging.edit, alice, kitchen.pk, 1, f"edit {n}")
    client = Client(limit=3)
    async with browser(application, tokens["bob"], client=client):
        assert client.bodies(kitchen.pk) == ["edit 19", "2", "3"]
        assert client.resets == 0


async def test_a_cursor_from_the_future_begins_anew(application, tokens, alice, kitchen):
    await meanwhile(say, alice, kitchen, "one", "two")
    client = Client()
    client.cursors = {kitchen.pk: 1_000_000}
    async with browser(application, tokens["bob"], client=client) as bob:
        assert bob.of_type("replay")[0]["reset"] is True
        assert client.bodies(kitchen.pk) == ["one", "two"]
        assert client.cursors[kitchen.pk] == 2


async def test_a_cursor_from_the_future_delays_no_receipt(
    application, tokens, alice, bob, kitchen, quick_cursors
):
    await meanwhile(say, alice, kitchen, "one")
    client = Client()
    client.cursors = {kitchen.pk: 1_000_000}
    async with browser(application, tokens["bob"], client=client):
        await delivered(bob, kitchen, 1)


async def test_another_epoch_begins_everything_anew(application, tokens, alice, kitchen, lobby):
    await meanwhile(say, alice, kitchen, "one")
    client = Client()
    async with browser(application, tokens["bob"], client=client):
        pass
    client.epoch = "another life"
    async with browser(application, tokens["bob"], client=client):
        assert client.bodies(kitchen.pk) == ["one"]
        assert client.resets == 2  # of the kitchen and of the lobby
        assert client.epoch == await meanwhile(epoch)


async def test_a_new_epoch_sends_everybody_away_to_come_back(impatient, application, tokens):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"], resume=False) as silent,
    ):
        await silent.ask("ping")  # it is in
        await meanwhile(pulse.new_epoch)
        for page in (alice, silent):
            bye = await page.says_goodbye()
            assert (bye["code"], bye["reconnect"]) == (4012, True)
            assert bye["retry_after_ms"] < 2_000


async def test_a_head_that_went_back_sends_everybody_away_to_start_afresh(
    impatient, application, tokens, alice, kitchen
):
    client = Client()
    async with browser(application, tokens["bob"], client=client) as bob:
        async with browser(application, tokens["alice"]) as alices:
            await alices.post("kept", room=kitchen.pk)
            await alices.post("lost", room=kitchen.pk)
        await bob.sees(kitchen.pk, "kept", "lost")
        await meanwhile(restore_a_backup, kitchen)
        assert (await bob.says_goodbye())["code"] == 4012
    async with browser(application, tokens["bob"], client=client):
        assert client.bodies(kitchen.pk) == ["kept"]


def restore_a_backup(room: Room) -> None:
    """The database is as it was before the last message."""
    Message.objects.filter(room=room, seq=2).delete()
    Room.objects.filter(pk=room.pk).update(seq=1, rev=1)


async def test_access_that_went_back_sends_everybody_away_to_start_afresh(
    impatient, application, worker, tokens, alice, bob
):
    async with browser(application, tokens["bob"]) as page:
        room = await meanwhile(rooms.create, alice, "Secret", members=[bob])
        await page.until(lambda: room.pk in page.client.rooms)
        await until(lambda: all(u.shown == u.version for u in worker.switchboard.users.values()))

        def fail_over():  # to a standby that did not get to know of the new room's members
            Membership.objects.filter(room=room, user=bob).delete()
            Access.objects.filter(pk=bob.pk).update(version=F("version") - 1)

        await meanwhile(fail_over)
        assert (await page.says_goodbye())["code"] == 4012
    async with browser(application, tokens["bob"]) as page:
        assert room.pk not in page.client.rooms


async def test_edits_and_deletions_while_away_are_seen(application, tokens, alice, kitchen):
    client = Client()
    await meanwhile(say, alice, kitchen, "one", "two", "three")
    async with browser(application, tokens["bob"], client=client):
        pass
    await meanwhile(messaging.edit, alice, kitchen.pk, 1, "ONE")
    await meanwhile(messaging.delete, alice, kitchen.pk, 2)
    await meanwhile(say, alice, kitchen, "four")
    async with browser(application, tokens["bob"], client=client):
        assert client.bodies(kitchen.pk) == ["ONE", None, "three", "four"]


async def test_edits_and_deletions_are_seen_at_once(application, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        for body in ("one", "two"):
            await alice.post(body, room=kitchen.pk)
        assert (await alice.ask("edit", room=kitchen.pk, seq=1, body="ONE"))["type"] == "ok"
        assert (await alice.ask("delete", room=kitchen.pk, seq=2))["type"] == "ok"
        await bob.sees(kitchen.pk, "ONE", None)
        edited, deleted = bob.client.messages[kitchen.pk].values()
    assert "edited_at" in edited
    assert deleted["deleted"] is True
    assert "body" not in deleted


async def test_posts_that_race_a_replay_come_in_order_once(
    application, elsewhere, tokens, alice, kitchen
):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with AsyncExitStack() as pages:
        here = await pages.enter_async_context(browser(application, tokens["alice"]))
        there = await pages.enter_async_context(browser(elsewhere, tokens["alice"]))
        bob = await pages.enter_async_context(browser(application, tokens["bob"], resume=False))
        await bob.send(bob.client.resume())
        for n in range(50):
            await asyncio.gather(
                here.post(f"here {n}", room=kitchen.pk), there.post(f"there {n}", room=kitchen.pk)
            )
        await bob.until(lambda: len(bob.client.bodies(kitchen.pk)) == 1_100)
        assert state(bob.client)[kitchen.pk].keys() == set(range(1, 1_101))
        shown = [m["rev"] for m in messages_shown(bob)]
        assert shown == list(range(1, 1_101))


def messages_shown(page: Browser) -> list[dict[str, Any]]:
    """Every message that was sent to this page, live or replayed, in the order of arrival."""
    shown = []
    for frame in page.frames:
        shown += [frame] if frame["type"] == "message" else []
        shown += frame["messages"] if frame["type"] == "replay" else []
    return shown


async def test_of_two_copies_the_later_one_wins(application, tokens, alice, kitchen):
    await meanwhile(say, alice, kitchen, "one")
    client = Client(limit=0)
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"], client=client) as bob,
    ):
        for n in range(20):
            edit = alices.ask("edit", room=kitchen.pk, seq=1, body=f"edit {n}")
            await asyncio.gather(edit, bob.ask("history", room=kitchen.pk))
            await bob.sees(kitchen.pk, f"edit {n}")


# Flow control of replays


async def test_a_replay_waits_for_acknowledgements(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with browser(application, tokens["bob"], resume=False) as bob:
        bob.acknowledges = False
        await bob.send(bob.client.resume())
        for shown in (400, 600, 800, 1_000):
            await bob.until(lambda shown=shown: len(bob.client.bodies(kitchen.pk)) == shown)
            await bob.ask("ping")
            await bob.ask("ping")
            assert len(bob.client.bodies(kitchen.pk)) == shown
            assert bool(bob.of_type("synced")) == (shown == 1_000)
            await bob.send({"type": "ack", "cursors": {kitchen.pk: shown - 200}})


async def test_one_acknowledgement_counts_for_all_before_it(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with browser(application, tokens["bob"], resume=False) as bob:
        bob.acknowledges = False
        await bob.send(bob.client.resume())
        for shown in (400, 800, 1_000):
            await bob.until(lambda shown=shown: len(bob.client.bodies(kitchen.pk)) == shown)
            await bob.send({"type": "ack", "cursors": {kitchen.pk: shown}})


async def test_who_resumes_again_in_the_middle_of_a_replay_begins_there(
    application, tokens, alice, kitchen
):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with browser(application, tokens["bob"], resume=False) as bob:
        bob.acknowledges = False
        await bob.send(bob.client.resume())
        await bob.until(lambda: len(bob.client.bodies(kitchen.pk)) == 400)
        bob.acknowledges = True
        await bob.send({"type": "resume", "ref": "again", "cursors": {kitchen.pk: 100}})
        await bob.until(lambda: len(bob.of_type("synced")) == 2)
        replays = bob.of_type("replay")
        assert [replay["after"] for replay in replays] == [0, 200, 100, 300, 500, 700, 900]
        assert [frame["ref"] for frame in bob.of_type("synced")] == ["resume", "again"]
        assert len(bob.client.bodies(kitchen.pk)) == 1_000


async def test_a_later_resume_concerns_only_the_rooms_it_names(
    application, tokens, alice, kitchen, lobby
):
    await meanwhile(say, alice, kitchen, "one", "two")
    await meanwhile(say, alice, lobby, "for all")
    async with browser(application, tokens["bob"]) as bob:
        before = len(bob.frames)
        await bob.send({"type": "resume", "ref": "later", "cursors": {kitchen.pk: 1}})
        await bob.until(lambda: len(bob.of_type("synced")) == 2)
        replay, synced = bob.frames[before:]
        assert (replay["room"], replay["after"], replay["upto"]) == (kitchen.pk, 1, 2)
        assert synced["ref"] == "later"


async def test_who_resumes_a_room_that_they_left_is_told_so(
    application, tokens, alice, bob, kitchen
):
    client = Client()
    async with browser(application, tokens["bob"], client=client):
        pass
    await meanwhile(rooms.remove, alice, kitchen.pk, bob)
    async with browser(application, tokens["bob"], client=client) as page:
        assert {"type": "room", "room": kitchen.pk, "left": True} in page.frames
        assert kitchen.pk not in client.rooms


async def test_a_new_device_gets_what_no_device_had(
    application, tokens, alice, bob, kitchen, quick_cursors
):
    await meanwhile(say, alice, kitchen, "one", "two")
    async with browser(application, tokens["bob"]):
        await delivered(bob, kitchen, 2)
    await meanwhile(say, alice, kitchen, "three")
    async with browser(application, tokens["bob"]) as another:
        assert another.client.bodies(kitchen.pk) == ["three"]


@pytest.fixture
def quick_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been delivered is written after a moment. (In use from the second turn on.)"""
    monkeypatch.setattr("chat.cursors.WRITE_EVERY", 0.05)


async def delivered(user: Any, room: Room, rev: int) -> None:
    """Wait until it is stored that the user has this much of the room."""
    async with asyncio.timeout(PATIENCE):
        while (await meanwhile(seat_of, user, room)).delivered_rev != rev:
            await asyncio.sleep(0.05)


async def test_a_room_comes_before_its_first_message(application, tokens):
    async with (
        browser(application, tokens["bob"]) as bob,
        browser(application, tokens["alice"]) as alice,
    ):
        posted = await alice.post("Hello, you", to="bob")
        room = posted["room"]
        await bob.sees(room, "Hello, you")  # the client would complain
        await alice.sees(room, "Hello, you")
        assert bob.client.rooms[room]["peer"] == "alice"


async def test_unread_is_right_after_a_reconnect(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 5)
    client = Client()
    async with browser(application, tokens["bob"], client=client) as bob:
        assert client.unread(kitchen.pk) == 5
        await bob.send({"type": "read", "room": kitchen.pk, "seq": 3})
        await bob.until(lambda: bob.of_type("receipt"))
    async with browser(application, tokens["bob"], client=client) as bob:
        assert client.unread(kitchen.pk) == 2
    async with browser(application, tokens["bob"]) as another:
        assert another.client.unread(kitchen.pk) == 2


async def test_ones_own_message_is_read(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 5)
    async with browser(application, tokens["bob"]) as bob:
        await bob.post("Thanks", room=kitchen.pk)
    async with browser(application, tokens["bob"]) as bob:
        assert bob.client.unread(kitchen.pk) == 0


# The same message once


async def test_the_same_post_fifty_times_at_once_is_stored_once(
    application, elsewhere, tokens, kitchen
):
    post = {"type": "post", "room": kitchen.pk, "id": str(uuid4()), "body": "Once"}
    async with (
        browser(application, tokens["alice"]) as here,
        browser(elsewhere, tokens["alice"]) as there,
    ):
        for page in (here, there):
            await page.send(*[{**post, "ref": str(n)} for n in range(25)])
        for page in (here, there):
            await page.until(lambda page=page: len(page.of_type("posted")) == 25)
            await page.sees(kitchen.pk, "Once")
        answers = {
            (answer["id"], answer["seq"], answer["rev"], answer["at"])
            for page in (here, there)
            for answer in page.of_type("posted")
        }
    assert len(answers) == 1
    assert await meanwhile(Message.objects.count) == 1


async def test_a_retry_is_answered_after_one_was_removed(application, tokens, alice, bob, kitchen):
    async with browser(application, tokens["bob"]) as page:
        message = {"id": str(uuid4()), "room": kitchen.pk}
        first = await page.post("Once", **message)
        await meanwhile(rooms.remove, alice, kitchen.pk, bob)
        again = await page.post("Once", **message)
    assert same(first, again)


async def test_a_retry_is_answered_after_an_edit(application, tokens, kitchen):
    async with browser(application, tokens["bob"]) as page:
        message = {"id": str(uuid4()), "room": kitchen.pk}
        first = await page.post("Once", **message)
        await page.ask("edit", room=kitchen.pk, seq=first["seq"], body="Edited")
        assert same(first, await page.post("Once", **message))


@pytest.mark.parametrize("change", [{"body": "Twice"}, {"room": "Lobby"}])
async def test_the_same_id_for_another_message_is_a_conflict(
    application, tokens, kitchen, lobby, change
):
    message = {"id": str(uuid4()), "room": kitchen.pk, "body": "Once"}
    if "room" in change:
        change = {"room": lobby.pk}
    async with browser(application, tokens["bob"]) as page:
        await page.post(**message)
        answer = await page.post(**(message | change))
    assert (answer["type"], answer["code"]) == ("error", "id_conflict")


async def test_two_people_may_use_the_same_id(application, tokens, kitchen):
    message = {"id": str(uuid4()), "room": kitchen.pk}
    for name in ("alice", "bob"):
        async with browser(application, tokens[name]) as page:
            assert (await page.post("Mine", **message))["type"] == "posted"
    assert await meanwhile(Message.objects.count) == 2


async def test_a_retry_is_answered_when_the_rate_is_exhausted(application, tokens, kitchen):
    message = {"id": str(uuid4()), "room": kitchen.pk}
    async with browser(application, tokens["alice"]) as page:
        first = await page.post("Once", **message)
        with override_settings(CHAT_POST_RATE=0.001):
            await page.post("The last one", room=kitchen.pk)
            refused = await page.post("One more", room=kitchen.pk)
            again = await page.post("Once", **message)
            conflict = await page.post("Twice", **message)
    assert refused["code"] == "rate_limited"
    assert refused["retry_after_ms"] > 0
    assert same(first, again)
    assert conflict["code"] == "id_conflict"


async def test_a_retry_after_unavailable_tells_which(application, tokens, kitchen):
    message = {"id": str(uuid4()), "room": kitchen.pk}
    async with browser(application, tokens["alice"]) as page:
        with unwritable_database():
            refused = await page.post("Once", **message)
        posted = await page.post("Once", **message)
        again = await page.post("Once", **message)
    assert refused["code"] == "unavailable"
    assert refused["retry_after_ms"] > 0
    assert same(posted, again)
    assert await meanwhile(Message.objects.count) == 1


def same(first: dict[str, Any], again: dict[str, Any]) -> bool:
    """Whether two answers are equal, but for their refs."""
    return first["type"] == "posted" and first | {"ref": ""} == again | {"ref": ""}


async def test_what_one_sends_in_one_go_keeps_its_order(application, tokens, kitchen, lobby):
    async with browser(application, tokens["alice"]) as page:
        await page.send(
            *[
                {"type": "post", "room": room.pk, "id": str(uuid4()), "body": str(n), "ref": str(n)}
                for n in range(100)
                for room in (kitchen, lobby)
            ]
        )
        await page.until(lambda: len(page.of_type("posted")) == 200)
        for room in (kitchen, lobby):
            acknowledged = [f for f in page.of_type("posted") if f["room"] == room.pk]
            assert [f["ref"] for f in acknowledged] == [str(n) for n in range(100)]
            assert [f["seq"] for f in acknowledged] == list(range(1, 101))


async def test_the_senders_other_devices_see_it_too(application, elsewhere, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as laptop,
        browser(elsewhere, tokens["alice"]) as phone,
    ):
        await laptop.post("Tea?", room=kitchen.pk)
        await phone.sees(kitchen.pk, "Tea?")
        await laptop.sees(kitchen.pk, "Tea?")


# How far everybody got


async def test_everybody_in_a_small_room_sees_who_has_read(application, elsewhere, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await alice.post("Tea?", room=kitchen.pk)
        await bob.sees(kitchen.pk, "Tea?")
        await bob.send({"type": "read", "room": kitchen.pk, "seq": 1})
        receipt = await alice.until(lambda: receipts(alice, "bob", "read_seq"))
        assert receipt[-1]["read_seq"] == 1
        assert await bob.until(lambda: receipts(bob, "bob", "read_seq"))


def receipts(page: Browser, user: str, cursor: str) -> list[dict[str, Any]]:
    """The receipts that tell of some progress of a user."""
    return [r for r in page.of_type("receipt") if r["user"] == user and r[cursor]]


async def test_everybody_in_a_small_room_sees_what_has_arrived(application, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        await alice.post("Tea?", room=kitchen.pk)
        await bob.sees(kitchen.pk, "Tea?")
        receipt = await alice.until(lambda: receipts(alice, "bob", "delivered_rev"))
        assert (receipt[0]["delivered_rev"], receipt[0]["read_seq"]) == (1, 0)


async def test_in_a_large_room_only_ones_own_devices_see_it(
    application, elsewhere, tokens, alice, kitchen, monkeypatch
):
    monkeypatch.setattr(conf, "SMALL_ROOM", 1)
    await meanwhile(say, alice, kitchen, "Tea?")
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as laptop,
        browser(elsewhere, tokens["bob"]) as phone,
    ):
        await laptop.send({"type": "read", "room": kitchen.pk, "seq": 1})
        for page in (laptop, phone):
            await page.until(lambda page=page: receipts(page, "bob", "read_seq"))
        await alices.ask("ping")
        assert not receipts(alices, "bob", "read_seq")
        assert "receipts" not in alices.client.rooms[kitchen.pk]


async def test_receipts_never_go_back(application, tokens, alice, bob, kitchen):
    await meanwhile(say_much, alice, kitchen, 3)
    async with browser(application, tokens["bob"]) as page:
        await page.send({"type": "read", "room": kitchen.pk, "seq": 3})
        await page.until(lambda: receipts(page, "bob", "read_seq"))
        for seq in (2, 3, 0):
            await page.send({"type": "read", "room": kitchen.pk, "seq": seq})
        await page.post("A while later", room=kitchen.pk)
        assert {r["read_seq"] for r in receipts(page, "bob", "read_seq")} == {3}
    assert (await meanwhile(seat_of, bob, kitchen)).read_seq == 4


async def test_what_is_not_there_cannot_be_read(application, tokens, alice, bob, kitchen):
    await meanwhile(say_much, alice, kitchen, 3)
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as page,
    ):
        answer = await page.ask("read", room=kitchen.pk, seq=4)
        assert (answer["type"], answer["code"]) == ("error", "not_found")
        await alices.ask("ping")
        assert not receipts(alices, "bob", "read_seq")
    assert (await meanwhile(seat_of, bob, kitchen)).read_seq == 0


async def test_reading_too_far_spoils_nothing_else(application, tokens, alice, bob, kitchen):
    await meanwhile(say_much, alice, kitchen, 3)
    async with browser(application, tokens["bob"]) as page:
        too_far = {"type": "read", "room": kitchen.pk, "seq": 4, "ref": "too far"}
        await page.send({"type": "read", "room": kitchen.pk, "seq": 2}, too_far)
        await page.until(lambda: page.of_type("error") and page.of_type("receipt"))
        assert [error["ref"] for error in page.of_type("error")] == ["too far"]
    assert (await meanwhile(seat_of, bob, kitchen)).read_seq == 2


async def test_an_acknowledgement_beyond_the_head_counts_up_to_the_head(
    application, tokens, alice, bob, kitchen
):
    await meanwhile(say_much, alice, kitchen, 3)
    async with browser(application, tokens["bob"], resume=False) as page:
        page.acknowledges = False
        await page.send(page.client.resume())
        await page.until(lambda: page.of_type("synced"))
        await page.send({"type": "ack", "cursors": {kitchen.pk: 2**60}})
        await delivered(bob, kitchen, 3)


async def test_nobody_acknowledges_what_they_were_not_shown(
    application, tokens, alice, bob, kitchen
):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with browser(application, tokens["bob"], resume=False) as page:
        page.acknowledges = False
        await page.send(page.client.resume())
        await page.until(lambda: len(page.client.bodies(kitchen.pk)) == 400)
        await page.send({"type": "ack", "cursors": {kitchen.pk: 1_000}})
        await delivered(bob, kitchen, 400)


# The quiet


async def test_a_heartbeat_comes_when_there_is_nothing_else(application, tokens, settings):
    settings.CHAT_HEARTBEAT = 0.1
    async with browser(application, tokens["alice"]) as page:
        await page.until(lambda: len(page.of_type("heartbeat")) >= 2)


# The end, however it comes


@pytest.fixture
async def deserted(worker: Any) -> Any:
    """Whether nobody and nothing is left on this worker: no user, no room, no task."""
    await until(lambda: worker._announcer.is_heard)  # its own tasks have begun
    before = asyncio.all_tasks()

    async def deserted() -> bool:
        here = worker.switchboard
        async with asyncio.timeout(PATIENCE):
            while here.users or here._rooms or asyncio.all_tasks() - before - {me()}:
                await asyncio.sleep(0.01)
        return True

    return deserted


def me() -> Any:
    return asyncio.current_task()


async def test_who_leaves_leaves_nothing_behind(application, tokens, deserted):
    async with browser(application, tokens["bob"]):
        pass
    assert await deserted()


async def test_who_leaves_before_resuming_leaves_nothing_behind(application, tokens, deserted):
    async with browser(application, tokens["bob"], resume=False):
        pass
    assert await deserted()


async def test_who_leaves_in_the_middle_of_a_replay_leaves_nothing_behind(
    application, tokens, alice, kitchen, deserted
):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with browser(application, tokens["bob"], resume=False) as bob:
        bob.acknowledges = False
        await bob.send(bob.client.resume())
        await bob.until(lambda: bob.of_type("replay"))
    assert await deserted()


async def test_who_leaves_in_the_middle_of_a_post_leaves_nothing_behind(
    application, tokens, kitchen, deserted
):
    async with browser(application, tokens["bob"]) as bob:
        for n in range(100):
            await bob.send(
                {"type": "post", "room": kitchen.pk, "id": str(uuid4()), "body": str(n)},
                {"type": "post", "to": "alice", "id": str(uuid4()), "body": str(n)},
            )
    assert await deserted()


async def test_who_stops_reading_and_leaves_leaves_nothing_behind(
    application, tokens, kitchen, deserted
):
    async with browser(application, tokens["bob"]) as bob:
        bob.wire.reads.clear()
        for _ in range(10):
            await bob.send({"type": "ping"})
    assert await deserted()


async def test_who_is_sent_away_leaves_nothing_behind(impatient, application, tokens, deserted):
    async with browser(application, tokens["bob"]) as bob:
        await meanwhile(pulse.new_epoch)
        await bob.says_goodbye()
    assert await deserted()


async def test_a_cancelled_connection_leaves_nothing_behind(application, tokens, deserted):
    async with browser(application, tokens["bob"]) as bob:
        bob.wire.task.cancel()
        await asyncio.wait({bob.wire.task})
    assert await deserted()


async def test_a_server_that_cannot_send_leaves_nothing_behind(application, tokens, deserted):
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        async def fail(event: Any) -> None:
            if event["type"] == "websocket.send":
                raise ConnectionResetError
            await send(event)

        await application(scope, receive, fail)

    async with browser(failing, tokens["bob"], resume=False) as bob:
        await bob.send(bob.client.resume())
        await bob.send({"type": "ping"})
    assert await deserted()


async def test_who_never_answers_our_goodbye_is_cut_off(
    impatient, application, tokens, deserted, monkeypatch
):
    monkeypatch.setattr("chat.sockets.CLOSE_TIMEOUT", 0.05)
    async with browser(application, tokens["bob"]) as bob:
        bob.wire.reads.clear()
        await meanwhile(pulse.new_epoch)
        await asyncio.wait({bob.wire.task}, timeout=5)
        assert bob.wire.task.done()
        assert await bob.ends() == 4012
    assert await deserted()
