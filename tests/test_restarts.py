"""Workers that are restarted, or die, while everybody writes: a deploy is not an event.

Over a real PostgreSQL and a real Valkey. People come back as their client's rules say, by
themselves; `pytest -s` tells how long they were away.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from chat.sockets import CloseCode
from tests.checker import findings
from tests.device import Device, Writing, living, until
from tests.fleet import Fleet, heads, rows
from tests.history import Event, Settled
from tests.servers import environment, manage
from tests.stacks import Missing, PostgreSQL, Valkey

ROOMS = ("Kitchen of all", "Garden of all", "Attic of all")
PEOPLE = ("alice", "bob", "charlie")
DEVICES = 10
OUTAGE = 3.0  # seconds
PATIENCE = 60.0  # seconds, for a machine that is busy with something else


@dataclass
class Site:
    fleet: Fleet
    postgresql: PostgreSQL
    valkey: Valkey
    tokens: dict[str, str]
    read: int = 0

    def news(self) -> list[str]:
        """What was logged since the last time."""
        lines = self.fleet.said()
        news, self.read = lines[self.read :], len(lines)
        return news


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # Not in pytest's directory: that is closed again to whom PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="roost-") as directory:
        home = Path(directory)
        try:
            valkey, postgresql = Valkey(home / "valkey"), PostgreSQL(home / "postgresql")
        except Missing as missing:
            pytest.skip(str(missing))
        with valkey, postgresql:
            env = environment(home, DATABASE_URL=postgresql.url, REDIS_URL=valkey.url)
            manage(env, "migrate")
            manage(env, "demo")
            with Fleet(home / "log", env) as fleet:
                tokens = {name: fleet.token(name) for name in PEOPLE}
                yield Site(fleet, postgresql, valkey, tokens)
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
        for device in devices:
            device.is_quiet = True
        await until(lambda: all(device.is_done for device in devices), PATIENCE)
        ends = heads(site.postgresql, rooms)
        for device in devices:
            await until(lambda: has_all(device, ends), PATIENCE)  # noqa: B023
            history.append(Settled(device.client.device))
    there = [event for event in history if getattr(event, "room", rooms[0]) in rooms]
    stored = rows(site.postgresql, rooms)
    assert findings(there, stored, ends) == []
    assert len(stored) == sum(device.posted for device in devices)
    assert not any(device.refused for device in devices)
    assert "Traceback" not in "\n".join(site.news())
    away = [seconds for device in devices for seconds in device.away]
    print(f"\n  {len(stored)} messages; away {len(away)} times, at most {max(away):.1f} s")


async def all_post(devices: list[Device]) -> None:
    """Wait until each has posted something more, however often it is cut off meanwhile."""
    before = {device: device.posted for device in devices}
    await until(lambda: all(device.posted > before[device] for device in devices), PATIENCE)


def has_all(device: Device, ends: dict) -> bool:
    return all(device.client.cursors.get(room) == head.rev for room, head in ends.items())


async def test_nobody_is_cut_off_by_rolling_restarts(site):
    async with everybody_writes(site) as devices:
        for _ in range(2):
            await asyncio.to_thread(site.fleet.restart)
            await all_post(devices)
    told_when_to_come_back(devices)
    assert any(device.lost for device in devices)


def told_when_to_come_back(devices: list[Device]) -> None:
    """All whose worker ended; and then they found another at once."""
    for device in devices:
        assert {end.code for end in device.lost} <= {CloseCode.RESTART}
        assert all(end.said_goodbye for end in device.lost)
        assert not device.failures


async def test_nothing_is_lost_or_doubled_when_a_worker_is_killed(site):
    async with everybody_writes(site) as devices:
        for name in ("worker 1", "worker 2"):
            await asyncio.to_thread(site.fleet.kill_worker, name)
            await all_post(devices)


async def test_nobody_is_cut_off_by_a_restart_while_redis_is_down(site):
    async with everybody_writes(site) as devices:
        await asyncio.to_thread(site.valkey.stop)
        try:
            await asyncio.gather(asyncio.to_thread(site.fleet.restart), asyncio.sleep(OUTAGE))
        finally:
            await asyncio.to_thread(site.valkey.start)
    told_when_to_come_back(devices)
