"""How fast Roost is on this machine: `make bench`. About two minutes, on a database of its own.

Only ratios within one run carry over to another machine. Every delivery is counted and the order
is checked: a number for a chat that loses something means nothing.
"""

import asyncio
import json
import os
import re
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import uvloop

from tests.client import Frame
from tests.servers import PATIENCE, ROOST, Server, environment, manage

ROUNDS = 3
BODY = "x" * 200

LATENCY_POSTS = 200
WAITING = 5_000
MEMBERS = 500
SENDERS = 4
IN_FLIGHT = 16
SECONDS = 5.0  # that senders keep sending

M = TypeVar("M", bound="Member")

TUTORIAL = ("-m", "daphne", "tests.tutorial:application")


# What is there before anything is measured


class Stock:
    """Users, rooms and waiting messages, stored by Roost's own code."""

    def __init__(self) -> None:
        from django.contrib.auth import get_user_model
        from django.db import transaction

        import project.asgi  # noqa: F401  # sets Django up
        from chat import authentication, messaging, rooms
        from chat.messaging import Draft

        def user(name: str) -> tuple[object, str]:
            person = get_user_model().objects.create_user(name)
            return person, authentication.issue_token(person)[0]

        with transaction.atomic():
            alice, self.alice = user("alice")
            _bob, self.bob = user("bob")
            members = [user(f"member{n}") for n in range(MEMBERS)]
            self.members = [token for _, token in members]
            room = rooms.create(members[0][0], "Hall", members=[person for person, _ in members])
            self.hall = room.pk
        self.away = []
        for n in range(ROUNDS):
            peer, token = user(f"away{n}")
            direct = rooms.open_direct(alice, peer)
            drafts = [Draft(alice, direct.pk, uuid.uuid4(), BODY) for _ in range(WAITING)]
            for start in range(0, WAITING, 500):
                messaging.post(drafts[start : start + 500])
            self.away.append((token, direct.pk))


# One message at a time


def commit_times(file: Path) -> list[float]:
    """Of single SQLite commits on this disk, as durable as ours, in seconds."""
    database = sqlite3.connect(file, isolation_level=None)
    database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(body)")
    times = []
    for _ in range(LATENCY_POSTS):
        began = time.perf_counter()
        database.execute("INSERT INTO t VALUES (?)", (BODY,))
        times.append(time.perf_counter() - began)
    database.close()
    return times


async def latencies(server: Server, stock: Stock) -> list[float]:
    """From alice's post to bob's socket, nothing else going on, in seconds."""
    times = []
    async with server.browser(stock.alice) as alice, server.browser(stock.bob) as bob:
        lobby = alice.room("Lobby")
        for n in range(LATENCY_POSTS):
            began = time.perf_counter()
            await alice.send(post(lobby, f"{n}"))
            await bob.sees(lobby, f"{n}")
            times.append(time.perf_counter() - began)
    return times


def post(room: str, body: str) -> Frame:
    return {"type": "post", "room": room, "id": str(uuid.uuid4()), "body": body}


# Somebody comes back


async def come_back(server: Server, token: str, room: str) -> tuple[float, float]:
    """From connecting to the first and to the last of the waiting messages, in seconds."""
    began = time.perf_counter()
    first = 0.0
    revs: list[int] = []
    wire = await server.wire(token).connect()
    await wire.send(json.dumps({"type": "resume"}))
    while len(revs) < WAITING:
        async with asyncio.timeout(PATIENCE):
            received = await wire.receive()
        for line in received.split("\n"):
            frame = json.loads(line)
            if frame["type"] != "replay":
                continue
            if frame["room"] == room:
                first = first or time.perf_counter() - began
                revs += [waiting["rev"] for waiting in frame["messages"]]
            cursors = {frame["room"]: frame["upto"]}
            await wire.send(json.dumps({"type": "ack", "cursors": cursors}))
    whole = time.perf_counter() - began
    await wire.close()
    assert revs == list(range(1, WAITING + 1)), "the waiting messages came out of order"
    return first, whole


# A full room


class Counter:
    """Counts a marker in a stream that comes in pieces."""

    def __init__(self, marker: bytes) -> None:
        self._marker = marker
        self._tail = b""
        self.count = 0

    def feed(self, data: bytes) -> None:
        data = self._tail + data
        self.count += data.count(self._marker)
        self._tail = data[-len(self._marker) + 1 :]


class Member(asyncio.Protocol):
    """A WebSocket as cheap as can be: it only counts, in the stream, what messages contain."""

    def __init__(self, request: str) -> None:
        self._request = request
        self.messages = Counter(b'"message"')
        self.synced = Counter(b'"synced"')
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latest = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.write(self._request.encode())

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            self.latest = data
            self.messages.feed(data)
            if not self.synced.count:
                self.synced.feed(data)
        elif b" 101 " in data:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(AssertionError(data))

    def connection_lost(self, error: Exception | None) -> None:
        self.opened.cancel()

    def send(self, text: str) -> None:
        payload = text.encode()
        size = len(payload)
        head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2)
        self._transport.write(head + b"\0\0\0\0" + payload)  # a mask that changes nothing

    def close(self) -> None:
        self._transport.abort()


class Sender(Member):
    """Keeps so many messages in flight: one more for each of its own that comes back."""

    def __init__(self, request: str, name: str, say: Callable[[Sequence[str]], list[str]]) -> None:
        super().__init__(request)
        self._say = say
        self._body = f"{name} {BODY}"
        self._own = Counter(f'"{name} '.encode())
        self.sent = 0
        self.sends = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._own.feed(data)
        self.go_on()

    def go_on(self) -> None:
        room_left = self._own.count + IN_FLIGHT - self.sent
        if self.sends and room_left > 0:
            self.sent += room_left
            for text in self._say([self._body] * room_left):
                self.send(text)


class Listener(Member):
    """Remembers everything, to check the order."""

    def __init__(self, request: str) -> None:
        super().__init__(request)
        self._stream: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._stream.append(data)

    def revs(self) -> list[int]:
        return [int(rev) for rev in re.findall(rb'"message","room":[^}]*?"rev":(\d+)', self.stream)]

    @property
    def stream(self) -> bytes:
        return b"".join(self._stream)


class Roost:
    """What members of the hall say to Roost."""

    name = "Roost"

    def __init__(self, stock: Stock) -> None:
        self._stock = stock

    def request(self, n: int) -> str:
        return _handshake(
            "/ws/",
            f"Authorization: Bearer {self._stock.members[n]}",
            "Sec-WebSocket-Protocol: chat.v1.json",
        )

    def hello(self) -> list[str]:
        # Nothing of the rounds before.
        return [json.dumps({"type": "resume", "ref": "hall", "limit": 0})]

    def say(self, bodies: Sequence[str]) -> list[str]:
        return ["\n".join(json.dumps(post(self._stock.hall, body)) for body in bodies)]

    def acknowledge(self, latest: bytes) -> list[str]:
        revs = re.findall(rb'"rev":(\d+),', latest[-1_000:])
        cursors = {self._stock.hall: int(revs[-1])} if revs else {}
        return [json.dumps({"type": "ack", "cursors": cursors})] if cursors else []


class Tutorial:
    """What they say to the chat of Channels' tutorial."""

    name = "Channels tutorial"

    def request(self, _n: int) -> str:
        return _handshake("/")

    def hello(self) -> list[str]:
        return []

    def say(self, bodies: Sequence[str]) -> list[str]:
        return [json.dumps({"message": body}) for body in bodies]

    def acknowledge(self, _latest: bytes) -> list[str]:
        return []


def _handshake(path: str, *headers: str) -> str:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""])


@dataclass(frozen=True)
class Hour:
    """A busy time in the hall."""

    rate: float  # deliveries per second
    server: float  # cores that it used
    load: float  # cores that we used


async def fill_the_hall(server: Server, chat: Roost | Tutorial) -> Hour:
    loop = asyncio.get_running_loop()
    senders = [
        await _enter(server, chat, Sender(chat.request(n), f"member{n}", chat.say))
        for n in range(SENDERS)
    ]
    listener = await _enter(server, chat, Listener(chat.request(SENDERS)))
    others = [
        await _enter(server, chat, Member(chat.request(n))) for n in range(SENDERS + 1, MEMBERS)
    ]
    members: list[Member] = [*senders, listener, *others]
    async with asyncio.timeout(PATIENCE):
        while chat.hello() and not all(member.synced.count for member in members):
            await asyncio.sleep(0.05)

    async def acknowledge() -> None:
        """Everybody once a second, not all at the same moment."""
        while True:
            for member in members:
                for text in chat.acknowledge(member.latest):
                    member.send(text)
                await asyncio.sleep(1 / len(members))

    acknowledging = loop.create_task(acknowledge())
    before = sum(member.messages.count for member in members)
    began, cpu, own_cpu = time.perf_counter(), server.cpu_seconds(), time.process_time()
    for sender in senders:
        sender.sends = True
        sender.go_on()
    await asyncio.sleep(SECONDS)
    took = time.perf_counter() - began
    rate = (sum(member.messages.count for member in members) - before) / took
    hour = Hour(rate, (server.cpu_seconds() - cpu) / took, (time.process_time() - own_cpu) / took)
    for sender in senders:
        sender.sends = False
    acknowledging.cancel()
    if isinstance(chat, Roost):  # the tutorial promises nothing
        await _check(members, listener, sum(sender.sent for sender in senders))
    for member in members:
        member.close()
    return hour


async def _check(members: Sequence[Member], listener: Listener, sent: int) -> None:
    """Everybody got everything, once and in order."""
    async with asyncio.timeout(PATIENCE):
        while any(member.messages.count < sent for member in members):
            await asyncio.sleep(0.05)
    assert all(member.messages.count == sent for member in members), "something came twice"
    revs = listener.revs()
    assert revs == list(range(revs[0], revs[0] + sent)), "out of order"


async def _enter(server: Server, chat: Roost | Tutorial, member: M) -> M:
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: member, "127.0.0.1", server.port)
    await asyncio.wait_for(member.opened, PATIENCE)
    for text in chat.hello():
        member.send(text)
    return member


# The table


def spread(values: Sequence[float], unit: float = 1, digits: int = 1) -> str:
    """Median, and from the lowest to the highest."""
    low, mid, high = (
        f"{value / unit:,.{digits}f}"
        for value in (min(values), statistics.median(values), max(values))
    )
    return f"{mid:>9}  ({low} to {high})"


def percentile(values: Sequence[float], percent: int) -> float:
    return sorted(values)[len(values) * percent // 100]


def show(what: str, value: str) -> None:
    print(f"  {what:<42}{value}", flush=True)


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and not without killing the servers
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as directory:
        home = Path(directory)
        # As in production: with DEBUG on, Django remembers thousands of queries.
        env = environment(home, LOG_LEVEL="WARNING", DEBUG="0", SECRET_KEY=uuid.uuid4().hex)
        env["ALLOWED_HOSTS"] = "127.0.0.1"
        os.environ |= env
        manage(env, "migrate", "--verbosity", "0")
        stock = Stock()
        print(f"Median of {ROUNDS} rounds (lowest to highest), {os.cpu_count()} cores")
        commits = [commit_times(home / f"commits{n}.sqlite3") for n in range(ROUNDS)]
        with Server(home / "log", env) as server:
            measure_latency(server, stock, commits)
            measure_return(server, stock)
        measure_hall(home, env, stock)


def measure_latency(server: Server, stock: Stock, commits: list[list[float]]) -> None:
    times = [uvloop.run(latencies(server, stock)) for _ in range(ROUNDS)]
    print("\nIdle: from one browser's post to another's screen, ms")
    show("a commit of SQLite alone, p50", spread([percentile(t, 50) for t in commits], 1e-3, 2))
    show("post to delivered, p50", spread([percentile(t, 50) for t in times], 1e-3, 2))
    show("post to delivered, p95", spread([percentile(t, 95) for t in times], 1e-3, 2))


def measure_return(server: Server, stock: Stock) -> None:
    times = [uvloop.run(come_back(server, *away)) for away in stock.away]
    print(f"\nComing back to {WAITING:,} waiting messages, ms from connecting")
    show("the first page", spread([first for first, _ in times], 1e-3))
    show("all, in order", spread([whole for _, whole in times], 1e-3))


def measure_hall(home: Path, env: dict[str, str], stock: Stock) -> None:
    print(f"\n{MEMBERS} members online, {SENDERS} write with {IN_FLIGHT} in flight, deliveries/s")
    rates = {}
    for chat, command in ((Tutorial(), TUTORIAL), (Roost(stock), ROOST)):
        hours = []
        for _ in range(ROUNDS):
            with Server(home / "log", env, command) as server:
                hours.append(uvloop.run(fill_the_hall(server, chat)))
        rates[chat.name] = statistics.median(hour.rate for hour in hours)
        show(chat.name, spread([hour.rate for hour in hours], digits=0))
        show("  cores: server", spread([hour.server for hour in hours], digits=2))
        show("  cores: load generator", spread([hour.load for hour in hours], digits=2))
    show(
        "Roost, durable, to the tutorial", f"{rates['Roost'] / rates['Channels tutorial']:>8.0f} x"
    )


if __name__ == "__main__":
    main()
