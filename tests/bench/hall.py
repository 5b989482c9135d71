"""A full room: 500 members online, of whom four write. Deliveries per second."""

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import uvloop

from tests.bench import roost
from tests.bench.load import (
    Connection,
    Counter,
    Recorder,
    acknowledge_forever,
    enter,
    handshake,
)
from tests.bench.stack import Stack
from tests.bench.stock import BODY, MEMBERS, ROUNDS, Stock
from tests.bench.table import show, show_cores, show_ratio
from tests.servers import PATIENCE, ROOST, Server

SENDERS = 4
IN_FLIGHT = 16
SECONDS = 4.0  # that senders keep sending


class Roost:
    """What members of the hall say to Roost."""

    name = "Roost"
    command = ROOST

    def __init__(self, stock: Stock) -> None:
        self._members = stock.members
        self._hall = stock.hall

    def request(self, n: int) -> str:
        return roost.handshake(self._members[n])

    def hello(self) -> list[str]:
        return [roost.hello()]

    def say(self, bodies: Sequence[str]) -> list[str]:
        return ["\n".join(roost.post(self._hall, body) for body in bodies)]

    def acknowledge(self, _n: int, latest: bytes) -> list[str]:
        return roost.acknowledge(self._hall, latest)


class Tutorial:
    """What they say to the chat of Channels' tutorial."""

    name = "Channels tutorial"
    command = ("-m", "daphne", "tests.bench.tutorial:application")

    def __init__(self, stock: Stock) -> None:
        self._sessions = stock.sessions

    def request(self, n: int) -> str:
        return handshake("/", f"Cookie: sessionid={self._sessions[n]}")

    def hello(self) -> list[str]:
        return []

    def say(self, bodies: Sequence[str]) -> list[str]:
        return [json.dumps({"message": body}) for body in bodies]

    def acknowledge(self, _n: int, _latest: bytes) -> list[str]:
        return []


class Sender(Connection):
    """Keeps so many messages in flight: one more for each of its own that comes back."""

    def __init__(self, name: str, say: Callable[[Sequence[str]], list[str]]) -> None:
        super().__init__()
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


@dataclass(frozen=True)
class Hour:
    """A busy time in the hall."""

    rate: float  # deliveries per second
    cores: dict[str, float]


async def fill(stack: Stack, server: Server, chat: Roost | Tutorial) -> Hour:
    senders = [Sender(f"member{n}", chat.say) for n in range(SENDERS)]
    listener = Recorder()
    others = [Connection() for _ in range(MEMBERS - SENDERS - 1)]
    members = [*senders, listener, *others]
    await enter(server, chat, members)
    acknowledging = asyncio.create_task(acknowledge_forever(chat, members))
    before = sum(member.messages.count for member in members)
    stopwatch = stack.stopwatch(server)
    for sender in senders:
        sender.sends = True
        sender.go_on()
    await asyncio.sleep(SECONDS)
    took, cores = stopwatch.stop()
    delivered = sum(member.messages.count for member in members) - before
    for sender in senders:
        sender.sends = False
    acknowledging.cancel()
    if isinstance(chat, Roost):  # the tutorial promises nothing
        await _check(members, listener, sum(sender.sent for sender in senders))
    for member in members:
        member.close()
    return Hour(delivered / took, cores)


async def _check(members: Sequence[Connection], listener: Recorder, sent: int) -> None:
    """Everybody got everything, once and in order."""
    async with asyncio.timeout(PATIENCE):
        while any(member.messages.count < sent for member in members):
            await asyncio.sleep(0.05)
    assert all(member.messages.count == sent for member in members), "something came twice"
    found = re.findall(rb'"message","room":[^}]*?"rev":(\d+)', listener.stream)
    revs = list(map(int, found))
    assert revs == list(range(revs[0], revs[0] + sent)), "out of order"


def measure(stack: Stack) -> None:
    print(f"\n  {MEMBERS} members online, {SENDERS} write with {IN_FLIGHT} in flight")
    chats = (Tutorial(stack.stock), Roost(stack.stock))
    hours: dict[str, list[Hour]] = {chat.name: [] for chat in chats}
    for _ in range(ROUNDS):
        for chat in chats:
            with stack.server(chat.command) as server:
                hours[chat.name].append(uvloop.run(fill(stack, server, chat)))
    rates = {name: [hour.rate for hour in hours[name]] for name in hours}
    for name, rate in rates.items():
        show(f"{name}, deliveries/s", rate, digits=0)
        show_cores([hour.cores for hour in hours[name]])
    show_ratio("Roost, durable, to the tutorial", rates["Roost"], rates["Channels tutorial"])
