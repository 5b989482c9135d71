"""Clients that never read, and one that floods: what they cost the server, and everybody else.

Measured only when it is named: `python -m tests.bench nuisances`.
"""

import asyncio
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import cycle

import uvloop

from tests.bench import flood, roost
from tests.bench.hall import Roost
from tests.bench.load import Connection, acknowledge_forever, enter
from tests.bench.stack import Stack
from tests.bench.stock import ROUNDS
from tests.bench.table import percentile, show
from tests.servers import PATIENCE, ROOT, Server

ORDINARY = 20  # members of the hall, who write in turn
POSTS_A_SECOND = 40
SECONDS = 5.0  # that each half of a flood's round takes

SILENT = 50  # further members of the hall
FAN_OUT = 100 * 10**6  # characters that are meant for all of them together
LONG_BODY = 3_950  # characters; a little less than what is allowed
ASTRAL = "\N{FACE WITH TEARS OF JOY}"  # a character of four bytes

MEBIBYTE = 1 << 20


class Member(Connection):
    """Notes how long each message was on its way from its sender to here."""

    SENT = re.compile(rb'"body":"@([0-9.]+)@')

    def __init__(self) -> None:
        super().__init__()
        self.took: list[float] = []
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        now, end = time.perf_counter(), 0
        data = self._rest + data
        for sent in self.SENT.finditer(data):
            self.took.append(now - float(sent[1]))
            end = sent.end()
        self._rest = data[max(end, len(data) - 40) :]


@dataclass(frozen=True)
class Half:
    """Of a round: with nuisances, or without."""

    took: list[float]  # until each message was with each ordinary member, in seconds
    growth: int  # of the server's memory, at its highest, in bytes


Nuisance = Callable[[Stack, Server], AbstractAsyncContextManager[None]]


async def compare(
    stack: Stack, server: Server, nuisance: Nuisance, posts: int, body: str
) -> tuple[Half, Half]:
    """The same conversation without them, and with them."""
    chat = Roost(stack.stock)
    members = [Member() for _ in range(ORDINARY)]
    await enter(server, chat, members)
    acknowledging = asyncio.create_task(acknowledge_forever(chat, members))
    await converse(stack, server, members, POSTS_A_SECOND, body)  # everything is warm then
    without = await converse(stack, server, members, posts, body)
    before = server.memory()
    async with nuisance(stack, server):
        came = server.memory() - before
        half = await converse(stack, server, members, posts, body)
    acknowledging.cancel()
    for member in members:
        member.close()
    return without, Half(half.took, half.growth + came)


async def converse(
    stack: Stack, server: Server, members: Sequence[Member], posts: int, body: str
) -> Half:
    """They post in turn, evenly, whatever it takes the others to be shown it."""
    for member in members:
        member.took.clear()
    before = highest = server.memory()
    began = time.perf_counter()
    for n, member in zip(range(posts), cycle(members), strict=False):
        await asyncio.sleep(began + n / POSTS_A_SECOND - time.perf_counter())
        member.send(roost.post(stack.stock.hall, f"@{time.perf_counter():.6f}@{body}"))
        highest = max(highest, server.memory())
    async with asyncio.timeout(PATIENCE):
        while any(len(member.took) < posts for member in members):
            await asyncio.sleep(0.02)
    assert all(len(member.took) == posts for member in members), "something came twice"
    return Half([took for member in members for took in member.took], highest - before)


# Nuisances


@asynccontextmanager
async def silence(stack: Stack, server: Server) -> AsyncIterator[None]:
    """Clients that say where they left off, and read nothing more."""
    loop, chat = asyncio.get_running_loop(), Roost(stack.stock)
    connections = [Connection() for _ in range(SILENT)]
    for n, connection in enumerate(connections, ORDINARY):
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        narrow.connect(("127.0.0.1", server.port))
        transport, _ = await loop.create_connection(lambda c=connection: c, sock=narrow)
        await connection.open(chat.request(n))
        transport.pause_reading()
        for text in chat.hello():
            connection.send(text)
    await asyncio.sleep(1)  # they cannot tell us when they are live
    try:
        yield
    finally:
        for connection in connections:
            connection.close()


@asynccontextmanager
async def flooded(kind: str, stack: Stack, server: Server) -> AsyncIterator[None]:
    """By one client, in a process of its own."""
    token = stack.stock.members[ORDINARY]
    command = [sys.executable, "-m", "tests.bench.flood", kind]
    with subprocess.Popen(
        [*command, str(server.port), token, stack.stock.hall], cwd=ROOT, stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            await asyncio.to_thread(process.stdout.readline)  # it has begun
            yield
            assert process.poll() is None, "the flood has ended"
        finally:
            process.kill()


# The tables


def measure(stack: Stack) -> None:
    if stack.database is not None:
        return  # one worker is enough
    print(f"\n  {ORDINARY} members of a room post {POSTS_A_SECOND} messages a second")
    for what, character in (("", "x"), (" of four bytes", ASTRAL)):
        posts = FAN_OUT // SILENT // LONG_BODY
        print(f"    {SILENT} others never read: {posts} messages of {LONG_BODY:,} characters{what}")
        rounds = [_round(stack, silence, posts, character * LONG_BODY) for _ in range(ROUNDS)]
        _tell(rounds, SILENT)
    for kind in flood.KINDS:
        print(f"    one floods the server: {kind}")
        posts = int(POSTS_A_SECOND * SECONDS)
        _tell([_round(stack, partial(flooded, kind), posts, "x") for _ in range(ROUNDS)], 1)


def _round(stack: Stack, nuisance: Nuisance, posts: int, body: str) -> tuple[Half, Half]:
    """On a server of its own: memory that was once needed is not given back."""
    env = stack.env | {"LOG_LEVEL": "WARNING", "CHAT_POST_RATE": "10"}
    with Server(stack.home / "nuisances.log", env) as server:
        halves = uvloop.run(compare(stack, server, nuisance, posts, body))
        assert "Traceback" not in server.log.read_text()
    return halves


def _tell(rounds: Sequence[tuple[Half, Half]], nuisances: int) -> None:
    growth = [with_them.growth / nuisances for _, with_them in rounds]
    alone, beside = (
        [percentile(half.took, 99) for half in halves] for halves in zip(*rounds, strict=True)
    )
    show("  memory for each, MiB", growth, MEBIBYTE, 2)
    show("  others' p99 without, ms", alone, 1e-3)
    show("  others' p99 with, ms", beside, 1e-3)
    show("  times", [b / a for a, b in zip(alone, beside, strict=True)])
