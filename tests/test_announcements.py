"""What workers tell each other, over a layer in memory and over a real Redis."""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any
from unittest.mock import patch
from uuid import UUID

import msgspec
import pytest
import redis
from channels.layers import get_channel_layer
from hypothesis import given
from hypothesis import strategies as st

from chat import announcements, frames, layer
from chat.announcements import EVENT_BYTES, Announcement, Announcer, Batch, Relay
from chat.layer import Layer
from chat.limits import Limits
from tests.failures import until
from tests.stacks import Valkey

EPOCH = "now"


def line(rev: int, room: str = "room", body: str = "Hello") -> bytes:
    return frames.encode(
        frames.Message(
            room=room,
            seq=rev,
            rev=rev,
            id=str(UUID(int=rev)),
            sender="alice",
            body=body,
            at="2026-11-20",
        )
    )


def batch(after: int, upto: int, room: str = "room") -> Batch:
    return Batch(room, after, upto, [line(rev, room) for rev in range(after + 1, upto + 1)])


# What is said


@given(st.lists(st.integers(0, 3 * EVENT_BYTES), min_size=1, max_size=20))
def test_a_batch_is_parted_where_an_event_ends(sizes):
    whole = Batch("room", 7, 7 + len(sizes), [b"x" * size for size in sizes])
    parts = list(whole.parts())
    assert [part.lines for part in parts if len(part.lines) > 1 and part.size > EVENT_BYTES] == []
    assert [told for part in parts for told in part.lines] == whole.lines
    assert (parts[0].after, parts[-1].upto) == (whole.after, whole.upto)
    for first, second in pairwise(parts):
        assert first.upto == second.after
        assert first.size + len(second.lines[0]) > EVENT_BYTES


@pytest.mark.parametrize(
    ("after", "upto", "lines"),
    [
        (0, 0, []),
        (0, 1, []),
        (0, 1, [line(1), line(2)]),
        (5, 3, [line(5)]),
        (3, 2**80, [line(4)]),
        (-1, 0, [line(0)]),
        (2**63 - 1, 2**63, [line(2**63)]),
        (0.5, 1.5, [line(1)]),
        ("0", "1", [line(1)]),
    ],
)
def test_a_batch_that_cannot_be_is_refused(after, upto, lines):
    def told() -> None:
        body = msgspec.msgpack.encode([[["room", after, upto, lines]]])
        announcements._decode(body)

    with pytest.raises((msgspec.ValidationError, OverflowError)):
        told()


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"{",
        b"17",
        b"\xff",
        b"null",
        line(2),
        line(1, "another room"),
        line(1)[:-1],
        line(1) + b"\n" + line(2),
        line(1).replace(b",", b",\n", 1),
        line(1).replace(b'"message"', b'"bye"'),
        line(1).replace(b'"alice"', b"17"),
    ],
)
def test_lines_are_shown_only_if_they_are_what_they_are_said_to_be(told):
    assert Batch("room", 0, 1, [line(1)]).is_sound
    assert not Batch("room", 0, 1, [told]).is_sound


RECEIPT = frames.encode(frames.Receipt(room="room", user="bob", delivered_rev=1, read_seq=1))


@pytest.mark.parametrize(
    "told",
    [
        b"",
        b"[]",
        line(1),
        RECEIPT.replace(b'"room":"room"', b'"room":"another"'),
        RECEIPT.replace(b",", b",\n", 1),
        RECEIPT.replace(b":1", b':"1"'),
        b'{"type":"pong","time":"2026-11-20"}',
    ],
)
def test_only_what_workers_relay_is_passed_on(told):
    assert Relay("room", RECEIPT).is_sound
    assert not Relay("room", told).is_sound


# Between two workers, over either layer


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    with Valkey(tmp_path_factory.mktemp("valkey")) as valkey:
        yield valkey


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers that notice soon, and try again soon."""
    monkeypatch.setattr(layer, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(layer, "RETRY", 0.1)
    monkeypatch.setattr(layer, "PATIENCE", 0.5)
    monkeypatch.setattr(announcements, "RETRY", 0.05)


def redis_layer(valkey: Valkey, **config: Any) -> dict[str, Any]:
    host = {
        "address": valkey.url,
        "socket_connect_timeout": 0.5,
        "socket_timeout": 0.5,
        "health_check_interval": 10,
    }
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    return {"default": {"BACKEND": backend, "CONFIG": {"hosts": [host], **config}}}


@pytest.fixture
def redis_only(quick: None, valkey: Valkey, settings: Any) -> Iterator[None]:
    settings.CHANNEL_LAYERS = redis_layer(valkey)
    quiet = logging.getLogger("channels_redis")  # as in project/settings.py
    yield
    assert quiet.getEffectiveLevel() == logging.CRITICAL


@pytest.fixture(params=["memory", "redis"])
def either_layer(request: pytest.FixtureRequest, settings: Any, quick: None) -> None:
    if request.param == "redis":
        request.getfixturevalue("redis_only")
    else:
        backend = "channels.layers.InMemoryChannelLayer"
        settings.CHANNEL_LAYERS = {"default": {"BACKEND": backend}}


class Ears:
    """What a worker has heard."""

    def __init__(self) -> None:
        self.announcements: list[Announcement] = []

    @property
    def batches(self) -> list[Batch]:
        return [batch for told in self.announcements for batch in told.batches]

    @property
    def users(self) -> list[str]:
        return [user for told in self.announcements for user in told.users]


@asynccontextmanager
async def announcer(
    name: str, ears: Ears | None = None, epoch: Callable[[], str] = lambda: EPOCH
) -> AsyncIterator[Announcer]:
    async def asked() -> str:
        return epoch()

    hear = (ears or Ears()).announcements.append
    async with Announcer(name, hear, asked) as announcer:
        yield announcer


async def heard(*announcers: Announcer) -> None:
    await until(lambda: all(announcer.is_heard for announcer in announcers))


async def test_what_one_says_the_others_hear_and_itself_does_not(either_layer):
    ears, own = Ears(), Ears()
    async with announcer("one", own) as one, announcer("two", ears) as two:
        await heard(one, two)
        one.announce([batch(0, 2)], [Relay("room", RECEIPT)], ["17"])
        await until(lambda: ears.announcements)
        assert ears.announcements == [Announcement([batch(0, 2)], [Relay("room", RECEIPT)], ["17"])]
        await asyncio.sleep(0.3)
        assert not own.announcements


async def test_what_was_spent_goes_with_what_else_is_said_or_soon_alone(either_layer):
    spent, ears = {"post:17": 2.0}, Ears()

    def take() -> dict[str, float]:
        taken = dict(spent)
        spent.clear()
        return taken

    async def epoch() -> str:
        return EPOCH

    async with (
        Announcer("one", Ears().announcements.append, epoch, take) as one,
        announcer("two", ears) as two,
    ):
        await heard(one, two)
        one.announce(users=["17"])
        await until(lambda: ears.announcements)
        assert ears.announcements == [Announcement([], [], ["17"], {"post:17": 2.0})]
        spent["post:17"] = 1.0
        await asyncio.to_thread(one.ask_what_was_spent)
        await until(lambda: len(ears.announcements) > 1)
        assert ears.announcements[1] == Announcement([], [], [], {"post:17": 1.0})


@pytest.mark.parametrize("amount", [0, -1, float("nan"), float("inf"), 1e300, "1", True, None])
def test_what_nobody_can_have_spent_is_refused(amount):
    with pytest.raises(msgspec.ValidationError):
        announcements._decode(msgspec.msgpack.encode([[], [], [], {"post:17": amount}]))


def test_nobody_tells_of_more_shares_than_a_worker_does():
    def told(count):
        return msgspec.msgpack.encode([[], [], [], {f"post:{n}": 1.0 for n in range(count)}])

    assert len(announcements._decode(told(Limits.NEWS)).spent) == Limits.NEWS
    with pytest.raises(msgspec.ValidationError):
        announcements._decode(told(Limits.NEWS + 1))


def test_workers_of_the_release_before_understand_us_and_we_them():
    class Before(msgspec.Struct, frozen=True, array_like=True):
        batches: Sequence[Batch] = ()
        relays: Sequence[Relay] = ()
        users: Sequence[str] = ()

    ours = msgspec.msgpack.encode(Announcement(users=["17"], spent={"post:17": 1.0}))
    assert msgspec.msgpack.decode(ours, type=Before).users == ["17"]
    theirs = msgspec.msgpack.encode(Before(users=["17"]))
    assert announcements._decode(theirs) == Announcement([], [], ["17"], {})


async def test_who_serves_another_database_is_not_heard(either_layer):
    ears = Ears()
    async with (
        announcer("one") as one,
        announcer("same", same := Ears()),
        announcer("other", ears, lambda: "another") as other,
    ):
        await heard(one, other)
        await until(lambda: one.announce(users=["17"]) or same.users)
        await asyncio.sleep(0.1)
        assert not ears.announcements


async def test_in_another_epoch_workers_find_each_other_again(either_layer):
    epochs, ears = ["first"], Ears()
    async with (
        announcer("one", None, lambda: epochs[-1]),
        announcer("late", ears, lambda: "second"),
    ):
        epochs.append("second")
        async with announcer("two", None, lambda: epochs[-1]) as two:
            await heard(two)
            await until(lambda: two.announce(users=["17"]) or ears.users)


async def test_what_waits_goes_out_as_one_event(either_layer):
    ears = Ears()
    async with announcer("one") as one, announcer("two", ears) as two:
        await heard(one, two)
        for n in range(100):
            one.announce([batch(n, n + 1)], users=[str(n % 10)])
        await until(lambda: len(ears.batches) == 100)
        assert [told.after for told in ears.batches] == list(range(100))
        assert len(ears.announcements) <= 2  # the first may have been on its way
        assert sorted(ears.users) == [str(n) for n in range(10)]


async def test_no_event_is_larger_than_it_may_be(either_layer):
    sizes, send = [], Layer.send

    async def measure(self: Layer, body: bytes) -> bool:
        sizes.append(len(body))
        return await send(self, body)

    big = Batch("room", 0, 200, [line(n + 1, body="x" * 4_000) for n in range(200)])
    ears = Ears()
    async with announcer("one") as one, announcer("two", ears) as two:
        await heard(one, two)
        with patch.object(Layer, "send", measure):
            one.announce([big], users=["17"])
            await until(lambda: ears.users)
        assert b"".join(b"".join(told.lines) for told in ears.batches) == b"".join(big.lines)
        assert len(sizes) > 3
        assert max(sizes) < EVENT_BYTES * 1.1


async def test_what_nobody_takes_does_not_pile_up(either_layer, monkeypatch):
    async def refuse(*_: object) -> bool:
        return False

    with patch.object(Layer, "send", refuse):
        async with announcer("one") as one:
            for n in range(30_000):
                one.announce([batch(n, n + 1)])
            assert one._waiting_bytes <= announcements.QUEUE_BYTES
            assert one._waiting_bytes == sum(waiting.size for waiting in one._waiting)
            assert one._waiting[-1].hint == batch(29_999, 30_000)
            monkeypatch.setattr(announcements, "TOO_LATE", 0.0)
            await until(lambda: not one._waiting)
            assert one._waiting_bytes == 0


async def test_what_was_not_taken_is_said_again_in_order_unless_it_is_too_late(either_layer):
    send, refusals = Layer.send, 3

    async def refuse_at_first(self: Layer, body: bytes) -> bool:
        nonlocal refusals
        refusals -= body != layer.ECHO
        return refusals < 0 and await send(self, body)

    ears = Ears()
    async with announcer("one") as one, announcer("two", ears) as two:
        await heard(one, two)
        with patch.object(Layer, "send", refuse_at_first):
            for n in range(20):
                one.announce([batch(n, n + 1)])
                await asyncio.sleep(0.01)
            await until(lambda: len(ears.batches) >= 20)
        assert [told.after for told in ears.batches] == list(range(20))


async def test_what_cannot_be_shown_does_not_deafen_us(either_layer, caplog):
    told = Ears()

    def stumble(announcement: Announcement) -> None:
        told.announcements.append(announcement)
        if len(told.announcements) == 1:
            raise RuntimeError

    async def epoch() -> str:
        return EPOCH

    async with announcer("one") as one, Announcer("two", stumble, epoch) as two:
        await heard(one, two)
        one.announce(users=["1"])
        await until(lambda: told.users)
        one.announce(users=["2"])
        await until(lambda: told.users == ["1", "2"])
    assert "Cannot show" in caplog.text


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"worker": "x"},
        {"worker": 17, "body": b""},
        {"worker": "x", "body": "text"},
        {"worker": "x", "body": None},
        {"worker": "x", "body": b"\xc1"},
        {"worker": "x", "body": b"\x00\xff garbage"},
        {"worker": "x", "body": b"\x91" * 100_000},
        {"worker": "x", "body": msgspec.msgpack.encode({"batches": []})},
        {
            "worker": "x",
            "body": b"\x91\x91\x94\xa4room\x00\xcf" + b"\xff" * 8 + b"\x90",
        },  # 2**64 - 1
        {"worker": "x", "body": b"\x92\x90\x91\x92\xa1\xff\xc4\x00"},
    ],
)
async def test_nonsense_is_dropped_and_told_once(either_layer, caplog, event):
    ears = Ears()
    async with announcer("one") as one, announcer("two", ears) as two:
        await heard(one, two)
        caplog.clear()
        for _ in range(50):
            await get_channel_layer().group_send(layer.group(EPOCH), {"type": layer.EVENT, **event})
        one.announce(users=["17"])
        await until(lambda: ears.users)
        assert len(ears.announcements) == 1
    assert len(caplog.records) == 2  # one for each worker
    assert not any(record.exc_info for record in caplog.records)


async def test_an_echo_is_said_only_when_we_say_nothing_else(either_layer):
    said: list[bytes] = []
    send = Layer.send

    async def note(self: Layer, body: bytes) -> bool:
        said.append(body)
        return await send(self, body)

    async with announcer("one") as one:
        await heard(one)
        with patch.object(Layer, "send", note):
            began = time.monotonic()
            while time.monotonic() - began < 1:
                one.announce(users=["17"])
                await asyncio.sleep(0.02)
            assert said.count(layer.ECHO) <= 1
            said.clear()
            await until(lambda: said.count(layer.ECHO) >= 3)


# Redis, and what becomes of it


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What an operator reads: one line each, and no traceback."""
    assert not any(record.exc_info for record in caplog.records)
    assert not any("\n" in record.getMessage() for record in caplog.records)
    return [record.getMessage() for record in caplog.records]


async def lost(*announcers: Announcer) -> None:
    async with asyncio.timeout(20):
        while any(announcer.is_heard for announcer in announcers):
            await asyncio.sleep(0.01)


@asynccontextmanager
async def two_workers() -> AsyncIterator[tuple[Announcer, Announcer, Ears]]:
    ears = Ears()
    async with announcer("one") as one, announcer("two", ears) as two:
        await heard(one, two)
        yield one, two, ears


async def they_talk(speaker: Announcer, ears: Ears) -> None:
    ears.announcements.clear()
    speaker.announce(users=["17"])
    await until(lambda: ears.users)


async def test_redis_restarts(redis_only, valkey, caplog):
    async with two_workers() as (one, two, ears):
        for _ in range(2):
            caplog.clear()
            await asyncio.to_thread(valkey.kill)
            await lost(one, two)
            one.announce(users=["nobody hears this"])
            await asyncio.to_thread(valkey.start)
            await heard(one, two)
            await they_talk(one, ears)
            told = complaints(caplog)
            assert sum("is lost" in t for t in told) == sum("is back" in t for t in told) == 2
            assert len(told) == 4


async def test_redis_is_paused(redis_only, valkey, caplog):
    async with two_workers() as (one, two, ears):
        valkey.pause()
        try:
            await lost(one, two)
            one.announce(users=["nobody hears this"])
            await asyncio.sleep(3)
        finally:
            valkey.resume()
        await heard(one, two)
        await they_talk(one, ears)
        told = complaints(caplog)
        assert sum("is lost" in t for t in told) == sum("is back" in t for t in told) == 2


@pytest.mark.parametrize("fault", [Valkey.flush, Valkey.disconnect_everybody])
async def test_redis_forgets_us(redis_only, valkey, caplog, fault):
    async with two_workers() as (one, _, ears):
        for _ in range(3):
            await asyncio.to_thread(fault, valkey)
            async with asyncio.timeout(5):
                ears.announcements.clear()
                while not ears.users:
                    one.announce(users=["17"])
                    await asyncio.sleep(0.05)
        assert not any("Cannot" in told for told in complaints(caplog))


async def test_redis_is_not_there_yet(redis_only, valkey, caplog):
    await asyncio.to_thread(valkey.kill)
    try:
        async with announcer("one") as one, announcer("two", ears := Ears()) as two:
            await until(lambda: len(complaints(caplog)) == 2)
            await asyncio.to_thread(valkey.start)
            await heard(one, two)
            await they_talk(one, ears)
    finally:
        if valkey.process is None:
            await asyncio.to_thread(valkey.start)


def shards(announcer: Announcer) -> list[Any]:
    shards: list[Any] = announcer._layer._layer._get_layer()._shards
    return shards


async def died(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("error", [TimeoutError(), asyncio.CancelledError(), RuntimeError()])
async def test_the_librarys_task_has_died(redis_only, error):
    """It ends for ever with some errors, and `flush` then fails with them."""
    async with two_workers() as (one, two, ears):
        [shard] = shards(two)
        shard._receive_task.cancel()
        await asyncio.wait({shard._receive_task})
        shard._receive_task = asyncio.ensure_future(died(error))
        await asyncio.wait({shard._receive_task})
        await lost(two)
        await heard(two)
        await they_talk(one, ears)
        shard._receive_task = None  # or it would fail once more, when the loop is closed


async def test_a_subscription_that_got_lost_is_noticed(redis_only, valkey):
    async with two_workers() as (one, two, ears):
        [shard] = shards(two)
        await shard._pubsub.unsubscribe()
        await lost(two)
        await heard(two)
        await they_talk(one, ears)


async def test_whoever_else_listens_on_the_layer_is_left_in_peace(redis_only, valkey):
    """The embedding site's own consumers: we throw away our connections, not theirs."""
    theirs = get_channel_layer()
    channel = await theirs.new_channel()
    try:
        async with two_workers() as (_, two, _):
            await shards(two)[0]._pubsub.unsubscribe()
            await lost(two)
            await heard(two)
            await theirs.send(channel, {"type": "theirs"})
            async with asyncio.timeout(5):
                assert await theirs.receive(channel) == {"type": "theirs"}
    finally:
        await theirs.flush()


async def test_raw_garbage_is_dropped_and_told_once(redis_only, valkey, caplog):
    def write_garbage() -> None:
        key = f"asgi__group__{layer.group(EPOCH)}"
        with redis.Redis.from_url(valkey.url) as client:
            for n in range(2_000):
                client.publish(key, os.urandom(n % 50))
            client.publish(key, b"\x91" * 1_000_000)

    async with two_workers() as (one, two, ears):
        await asyncio.to_thread(write_garbage)
        await they_talk(one, ears)
        assert one.is_heard
        assert two.is_heard
    assert len(complaints(caplog)) == 2
    assert all("brought" in told for told in complaints(caplog))


async def test_whoever_has_not_the_key_cannot_speak_for_us(redis_only, valkey, settings, caplog):
    pytest.importorskip("cryptography")
    settings.CHANNEL_LAYERS = redis_layer(valkey, symmetric_encryption_keys=["old"])
    ears = Ears()
    async with announcer("old", old := Ears()) as with_old:
        settings.CHANNEL_LAYERS = redis_layer(valkey, symmetric_encryption_keys=["new", "old"])
        async with announcer("new", ears) as with_both:
            settings.CHANNEL_LAYERS = redis_layer(valkey)
            async with announcer("stranger", nothing := Ears()) as stranger:
                await heard(with_old, with_both, stranger)
                stranger.announce(users=["forged"])
                await they_talk(with_old, ears)  # keys are changed one worker after the other
                assert ears.users == ["17"]
                assert not old.announcements
                assert not nothing.announcements
                assert with_old.is_heard


async def test_an_idle_subscription_lives_on(redis_only, monkeypatch):
    """With redis-py 8 it would end after `socket_timeout`, half a second here."""
    monkeypatch.setattr(layer, "LOOK_EVERY", 60)
    async with two_workers() as (one, two, ears):
        connections = [shards(worker)[0]._pubsub.connection for worker in (one, two)]
        readers = [connection._reader for connection in connections]
        await asyncio.sleep(2)
        await they_talk(one, ears)
        assert [connection._reader for connection in connections] == readers


async def test_it_ends_at_once_even_while_redis_hangs(redis_only, valkey):
    async with two_workers() as (one, _, _):
        valkey.pause()
        try:
            one.announce(users=["17"])
            await asyncio.sleep(0.2)
            began = time.monotonic()
            async with announcer("three"):
                await asyncio.sleep(0.2)
            assert time.monotonic() - began < 5
        finally:
            valkey.resume()


async def test_nothing_is_left_behind_however_often_it_was_lost(redis_only, valkey):
    async with two_workers() as (one, two, _):
        tasks, files = len(asyncio.all_tasks()), open_files()
        for _ in range(5):
            await asyncio.to_thread(valkey.kill)
            await lost(one, two)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(valkey.start)
            await heard(one, two)
        await until(lambda: len(asyncio.all_tasks()) <= tasks)
        assert open_files() <= files + 2


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_who_was_stopped_for_long_is_not_deaf(redis_only, caplog):
    """A laptop that slept: seconds have passed, but no looks."""
    async with two_workers() as (one, two, ears):
        time.sleep(2)
        await they_talk(one, ears)
        await asyncio.sleep(0.3)
        assert one.is_heard
        assert two.is_heard
        assert complaints(caplog) == []
