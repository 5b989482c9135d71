"""A hundred pairs who talk directly; each post is acknowledged as stored. Messages per second.

Beside it, in the same rounds and by the same load: a chat that saves message by message.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
import uuid
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import uvloop

from tests.bench import roost
from tests.bench.load import Counter, Recorder, acknowledge_forever, enter, handshake
from tests.bench.stack import Stack
from tests.bench.stock import BODY, PAIRS, ROUNDS, Stock
from tests.bench.table import percentile, show, show_cores, show_ratio
from tests.servers import ROOST, ROOT, Server

IN_FLIGHT = (1, 16)
WARM_UP = 0.5  # seconds
SECONDS = 3.0  # that are counted
DRAIN = 60.0  # seconds in which everything must be acknowledged when nobody sends any more


class Roost:
    """What pairs say to Roost. The first hundred connections write, to the next hundred."""

    name = "Roost"
    command = ROOST
    count = "SELECT room_id, count(*) FROM chat_message GROUP BY room_id"

    def __init__(self, stock: Stock) -> None:
        one, other, self.rooms = zip(*stock.pairs, strict=True)
        self._tokens = [*one, *other]

    def request(self, n: int) -> str:
        return roost.handshake(self._tokens[n])

    def hello(self) -> list[str]:
        return [roost.hello()]

    def say(self, pair: int, client_ids: Sequence[str]) -> list[str]:
        return ["\n".join(roost.post(self.rooms[pair], BODY, name) for name in client_ids)]

    def acknowledge(self, n: int, latest: bytes) -> list[str]:
        return roost.acknowledge(self.rooms[n % PAIRS], latest)


class SavePerMessage:
    """What they say to the chat that saves message by message."""

    name = "save per message"
    command = ("-m", "daphne", "tests.bench.save_per_message:application")
    count = "SELECT room, count(*) FROM save_per_message_message GROUP BY room"
    rooms = [f"pair{n}" for n in range(PAIRS)]

    def request(self, n: int) -> str:
        return handshake(f"/{self.rooms[n % PAIRS]}/")

    def hello(self) -> list[str]:
        return []

    def say(self, _pair: int, client_ids: Sequence[str]) -> list[str]:
        return [json.dumps({"id": name, "body": BODY}) for name in client_ids]

    def acknowledge(self, _n: int, _latest: bytes) -> list[str]:
        return []


class Writer(Recorder):
    """Keeps so many posts in flight: one more for each that is acknowledged."""

    def __init__(self, say: Callable[[Sequence[str]], list[str]], in_flight: int) -> None:
        super().__init__()
        self._say = say
        self._in_flight = in_flight
        self._since: deque[float] = deque()
        self._posted = Counter(b'"posted"')
        self.client_ids: list[str] = []
        self.took: list[float] = []  # until each was acknowledged, in seconds
        self.sends = False

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if found := self._posted.feed(data):
            now = time.perf_counter()
            self.took += [now - self._since.popleft() for _ in range(found)]
            self.go_on()

    def go_on(self) -> None:
        room_left = self._in_flight - len(self._since)
        if not self.sends or not room_left:
            return
        client_ids = [str(uuid.uuid4()) for _ in range(room_left)]
        self._since += [time.perf_counter()] * room_left
        self.client_ids += client_ids
        for text in self._say(client_ids):
            self.send(text)


@dataclass(frozen=True)
class Talk:
    """A while in which all pairs talk."""

    rate: float  # acknowledged messages per second
    took: list[float]  # until each was acknowledged, in seconds
    cores: dict[str, float]


async def talk(stack: Stack, server: Server, chat: Roost | SavePerMessage, in_flight: int) -> Talk:
    writers = [Writer(partial(chat.say, pair), in_flight) for pair in range(PAIRS)]
    readers = [Recorder() for _ in range(PAIRS)]
    stored = stack.counted(chat.count)
    await enter(server, chat, [*writers, *readers])
    acknowledging = asyncio.create_task(acknowledge_forever(chat, [*writers, *readers]))
    for writer in writers:
        writer.sends = True
        writer.go_on()
    await asyncio.sleep(WARM_UP)
    stopwatch = stack.stopwatch(server)
    before = sum(len(writer.took) for writer in writers)
    await asyncio.sleep(SECONDS)
    seconds, cores = stopwatch.stop()
    rate = (sum(len(writer.took) for writer in writers) - before) / seconds
    for writer in writers:
        writer.sends = False
    await _until_all_is_there(writers, readers)
    acknowledging.cancel()
    for room, writer in zip(chat.rooms, writers, strict=True):
        stored[room] = stored.get(room, 0) + len(writer.client_ids)
    assert stack.counted(chat.count) == stored, "not every acknowledged message was stored once"
    if isinstance(chat, Roost):
        for writer, reader in zip(writers, readers, strict=True):
            _check(writer, reader)
    for connection in (*writers, *readers):
        connection.close()
    # The first ones met an empty queue, or were sent all at once.
    return Talk(rate, [t for writer in writers for t in writer.took[in_flight:]], cores)


async def _until_all_is_there(writers: Sequence[Writer], readers: Sequence[Recorder]) -> None:
    pairs = list(zip(writers, readers, strict=True))
    async with asyncio.timeout(DRAIN):
        while any(
            not len(writer.took) == len(writer.client_ids) == reader.messages.count
            for writer, reader in pairs
        ):
            await asyncio.sleep(0.05)


def _check(writer: Writer, reader: Recorder) -> None:
    """Everything was acknowledged, and arrived, once and in order."""
    sent = [client_id.encode() for client_id in writer.client_ids]
    assert re.findall(rb'"posted","id":"([^"]+)"', writer.stream) == sent, "acknowledged otherwise"
    places = re.findall(rb'"message",[^}]*?"seq":(\d+),"rev":\d+,"id":"([^"]+)"', reader.stream)
    first = int(places[0][0])
    assert places == [(b"%d" % seq, name) for seq, name in enumerate(sent, first)], "out of order"


def measure(stack: Stack) -> None:
    if stack.database is None:
        return  # nobody saves message by message into SQLite for two hundred people
    print(f"\n  {PAIRS} pairs, each post acknowledged as stored")
    subprocess.run(
        [sys.executable, "-m", "tests.bench.save_per_message"], cwd=ROOT, env=stack.env, check=True
    )
    chats = (SavePerMessage(), Roost(stack.stock))
    talks: dict[tuple[str, int], list[Talk]] = defaultdict(list)
    for _ in range(ROUNDS):
        for chat in chats:
            with stack.server(chat.command) as server:
                for in_flight in IN_FLIGHT:
                    talked = uvloop.run(talk(stack, server, chat, in_flight))
                    talks[chat.name, in_flight].append(talked)
    for in_flight in IN_FLIGHT:
        for chat in chats:
            _show(f"{chat.name}, {in_flight} in flight", talks[chat.name, in_flight])
        theirs, ours = ([t.rate for t in talks[chat.name, in_flight]] for chat in chats)
        show_ratio(f"Roost to save per message, {in_flight} in flight", ours, theirs)


def _show(what: str, talks: Sequence[Talk]) -> None:
    show(f"{what}, messages/s", [talk.rate for talk in talks], digits=0)
    for percent in (50, 99):
        took = [percentile(talk.took, percent) for talk in talks]
        show(f"  acknowledged after, p{percent}, ms", took, 1e-3)
    busy = [talk.cores["server"] / talk.rate for talk in talks]
    show("  the server's own time for each, ms", busy, 1e-3, 2)
    show_cores([talk.cores for talk in talks])
