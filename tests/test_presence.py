"""Who is online and who is typing, as people see it, over all workers."""

import asyncio
from contextlib import AsyncExitStack
from datetime import datetime, timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now
from django.utils import timezone

from chat import conf, leases, presence, rooms
from chat.models import Connection, Lease, Membership
from chat.worker import Worker
from tests.conftest import serve, token, user
from tests.conversation import crowd
from tests.failures import busy, meanwhile, unseen_database, until
from tests.fake_browser import PATIENCE, browser


@pytest.fixture(autouse=True)
def attentive(monkeypatch):
    """Workers that look ten times a second, and take nobody's leave for a reload."""
    monkeypatch.setattr(presence, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(presence, "GRACE", 0.1)


def heard(page, user):
    """Whether the page was told last that somebody is online; None: nothing."""
    told = [frame["online"] for frame in page.of_type("presence") if frame["user"] == user]
    return told[-1] if told else None


async def test_bob_sees_alice_come_and_go(tokens, application, kitchen, worker):
    async with browser(application, tokens["bob"]) as bob:
        assert bob.client.rooms[kitchen.pk]["online"] == ["bob"]
        async with browser(application, tokens["alice"]):
            await bob.until(lambda: heard(bob, "alice"))
            await until(lambda: len(worker.presence._noted) == 2)  # or nobody saw her last
        await bob.until(lambda: heard(bob, "alice") is False)
        gone = bob.of_type("presence")[-1]
        assert datetime.fromisoformat(gone["last_seen"])


async def test_whoever_comes_is_told_who_is_there(tokens, application, kitchen, worker):
    async with browser(application, tokens["bob"]):
        await until(lambda: len(worker.presence.online) == 1)
        async with browser(application, tokens["alice"]) as alice:
            room = alice.client.rooms[kitchen.pk]
            assert sorted(room["online"]) == ["alice", "bob"]
            assert "last_seen" not in room


async def test_whoever_comes_is_told_when_the_others_were_last_seen(
    tokens, application, kitchen, worker
):
    async with browser(application, tokens["bob"]) as bob, browser(application, tokens["alice"]):
        await bob.until(lambda: heard(bob, "alice"))
    await until(lambda: not worker.presence.online)
    async with browser(application, tokens["alice"]) as alice:
        room = alice.client.rooms[kitchen.pk]
        assert room["online"] == ["alice"]
        assert list(room["last_seen"]) == ["bob"]


async def until_nobody_is_connected():
    async with asyncio.timeout(PATIENCE):
        while await meanwhile(Connection.objects.exists):
            await asyncio.sleep(0.05)


@pytest.mark.usefixtures("lobby")
async def test_presence_needs_no_channel_layer(settings, tokens, application, elsewhere):
    settings.CHANNEL_LAYERS = {}
    await test_people_on_different_workers_see_each_other(tokens, application, elsewhere)


async def test_people_on_different_workers_see_each_other(tokens, application, elsewhere):
    async with browser(application, tokens["bob"]) as bob:
        async with browser(elsewhere, tokens["alice"]) as alice:
            await bob.until(lambda: heard(bob, "alice"))
            await alice.until(lambda: heard(alice, "bob"))
        await bob.until(lambda: heard(bob, "alice") is False)


async def test_alice_is_online_as_long_as_one_of_her_devices_is(tokens, application, elsewhere):
    async with browser(application, tokens["bob"]) as bob:
        async with browser(application, tokens["alice"]):
            async with browser(elsewhere, tokens["alice"]):
                await bob.until(lambda: heard(bob, "alice"))
                await until_connections(3)
            await until_connections(2)
            await asyncio.sleep(0.3)
            assert heard(bob, "alice")
        await bob.until(lambda: heard(bob, "alice") is False)


async def until_connections(count):
    async with asyncio.timeout(PATIENCE):
        while await meanwhile(Connection.objects.count) != count:
            await asyncio.sleep(0.05)


async def test_a_page_that_is_loaded_anew_is_no_absence(
    tokens, application, worker, alice, monkeypatch
):
    monkeypatch.setattr(presence, "GRACE", 60)
    async with browser(application, tokens["bob"]) as bob:
        for _ in range(2):
            async with browser(application, tokens["alice"]):
                await bob.until(lambda: heard(bob, "alice"))
                await asyncio.sleep(0.3)
            await asyncio.sleep(0.3)
        assert [f["online"] for f in bob.of_type("presence") if f["user"] == "alice"] == [True]


async def test_whoever_was_on_a_worker_that_died_is_gone_when_its_lease_runs_out(
    tokens, application, alice
):
    await meanwhile(leases.begin, "dying", {"phone": leases.Link(alice.pk)})
    async with browser(application, tokens["bob"]) as bob:
        await bob.until(lambda: heard(bob, "alice"))
        await meanwhile(Lease.objects.filter(pk="dying").update, renewed_at=Now() - leases.LIFE)
        await bob.until(lambda: heard(bob, "alice") is False)


async def test_when_they_were_last_seen_is_told_though_their_worker_died(
    tokens, application, alice
):
    await meanwhile(leases.begin, "dying", {"phone": leases.Link(alice.pk)})
    async with browser(application, tokens["bob"]) as bob:
        await bob.until(lambda: heard(bob, "alice"))
        await meanwhile(Lease.objects.filter(pk="dying").update, renewed_at=Now() - leases.LIFE)
        await bob.until(lambda: heard(bob, "alice") is False)
        assert "last_seen" in bob.of_type("presence")[-1]


async def test_nobody_stays_online_because_an_answer_of_the_database_was_lost(
    tokens, application, worker, monkeypatch
):
    begin, lost = leases.begin, []

    def lose_the_first_answer(*arguments):
        begin(*arguments)
        if not lost:
            lost.append(arguments)
            raise OperationalError("the connection is gone")

    monkeypatch.setattr(leases, "begin", lose_the_first_answer)
    async with browser(application, tokens["alice"]):
        await until(lambda: lost)
    await until_nobody_is_connected()


async def test_a_worker_that_was_taken_for_dead_shows_its_people_again(
    tokens, application, elsewhere, monkeypatch
):
    async with (
        browser(application, tokens["bob"]) as bob,
        browser(elsewhere, tokens["alice"]),
    ):
        await bob.until(lambda: heard(bob, "alice"))
        await meanwhile(Lease.objects.all().delete)
        monkeypatch.setattr(presence, "RENEW_EVERY", 0.2)
        await until_connections(2)
        await bob.until(lambda: heard(bob, "alice"))


async def test_strangers_learn_nothing_of_each_other(tokens, application, charlie, lobby, alice):
    """Charlie shares only the Lobby with them, which has become large."""
    await meanwhile(crowd, lobby, conf.SMALL_ROOM)
    async with (
        browser(application, tokens["charlie"]) as charlie,
        browser(application, tokens["bob"]) as bob,
    ):
        async with browser(application, tokens["alice"]):
            await bob.until(lambda: heard(bob, "alice"))
        await bob.until(lambda: heard(bob, "alice") is False)
        assert charlie.of_type("presence") == []
        [room] = charlie.client.rooms.values()
        assert {"online", "last_seen", "receipts"}.isdisjoint(room)


async def test_nobody_is_told_of_themselves(tokens, application, elsewhere):
    async with (
        browser(application, tokens["bob"]) as bob,
        browser(elsewhere, tokens["bob"]),
        browser(application, tokens["alice"]),
    ):
        await bob.until(lambda: heard(bob, "alice"))
        assert heard(bob, "bob") is None


async def test_a_direct_room_that_is_opened_tells_who_is_there(tokens, application, worker):
    async with (
        browser(application, tokens["charlie"]),
        browser(application, tokens["alice"]) as alice,
    ):
        await until(lambda: len(worker.presence.online) == 2)
        room = await alice.ask("open", to="charlie")
        assert sorted(room["online"]) == ["alice", "charlie"]


async def test_a_busy_worker_tells_later(tokens, application, worker):
    async with browser(application, tokens["bob"]) as bob, AsyncExitStack() as others:
        await until(lambda: worker.presence.online)
        with busy(worker):
            alice = await others.enter_async_context(browser(application, tokens["alice"]))
            await asyncio.sleep(0.4)
            assert heard(bob, "alice") is None
            await alice.post("But this comes", room=bob.room("Kitchen"))
            await bob.sees(bob.room("Kitchen"), "But this comes")
            assert heard(bob, "alice") is None
        await bob.until(lambda: heard(bob, "alice"))


async def test_a_slow_reader_is_told_when_it_reads_again(tokens, application, worker, monkeypatch):
    async with browser(application, tokens["bob"]) as bob:
        await until(lambda: worker.presence.online)
        [socket] = worker.switchboard.sockets()
        bob.wire.reads.clear()
        for _ in range(20):
            socket.hand("{}" + " " * 100_000)
        assert socket.full
        async with browser(application, tokens["alice"]):
            await until(lambda: len(worker.presence.online) == 2)
            bob.frames.clear()
            monkeypatch.setattr(bob.client, "receive", lambda frame: [])
            bob.wire.reads.set()
            await bob.until(lambda: [f for f in bob.frames if f.get("type") == "presence"])


async def test_whoever_comes_first_to_a_new_worker_finds_who_is_online(
    application, tokens, kitchen
):
    async with browser(application, tokens["bob"]):
        await until_connections(1)
        async with Worker() as successor, browser(serve(successor), tokens["alice"]) as alice:
            [welcome] = alice.of_type("welcome")
            seen = next(room for room in welcome["rooms"] if room["room"] == kitchen.pk)
            assert set(seen["online"]) == {"alice", "bob"}


async def test_people_of_a_worker_that_ends_have_a_moment_to_come_back(transactional_db, tokens):
    async with Worker() as worker, browser(serve(worker), tokens["alice"]):
        await until_connections(1)
    assert await meanwhile(Connection.objects.count) == 1
    lease = await meanwhile(Lease.objects.annotate(now=Now()).get)
    assert lease.renewed_at + leases.LIFE <= lease.now + leases.MOVE


async def test_a_worker_with_nobody_writes_nothing(worker):
    await asyncio.sleep(0.5)
    assert await meanwhile(Lease.objects.count) == 0


async def test_a_worker_that_cannot_see_the_database_tells_nothing(
    tokens, application, worker, alice
):
    async with browser(application, tokens["bob"]) as bob:
        await until(lambda: worker.presence.online)
        with unseen_database():
            worker.switchboard.go_blind()
            await meanwhile(leases.begin, "other", {"phone": leases.Link(alice.pk)})
            await asyncio.sleep(0.4)
            assert heard(bob, "alice") is None
        await bob.until(lambda: heard(bob, "alice"))


# Typing


def types(page):
    return [(frame["room"], frame["user"]) for frame in page.of_type("typing")]


async def test_bob_sees_that_alice_types(tokens, application, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["alice"]) as her_phone,
        browser(application, tokens["bob"]) as bob,
    ):
        await alice.send({"type": "typing", "room": kitchen.pk})
        await bob.until(lambda: types(bob) == [(kitchen.pk, "alice")])
        await alice.ask("ping")
        await her_phone.ask("ping")
        assert types(alice) == types(her_phone) == []


async def test_typing_travels_to_other_workers(tokens, application, elsewhere, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await alice.send({"type": "typing", "room": kitchen.pk})
        await bob.until(lambda: types(bob) == [(kitchen.pk, "alice")])


async def test_typing_is_passed_on_now_and_then(tokens, application, kitchen):
    """From any of her devices, and for each room."""
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["alice"]) as her_phone,
        browser(application, tokens["bob"]) as bob,
    ):
        lobby = alice.room("Lobby")
        for page in (alice, her_phone):
            await page.send(*[{"type": "typing", "room": kitchen.pk}] * 5)
            await page.ask("ping")
        await alice.send({"type": "typing", "room": lobby})
        await bob.until(lambda: len(types(bob)) == 2)
        assert types(bob) == [(kitchen.pk, "alice"), (lobby, "alice")]


async def test_an_outsider_types_into_nothing(tokens, application, kitchen):
    async with (
        browser(application, tokens["charlie"]) as charlie,
        browser(application, tokens["bob"]) as bob,
    ):
        for room in (kitchen.pk, "nowhere"):
            assert (await charlie.ask("typing", room=room))["code"] == "not_found"
        await bob.ask("ping")
        assert types(bob) == []


async def test_whoever_may_not_write_does_not_type_either(transactional_db, application):
    owner, reader = await meanwhile(user, "owner"), await meanwhile(user, "reader")
    news = await meanwhile(rooms.create, owner, "News", kind="feed", members=[reader])
    async with (
        browser(application, await meanwhile(token, reader)) as reading,
        browser(application, await meanwhile(token, owner)) as writing,
    ):
        assert (await reading.ask("typing", room=news.pk))["code"] == "forbidden"
        await writing.send({"type": "typing", "room": news.pk})
        await reading.until(lambda: types(reading) == [(news.pk, "owner")])
        assert types(writing) == []


async def test_whoever_is_muted_does_not_type_either(tokens, application, bob, kitchen):
    def mute(minutes):
        until = timezone.now() + timedelta(minutes=minutes)
        Membership.objects.filter(room=kitchen, user=bob).update(muted_until=until)

    for minutes, seen in ((1, []), (-1, [(kitchen.pk, "bob")])):
        await meanwhile(mute, minutes)
        async with (
            browser(application, tokens["alice"]) as alice,
            browser(application, tokens["bob"]) as page,
        ):
            await page.send({"type": "typing", "room": kitchen.pk})
            await page.ask("ping")
            await alice.ask("ping")
            assert types(alice) == seen
            refused = page.of_type("error")
            assert [error["code"] for error in refused] == ([] if seen else ["muted"])
            assert all(0 < error["retry_after_ms"] <= 60_000 for error in refused)


async def test_whoever_cannot_be_checked_types_into_nothing(
    tokens, application, elsewhere, worker, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["alice"]) as her_phone,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        with unseen_database():
            worker.switchboard.go_blind()
            await alice.send({"type": "typing", "room": kitchen.pk})
            await alice.ask("ping")
        await until(lambda: not worker.switchboard.is_blind)
        await her_phone.send({"type": "typing", "room": alice.room("Lobby")})
        await bob.until(lambda: types(bob))
        assert types(bob) == [(alice.room("Lobby"), "alice")]


async def test_nobody_types_in_a_large_room(tokens, application, kitchen):
    await meanwhile(crowd, kitchen, conf.SMALL_ROOM)
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        await alice.send({"type": "typing", "room": kitchen.pk})
        await alice.ask("ping")
        await bob.ask("ping")
        assert types(bob) == []


async def test_a_busy_worker_passes_no_typing_on(tokens, application, worker, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        with busy(worker):
            await alice.send({"type": "typing", "room": kitchen.pk})
            await alice.ask("ping")
            await bob.ask("ping")
            assert types(bob) == []
