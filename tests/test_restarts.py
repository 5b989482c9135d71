"""Workers that are restarted, or die, while everybody writes: a deploy is not an event.

Over a real PostgreSQL and a real Valkey. People come back as their client's rules say, by
themselves; `pytest -s` tells how long they were away.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest

from tests.checker import findings
from tests.conftest import Daemons
from tests.device import Device, Writing, all_finish, all_have, all_post, living
from tests.figures import Figures, fallen, parsed
from tests.fleet import Fleet, heads, rows
from tests.history import Event
from tests.stacks import PostgreSQL, Valkey

ROOMS = ("Kitchen of all", "Garden of all", "Attic of all")
PEOPLE = ("alice", "bob", "charlie")
DEVICES = 10
SENT_ON = 'chat_closes_total{code="4012"}'
STORED, KNOWN = "chat_posts_stored_total", "chat_posts_known_total"
OUTAGE = 3.0  # seconds
TROUBLE = ("Traceback", " ERROR ", "is killed", "did not end well")  # that nobody has asked for


@dataclass
class Site:
    fleet: Fleet
    postgresql: PostgreSQL
    valkey: Valkey
    tokens: dict[str, str]
    read: int = 0

    def figures(self) -> Figures:
        """What any of its workers tells of all."""
        status, text = self.fleet.request("GET", "/metrics")
        assert status == 200
        return parsed(text.decode())

    def news(self) -> list[str]:
        """What was logged since the last time."""
        lines = self.fleet.said()
        news, self.read = lines[self.read :], len(lines)
        return news


@pytest.fixture(scope="module")
def site(daemons: Daemons) -> Iterator[Site]:
    with Fleet(daemons.home / "log", daemons.env) as fleet:
        tokens = {name: fleet.token(name) for name in PEOPLE}
        yield Site(fleet, daemons.postgresql, daemons.valkey, tokens)
        assert fleet.stop() == 0


@asynccontextmanager
async def everybody_writes(site: Site) -> AsyncIterator[list[Device]]:
    """All the time, on ten devices; in the end all have everything, and nothing is wrong."""
    new = [{"name": name, "members": PEOPLE[1:]} for name in ROOMS]
    rooms = [site.fleet.post("/api/rooms", room, site.tokens["alice"])["room"] for room in new]
    history: list[Event] = []
    site.news()
    devices = []
    for n in range(DEVICES):
        name = PEOPLE[n % len(PEOPLE)]
        dial = partial(site.fleet.wire, site.tokens[name])
        writing = Writing(rooms[n % len(rooms)], "Tea?", at_once=3, pause=0.3)
        devices.append(Device(f"{name}.{n}", dial, history.append, writing))
    async with living(devices):
        await all_post(devices)
        yield devices
        await all_post(devices)
        await all_finish(devices)
        ends = heads(site.postgresql, rooms)
        await all_have(devices, ends)
    there = [event for event in history if getattr(event, "room", rooms[0]) in rooms]
    stored = rows(site.postgresql, rooms)
    assert findings(there, stored, ends) == []
    assert len(stored) == sum(device.posted for device in devices)
    assert not any(device.refused for device in devices)
    assert [line for line in site.news() if any(word in line for word in TROUBLE)] == []
    away = [seconds for device in devices for seconds in device.away]
    print(f"\n  {len(stored)} messages; away {len(away)} times, at most {max(away):.1f} s")


async def test_nobody_is_cut_off_by_rolling_restarts_with_or_without_redis(site):
    before = site.figures()
    async with everybody_writes(site) as devices:
        await asyncio.to_thread(site.fleet.restart)
        await all_post(devices)
        await asyncio.to_thread(site.valkey.stop)
        try:
            await asyncio.gather(asyncio.to_thread(site.fleet.restart), asyncio.sleep(OUTAGE))
        finally:
            await asyncio.to_thread(site.valkey.start)
    lost = [connection for device in devices for connection in device.lost]
    assert lost
    assert [connection for connection in lost if not connection.was_sent_on] == []
    assert not any(device.failures for device in devices)  # they found another worker at once
    after = site.figures()
    assert fallen(before, after) == {}
    assert after[SENT_ON] - before[SENT_ON] >= 2 * DEVICES


async def test_nothing_is_lost_or_doubled_when_a_worker_is_killed(site):
    before = site.figures()
    async with everybody_writes(site) as devices:
        for name in ("worker 1", "worker 2"):
            await asyncio.to_thread(site.fleet.kill_worker, name)
            await all_post(devices)
    after = site.figures()
    assert fallen(before, after) == {}
    # Who is killed after a commit has not counted it: when it is posted again, it is known.
    told = sum(after[name] - before[name] for name in (STORED, KNOWN))
    assert told >= sum(device.posted for device in devices)
    assert len(processes(before)) == len(processes(after)) == 2
    assert not processes(before) & processes(after)


def processes(figures: Figures) -> set[str]:
    """Of which something is told."""
    return {name for name in figures if name.startswith("chat_database_seen")}
