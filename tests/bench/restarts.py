"""Workers that are restarted, and workers that are killed, while people write: who notices?

Takes six minutes, so it is measured only when it is named: `python -m tests.bench restarts`.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import uvloop

from tests.bench.stack import Stack
from tests.bench.stock import BODY
from tests.bench.table import percentile
from tests.checker import findings
from tests.device import Device, Writing, all_finish, all_have, all_post, living
from tests.fleet import Fleet, heads, rows
from tests.history import Event

TIMES = 20
ROOMS = 10
DEVICES = 50
SENDERS = 20
WORKERS = ("worker 1", "worker 2")
PAUSE = 1.0  # seconds between two of them


def measure(stack: Stack) -> None:
    if stack.database is None:
        return  # several workers need a server that they share
    with Fleet(stack.home / "log", stack.env | {"LOG_LEVEL": "WARNING"}, len(WORKERS)) as fleet:
        print(
            f"\n  {SENDERS} write, to {DEVICES} devices in {ROOMS} rooms, on {len(WORKERS)} workers"
        )
        ended = TIMES * len(WORKERS)
        print(f"    {TIMES} rolling restarts, which end {ended} workers")
        uvloop.run(_endure(stack, fleet, lambda _: fleet.restart()))
        print(f"    {TIMES} times a worker is killed")
        uvloop.run(_endure(stack, fleet, partial(_kill_one, fleet)))
        trouble = fleet.tracebacks()
        assert not trouble, trouble


def _kill_one(fleet: Fleet, n: int) -> None:
    fleet.kill_worker(WORKERS[n % len(WORKERS)])


def _rooms(stack: Stack, fleet: Fleet) -> list[str]:
    """Each of as many members as have a device in it."""
    tokens, size = stack.stock.members, DEVICES // ROOMS
    rooms = []
    for first in range(0, DEVICES, size):
        others = [f"member{n}" for n in range(first + 1, first + size)]
        new = {"name": f"Room of member{first}", "members": others}
        rooms.append(fleet.post("/api/rooms", new, tokens[first])["room"])
    return rooms


async def _endure(stack: Stack, fleet: Fleet, harm: Callable[[int], None]) -> None:
    """Write while harm is done, as often as it is to be, and tell what became of it."""
    history: list[Event] = []
    rooms = _rooms(stack, fleet)
    devices = [_device(stack, fleet, rooms, n, history) for n in range(DEVICES)]
    async with living(devices):
        for n in range(TIMES):
            await all_post(devices)
            await asyncio.sleep(PAUSE)
            await asyncio.to_thread(harm, n)
        await all_post(devices)
        await all_finish(devices)
        assert stack.database is not None
        ends = heads(stack.database, rooms)
        await all_have(devices, ends)
    there = [event for event in history if getattr(event, "room", rooms[0]) in rooms]
    _tell(devices, findings(there, rows(stack.database, rooms), ends))


def _device(
    stack: Stack, fleet: Fleet, rooms: Sequence[str], n: int, history: list[Event]
) -> Device:
    """The first of each room write."""
    room, place = divmod(n, DEVICES // ROOMS)
    writes = place < SENDERS // ROOMS
    writing = Writing(rooms[room], BODY, at_once=2, pause=0.2) if writes else None
    dial = partial(fleet.wire, stack.stock.members[n])
    return Device(f"member{n}.1", dial, history.append, writing)


def _tell(devices: Sequence[Device], wrong: Sequence[str]) -> None:
    lost = [connection for device in devices for connection in device.lost]
    told = [connection for connection in lost if connection.was_sent_on]
    failures = Counter(type(error).__name__ for device in devices for error in device.failures)
    kinds = Counter(finding.split()[0] for finding in wrong)
    _line("connections that ended", len(lost))
    _line("  of them after bye, with 4012", len(told))
    _line("  handshakes that failed on the way back", dict(failures) or 0)
    _line("posts acknowledged", sum(device.posted for device in devices))
    _line("  failed after retry", sum(len(device.refused) for device in devices))
    _line("  lost", kinds.pop("I1", 0))
    _line("  doubled", kinds.pop("I3", 0))
    _line("  otherwise wrong", dict(kinds) or 0)
    _line_of_seconds("away, until all was there again", [s for d in devices for s in d.away])
    _line_of_seconds("silent, until a post was answered", [s for d in devices for s in d.silent])


def _line(what: str, value: object) -> None:
    print(f"      {what:<42}{value:>9}" if isinstance(value, int) else f"      {what}: {value}")


def _line_of_seconds(what: str, seconds: Sequence[float]) -> None:
    middle, late = (percentile(seconds, percent) for percent in (50, 95))
    print(
        f"      {what:<42}{middle:>9.2f}  (p95 {late:.2f}, at most {max(seconds):.2f} s)",
        flush=True,
    )
