"""Two thousand people come in, logged in, and then say nothing: how fast, and what each costs.

The tutorial has nothing to show them: its sockets are there when they are open, ours when they have
everything.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

from tests.bench.hall import Roost, Tutorial
from tests.bench.load import Connection
from tests.bench.stack import Stack
from tests.bench.stock import MEMBERS, ROUNDS
from tests.bench.table import show, show_cores, show_ratio
from tests.servers import PATIENCE, Server

SOCKETS = 2_000
AT_ONCE = 32
PING = 0x89
SETTLES = 3.0  # seconds until the memory is looked at


class Guest(Connection):
    """Has arrived when it has said hello and heard all that it waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.synchronized = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.synced.count:
            self.synchronized.set()
        if data[0] == PING:  # of somebody idle, it comes alone
            self.pong(data[2:])

    async def arrive(self, server: Server, chat: Roost | Tutorial, n: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, "127.0.0.1", server.port)
        await self.open(chat.request(n % MEMBERS))
        for text in chat.hello():
            self.send(text)
            await asyncio.wait_for(self.synchronized.wait(), PATIENCE)


@dataclass(frozen=True)
class Evening:
    """How they came, and what the server holds for each."""

    rate: float  # sockets per second
    memory: float  # bytes for each
    cores: dict[str, float]


async def open_doors(stack: Stack, server: Server, chat: Roost | Tutorial) -> Evening:
    first = await _arrive(server, chat, AT_ONCE)  # the server makes what it needs but once
    await asyncio.sleep(SETTLES)
    before = server.memory()
    stopwatch = stack.stopwatch(server)
    guests = await _arrive(server, chat, SOCKETS)
    took, cores = stopwatch.stop()
    await asyncio.sleep(SETTLES)
    memory = (server.memory() - before) / SOCKETS
    for guest in (*first, *guests):
        assert not guest.lost, "somebody was shown out again"
        guest.close()
    return Evening(SOCKETS / took, memory, cores)


async def _arrive(server: Server, chat: Roost | Tutorial, count: int) -> Sequence[Guest]:
    """So many, some of them at a time."""
    guests = [Guest() for _ in range(count)]
    waiting = enumerate(guests)

    async def let_in() -> None:
        for n, guest in waiting:
            await guest.arrive(server, chat, n)

    await asyncio.gather(*(let_in() for _ in range(AT_ONCE)))
    return guests


def measure(stack: Stack) -> None:
    print(f"\n  {SOCKETS:,} logged-in sockets, {AT_ONCE} coming at a time, then idle")
    chats = (Tutorial(stack.stock), Roost(stack.stock))
    evenings: dict[str, list[Evening]] = {chat.name: [] for chat in chats}
    for _ in range(ROUNDS):
        for chat in chats:
            with stack.server(chat.command) as server:
                evenings[chat.name].append(uvloop.run(open_doors(stack, server, chat)))
    for chat in chats:
        told = evenings[chat.name]
        show(f"{chat.name}, sockets/s", [evening.rate for evening in told], digits=0)
        show("  KiB for each", [evening.memory for evening in told], 1024)
        show_cores([evening.cores for evening in told])
    theirs, ours = (evenings[chat.name] for chat in chats)
    show_ratio("Roost to the tutorial, sockets/s", [e.rate for e in ours], [e.rate for e in theirs])
    show_ratio("  memory", [e.memory for e in ours], [e.memory for e in theirs])
