"""Announcements are hints: whatever becomes of them, everybody gets everything, in order, once."""

import asyncio
import itertools
import threading
import time
from contextlib import nullcontext
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import OperationalError

from chat import conf, frames, room_here, rooms, switchboard, watch
from chat.announcements import Announcement, Batch, Relay
from chat.messaging import Draft
from chat.models import Message, Room
from chat.worker import Worker
from tests.client import Client, state
from tests.conftest import serve
from tests.conversation import say, stored
from tests.failures import (
    delayed_announcements,
    doubled_announcements,
    forge,
    lost_announcements,
    meanwhile,
    poison,
    reversed_announcements,
    stubborn_layer,
    unseen_database,
    until,
    unwritable_database,
)
from tests.fake_browser import Browser, browser


def messages_shown(page: Browser, room: str) -> list[int]:
    """The revs of a room in the order in which this page was sent them."""
    shown: list[int] = []
    for frame in page.frames:
        if frame.get("room") == room:
            shown += [frame["rev"]] if frame["type"] == "message" else []
            shown += [m["rev"] for m in frame["messages"]] if frame["type"] == "replay" else []
    return shown


# Between workers


@pytest.mark.parametrize(
    "announcements",
    [
        nullcontext,
        lost_announcements,
        doubled_announcements,
        delayed_announcements,
        reversed_announcements,
    ],
)
async def test_bob_on_another_worker_gets_everything_in_order_once(
    application, elsewhere, tokens, kitchen, announcements
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        with announcements():
            for n in range(30):
                await alice.post(str(n), room=kitchen.pk)
            await bob.until(lambda: len(bob.client.bodies(kitchen.pk)) == 30)
        assert messages_shown(bob, kitchen.pk) == list(range(1, 31))
        assert len(bob.of_type("synced")) == 1  # it never had to ask


async def test_what_both_workers_post_is_in_the_same_order_for_everybody(
    application, elsewhere, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        with delayed_announcements(0.1):
            for n in range(30):
                await asyncio.gather(
                    alice.post(f"alice {n}", room=kitchen.pk), bob.post(f"bob {n}", room=kitchen.pk)
                )
            for page in (alice, bob):
                await page.until(lambda page=page: len(page.client.bodies(kitchen.pk)) == 60)
        assert state(alice.client) == state(bob.client)
        assert messages_shown(alice, kitchen.pk) == list(range(1, 61))
        assert messages_shown(bob, kitchen.pk) == list(range(1, 61))


async def test_edits_whose_announcements_get_lost_are_seen(application, elsewhere, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await alice.post("Tee?", room=kitchen.pk)
        await bob.sees(kitchen.pk, "Tee?")
        with lost_announcements():
            await alice.ask("edit", room=kitchen.pk, seq=1, body="Tea?")
            await bob.sees(kitchen.pk, "Tea?")


async def test_only_what_is_lost_is_read_from_the_database(
    unchecked, application, elsewhere, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await alice.post("one", room=kitchen.pk)
        await bob.sees(kitchen.pk, "one")
        with lost_announcements():
            await alice.post("two", room=kitchen.pk)
        await alice.post("three", room=kitchen.pk)  # its announcement tells that one was lost
        await bob.sees(kitchen.pk, "one", "two", "three")
        [live], [healed] = bob.of_type("message"), bob.of_type("replay")
    assert live["body"] == "one"
    assert [message["body"] for message in healed["messages"]] == ["two", "three"]


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that live on announcements alone. Name it before them."""
    monkeypatch.setattr(watch, "CHECK_EVERY", 60.0)


async def test_the_first_message_of_a_new_direct_room_arrives_without_announcements(
    application, elsewhere, tokens
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        with lost_announcements():
            room = (await alice.post("Hello, you", to="bob"))["room"]
            await bob.until(lambda: room in bob.client.rooms)
            await bob.sees(room, "Hello, you")


async def test_who_is_seated_by_somebody_else_sees_it_without_announcements(
    application, tokens, alice, charlie, kitchen
):
    async with browser(application, tokens["charlie"]) as page:
        await meanwhile(rooms.invite, alice, kitchen.pk, charlie)
        await page.until(lambda: kitchen.pk in page.client.rooms)


async def test_what_no_worker_wrote_is_seen(application, tokens, alice, kitchen):
    """A view, a management command or the embedding site calls the domain, and tells nobody."""
    async with browser(application, tokens["bob"]) as bob:
        await meanwhile(say, alice, kitchen, "From the shell")
        await bob.until(lambda: bob.client.bodies(kitchen.pk) == ["From the shell"])


async def test_what_an_admin_takes_down_is_gone_from_open_pages(
    application, admin_client, tokens, alice, kitchen
):
    await meanwhile(say, alice, kitchen, "Something rude")
    async with browser(application, tokens["bob"]) as bob:
        await bob.sees(kitchen.pk, "Something rude")
        rude = await meanwhile(Message.objects.get)
        selected = {"action": "delete_selected", "_selected_action": rude.pk, "post": "yes"}
        await meanwhile(admin_client.post, "/admin/chat/message/", selected)
        await bob.until(lambda: bob.client.bodies(kitchen.pk) == [None])


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"body": b""},
        {"body": b"\x00\xff garbage"},
        {"body": b"\x93\xa1x\x90"},
        {"body": b"\x80"},
        {"body": "text"},
        {"body": None},
        {"body": 17},
        {"body": ["list"]},
        {"body": {"worker": "x"}},
        {"body": b"\x94\xa1x\x91\x94\xa1r\x01\x02\x91\xc4\x01{\x90\x90"},  # for nobody's room
    ],
)
async def test_a_poisoned_announcement_hurts_nobody(application, elsewhere, tokens, kitchen, event):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await poison(**event)
        await alice.post("Tea?", room=kitchen.pk)
        await bob.sees(kitchen.pk, "Tea?")
        assert len(bob.of_type("message")) == 1  # at once, and not by the check


def forged(room: Room, *revs: int, body: str = "forged") -> Announcement:
    """Well-formed messages that nobody has posted, in the name of alice."""
    lines = [
        frames.encode(
            frames.Message(
                room=room.pk, seq=rev, rev=rev, id=uuid4(), sender="alice", body=body, at="now"
            )
        )
        for rev in revs
    ]
    return Announcement(batches=[Batch(room.pk, revs[0] - 1, revs[-1], lines)])


async def reads_like_the_database(page: Browser, room: Room) -> None:
    """Wait until a page shows what is stored, and nothing else."""
    rows = await meanwhile(stored, room)
    expected = {row.seq: (row.rev, row.body) for row in rows}
    await page.until(lambda: state(page.client).get(room.pk, {}) == expected)


async def test_what_was_made_up_is_taken_back_by_the_check(
    application, elsewhere, tokens, lobby, kitchen
):
    """Somebody can write to Redis, and has no key: it is seen for a second, by nobody longer."""
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await alice.post("one", room=kitchen.pk)
        await bob.sees(kitchen.pk, "one")
        await forge(forged(kitchen, 2, 3))
        for page in (alice, bob):
            await page.until(lambda page=page: len(page.client.bodies(kitchen.pk)) == 3)
        for page in (alice, bob):
            await reads_like_the_database(page, kitchen)
            assert page.client.resets == 1
        await alice.post("two", room=kitchen.pk)
        await bob.sees(kitchen.pk, "one", "two")
        assert not alice.of_type("bye")
        assert not bob.of_type("bye")


async def test_whoever_says_something_else_for_the_same_place_is_not_believed(
    unchecked, application, elsewhere, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await alice.post("one", room=kitchen.pk)
        await bob.sees(kitchen.pk, "one")
        await forge(forged(kitchen, 2))
        for page in (alice, bob):
            await page.sees(kitchen.pk, "one", "forged")
        await alice.send(*({"type": "post", **draft} for draft in drafts(kitchen, "two", "three")))
        for page in (alice, bob):
            await page.sees(kitchen.pk, "one", "two", "three")
            await reads_like_the_database(page, kitchen)


def drafts(room: Room, *bodies: str) -> list[dict[str, str]]:
    return [{"room": room.pk, "id": str(uuid4()), "body": body} for body in bodies]


async def test_what_was_made_up_for_places_far_ahead_is_never_seen(
    application, elsewhere, worker, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await alice.post("one", room=kitchen.pk)
        await bob.sees(kitchen.pk, "one")
        for rev in (10**6, 2**53, 2**62, 2**63 - 1):
            await forge(forged(kitchen, rev))
        for rev in range(1_000, 2_000):
            await forge(forged(kitchen, rev))
        assert len(worker.switchboard._rooms[kitchen.pk].early) <= room_here.EARLY
        for n in range(30):
            await alice.post(str(n), room=kitchen.pk)
        await bob.sees(kitchen.pk, "29")
        await asyncio.sleep(watch.CHECK_EVERY * 1.5)
        for page in (alice, bob):
            await reads_like_the_database(page, kitchen)
            assert "forged" not in str(page.frames)
            assert page.client.resets == 0


async def test_what_was_made_up_keeps_nobody_from_becoming_live(
    impatient, application, tokens, alice, kitchen
):
    await meanwhile(say, alice, kitchen, "one")
    async with browser(application, tokens["bob"], resume=False) as bob:
        for revs in ((2,), (2**62,), (2, 3, 4)):  # nobody is live there yet
            await forge(forged(kitchen, *revs))
        await asyncio.sleep(0.05)
        await bob.send(bob.client.resume())
        await bob.until(lambda: bob.of_type("synced"))
        await reads_like_the_database(bob, kitchen)
        await meanwhile(say, alice, kitchen, "two", "three")
        await bob.sees(kitchen.pk, "two", "three")
        await reads_like_the_database(bob, kitchen)


@pytest.mark.parametrize("line", [b"{", b'{"type":"bye"}', b"\n", b'{"type":"receipt"}'])
async def test_what_is_no_message_is_never_passed_on(application, tokens, kitchen, line):
    async with browser(application, tokens["bob"]) as bob:
        before = len(bob.frames)
        await forge(
            Announcement([Batch(kitchen.pk, 0, 1, [line])], [Relay(kitchen.pk, line)], ["no key"])
        )
        await asyncio.sleep(0.05)
        await bob.ask("ping")
        assert [frame["type"] for frame in bob.frames[before:]] == ["pong"]


async def test_without_a_layer_a_single_worker_works(transactional_db, settings, tokens, kitchen):
    settings.CHANNEL_LAYERS = {}
    async with (
        Worker() as worker,
        browser(serve(worker), tokens["alice"]) as alice,
        browser(serve(worker), tokens["bob"]) as bob,
    ):
        await alice.post("Tea?", room=kitchen.pk)
        await bob.sees(kitchen.pk, "Tea?")


async def test_a_layer_that_hangs_delays_nobody(application, tokens, kitchen):
    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    with stubborn_layer(hang):
        async with (
            browser(application, tokens["alice"]) as alice,
            browser(application, tokens["bob"]) as bob,
        ):
            began = time.monotonic()
            for n in range(10):
                await alice.post(str(n), room=kitchen.pk)
            await bob.sees(kitchen.pk, "9")
            assert time.monotonic() - began < 10  # each may keep the layer for two seconds


async def test_a_layer_that_fails_is_tried_again(application, elsewhere, tokens, kitchen):
    async def fail(*_: Any) -> None:
        raise ConnectionError

    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        with stubborn_layer(fail):
            await alice.post("one", room=kitchen.pk)
            await bob.sees(kitchen.pk, "one")  # the check has seen it
        await alice.post("two", room=kitchen.pk)
        await bob.sees(kitchen.pk, "one", "two")
        assert [frame["body"] for frame in bob.of_type("message")] == ["two"]


# Blind


@pytest.fixture
def easily_blinded(impatient: None, monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    """Workers that call themselves blind after a moment. Name it before them."""
    monkeypatch.setattr(watch, "BLIND_AFTER", 0.5)
    settings.CHAT_HEARTBEAT = 0.1


async def test_a_worker_that_cannot_see_the_database_shows_nothing(
    easily_blinded, worker, application, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        with unseen_database():
            await blinded(worker)
            for body in ("one", "two"):
                assert (await alice.post(body, room=kitchen.pk))["type"] == "posted"
            await alice.send({"type": "read", "room": kitchen.pk, "seq": 2})
            assert (await bob.ask("ping"))["type"] == "pong"
            assert bob.client.bodies(kitchen.pk) == []
            assert not bob.of_type("receipt")
        await bob.sees(kitchen.pk, "one", "two")
        assert messages_shown(bob, kitchen.pk) == [1, 2]


async def blinded(worker: Any) -> None:
    """Wait until the worker knows that it sees nothing."""
    async with asyncio.timeout(5):
        while not worker.switchboard.is_blind:
            await asyncio.sleep(0.01)


async def test_an_answer_that_took_too_long_gives_no_sight_back(
    easily_blinded, worker, application, tokens, alice, bob, kitchen, monkeypatch
):
    """The database had answered before it was cut off, and much has happened since."""
    look, go_on = watch.pulse, threading.Event()
    blind_before_looking: list[bool] = []

    def answer_late(*args: Any) -> Any:
        blind_before_looking.append(worker.switchboard.is_blind)
        found = look(*args)
        go_on.wait(20)
        return found

    async with browser(application, tokens["bob"]) as page:
        monkeypatch.setattr(watch, "pulse", answer_late)
        await blinded(worker)
        await meanwhile(rooms.remove, alice, kitchen.pk, bob)
        await meanwhile(say, alice, kitchen, "secret")
        await asyncio.sleep(watch.BLIND_AFTER)
        go_on.set()
        await page.until(lambda: kitchen.pk not in page.client.rooms)
        assert "secret" not in str(page.frames)
    assert blind_before_looking[1]


async def test_who_connects_to_a_blind_worker_waits(
    easily_blinded, worker, application, tokens, alice, kitchen
):
    await meanwhile(say, alice, kitchen, "one")
    with unseen_database():
        await blinded(worker)
        async with browser(application, tokens["bob"], resume=False) as bob:
            await bob.send(bob.client.resume(), {"type": "ping"})
            await bob.until(lambda: bob.of_type("pong"))
            assert not bob.of_type("replay")


async def test_what_was_read_just_before_going_blind_is_not_shown(
    easily_blinded, worker, application, tokens, alice, kitchen, monkeypatch
):
    go_on = threading.Event()
    pages = switchboard._pages

    def slow_pages(cursors: Any) -> Any:
        found = pages(cursors)
        go_on.wait(20)
        return found

    await meanwhile(say, alice, kitchen, "one")
    monkeypatch.setattr(switchboard, "_pages", slow_pages)
    async with browser(application, tokens["bob"], resume=False) as bob:
        await bob.send(bob.client.resume())
        await bob.until(lambda: bob.of_type("welcome"))
        with unseen_database():
            await blinded(worker)
            go_on.set()
            await asyncio.sleep(0.1)  # the page is there, and waits
            assert (await bob.ask("ping"))["type"] == "pong"
            assert not bob.of_type("replay")
        await bob.sees(kitchen.pk, "one")


async def test_who_cannot_be_looked_up_sees_nothing_when_the_database_is_back(
    easily_blinded, worker, application, tokens, alice, bob, kitchen
):
    async with browser(application, tokens["bob"]) as page:
        with unseen_database():
            await blinded(worker)
            await meanwhile(rooms.remove, alice, kitchen.pk, bob)
            await meanwhile(say, alice, kitchen, "secret")
            failing = patch.object(watch, "_look_up", side_effect=OperationalError)
            look_up = failing.start()
        try:
            await until(lambda: look_up.called)
            assert worker.switchboard.is_blind
        finally:
            failing.stop()
        await page.until(lambda: page.client.rooms.keys() == {page.room("Lobby")})
        assert "secret" not in str(page.frames)


async def test_going_blind_while_a_room_is_healed_lets_nobody_be_live(
    unchecked, worker, other_worker, application, tokens, alice, kitchen, monkeypatch
):
    switch = worker.switchboard
    read = switch.read

    async def read_and_go_blind_in_the_second_page(function: Any, *args: Any) -> Any:
        found = await read(function, *args)
        if function is switchboard._pages and next(reads) == 1:
            switch.go_blind()
        return found

    reads = itertools.count()
    async with browser(application, tokens["alice"]):
        await meanwhile(say, alice, kitchen, "one")  # whoever is live is below the head
        monkeypatch.setattr(switch, "read", read_and_go_blind_in_the_second_page)
        async with browser(application, tokens["bob"], resume=False) as bob:
            await bob.send(bob.client.resume())
            await until(lambda: switch.is_blind)
            assert (await bob.ask("ping"))["type"] == "pong"
            other_worker.switchboard.publish(await meanwhile(say, alice, kitchen, "secret"))
            await until(lambda: not other_worker._announcer._waiting)
            assert (await bob.ask("ping"))["type"] == "pong"
            assert "secret" not in str(bob.frames)
            switch.see_again()
            await bob.sees(kitchen.pk, "one", "secret")


def test_a_batch_ends_where_another_worker_took_the_next_rev(alice, kitchen):
    said = say(alice, kitchen, "one", "two", "three")
    batches = switchboard._batches([said[0], said[2]])
    assert [(batch.after, batch.upto) for batch in batches] == [(0, 1), (2, 3)]


async def test_who_was_removed_meanwhile_does_not_see_what_came(
    easily_blinded, worker, application, tokens, alice, bob, kitchen
):
    async with browser(application, tokens["bob"]) as page:
        with unseen_database():
            await blinded(worker)
            await meanwhile(rooms.remove, alice, kitchen.pk, bob)
            await meanwhile(say, alice, kitchen, "Bob must not see this")
        await page.until(lambda: kitchen.pk not in page.client.rooms)
        assert not messages_shown(page, kitchen.pk)


async def test_posts_fail_while_nothing_can_be_stored_and_succeed_afterwards(
    application, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        with unwritable_database():
            refused = await alice.post("one", room=kitchen.pk)
        assert (refused["type"], refused["code"]) == ("error", "unavailable")
        assert (await alice.post("two", room=kitchen.pk))["type"] == "posted"
        await bob.sees(kitchen.pk, "two")
        assert bob.client.bodies(kitchen.pk) == ["two"]


# Slow readers


@pytest.fixture
def small_outboxes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conf, "OUTBOX_BYTES", 20_000)


def waiting_for(worker: Any, user: Any) -> int:
    """Characters that wait for a user's sockets."""
    sockets = worker.switchboard.users[str(user.pk)].sockets
    return sum(len(event.get("text", "")) for s in sockets for event, _ in s._outbox)


LONG = "x" * 1_000


@pytest.mark.parametrize("announcements", [nullcontext, lost_announcements])
async def test_a_slow_reader_is_put_behind_and_gets_everything_later(
    impatient, small_outboxes, worker, application, elsewhere, tokens, bob, kitchen, announcements
):
    async with (
        browser(elsewhere, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bobs,
        browser(application, tokens["alice"]) as other,
    ):
        bobs.wire.reads.clear()
        with announcements():
            for n in range(200):
                await alice.post(f"{n} {LONG}", room=kitchen.pk)
                # What was lost comes in pages: of however much was said since the last check.
                at_most = 50_000 if announcements is nullcontext else 300_000
                assert waiting_for(worker, bob) < at_most
            await other.until(lambda: len(other.client.bodies(kitchen.pk)) == 200)
            if announcements is lost_announcements:
                for n in range(200, 300):
                    await alice.post(f"{n} {LONG}", room=kitchen.pk)
                    await other.sees(kitchen.pk, f"{n} {LONG}") if n % 10 == 0 else None
                    assert waiting_for(worker, bob) < 300_000
        everything = len(other.client.bodies(kitchen.pk))
        bobs.wire.reads.set()
        await alice.post("the last one", room=kitchen.pk)
        await bobs.sees(kitchen.pk, "the last one")
        revs = messages_shown(bobs, kitchen.pk)
        assert revs == list(range(1, len(revs) + 1))
        assert len(revs) > everything


async def test_who_asks_without_reading_the_answers_is_not_listened_to(
    small_outboxes, worker, application, tokens, alice, bob, kitchen
):
    await meanwhile(say, alice, kitchen, *[LONG] * 50)
    async with browser(application, tokens["bob"]) as page:
        page.wire.reads.clear()
        for n in range(100):
            await page.send({"type": "history", "ref": str(n), "room": kitchen.pk})
        await asyncio.sleep(0.3)
        assert waiting_for(worker, bob) < 200_000  # of five million
        page.wire.reads.set()
        await page.until(lambda: len(page.of_type("history")) == 100)


async def test_who_reads_nothing_for_too_long_is_cut_off(
    worker, application, tokens, monkeypatch, settings
):
    monkeypatch.setattr(watch, "TOO_SLOW_AFTER", 0.2)
    monkeypatch.setattr("chat.sockets.CLOSE_TIMEOUT", 0.1)
    settings.CHAT_HEARTBEAT = 0.2
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        bob.wire.reads.clear()
        assert await bob.ends() == 4002
        assert alice.closed is None


async def test_who_says_nothing_for_long_is_not_cut_off(application, tokens, monkeypatch, settings):
    monkeypatch.setattr(watch, "TOO_SLOW_AFTER", 0.1)
    settings.CHAT_HEARTBEAT = 0.2
    async with browser(application, tokens["alice"]) as page:
        await page.until(lambda: len(page.of_type("heartbeat")) == 3)
        assert page.closed is None


# Races


async def test_a_message_right_after_the_first_one_resumed_is_shown_at_once(
    unchecked, application, worker, tokens, alice, kitchen, monkeypatch
):
    """It is posted after the head was read, and before anybody is live in the room."""
    heads = switchboard._heads

    def and_then_somebody_posts(room_ids: Any) -> Any:
        found = heads(room_ids)
        asyncio.run_coroutine_threadsafe(post(worker, alice, kitchen), loop).result(5)
        return found

    loop = asyncio.get_running_loop()
    async with browser(application, tokens["bob"], resume=False) as bob:
        monkeypatch.setattr(switchboard, "_heads", and_then_somebody_posts)
        await bob.send(bob.client.resume())
        await bob.until(lambda: bob.of_type("welcome"))
        await bob.until(lambda: bob.client.bodies(kitchen.pk))


async def post(worker: Any, user: Any, room: Room) -> None:
    await worker.journal.post(Draft(user, room.pk, uuid4(), "Now"))


async def test_a_busy_room_is_shown_whole_to_who_comes_and_goes(
    application, elsewhere, tokens, kitchen
):
    client = Client()
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as steady,
    ):
        talking = asyncio.create_task(talk(alice, kitchen, 150))
        while not talking.done():
            for worker in (application, elsewhere):
                async with browser(worker, tokens["bob"], client=client):
                    await asyncio.sleep(0.02)
        await talking
        await steady.sees(kitchen.pk, "149")
        async with browser(elsewhere, tokens["bob"], client=client) as bob:
            await bob.sees(kitchen.pk, "149")
        assert state(client) == state(steady.client)


async def talk(page: Browser, room: Room, count: int) -> None:
    for n in range(count):
        await page.post(str(n), room=room.pk)
