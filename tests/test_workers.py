"""Two workers over a real PostgreSQL and a real Valkey, whatever becomes of one of them.

Worker one reaches both directly; worker two through proxies, and its clock is an hour fast. People
talk on both all the time. What they were shown is judged when they have finished, and `pytest -s`
tells how long they had to wait.
"""

import asyncio
import itertools
import time
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median

import pytest

from chat import leases
from tests.checker import findings
from tests.client import Frame
from tests.conftest import Daemons
from tests.fake_browser import Browser, Closed, Interrupted
from tests.history import Acknowledged, Applied, Event, Head, RecordedClient, Row, Sent, Settled
from tests.proxy import Proxy
from tests.servers import Server
from tests.stacks import Daemon, PostgreSQL, Valkey

PATIENCE = 30.0  # seconds, for a machine that is busy with something else
PAUSE = 0.05  # seconds that somebody who was answered says nothing
QUIET = 1.5  # seconds in which others say so much that nobody could overhear it
HOUR = timedelta(hours=1)
LINES = 8  # that a worker may log for one fault

AN_HOUR_FAST = """
import runpy, sys, time
from datetime import timedelta
from django.utils import timezone

time.time = lambda now=time.time: now() + 3600
timezone.now = lambda now=timezone.now: now() + timedelta(hours=1)
sys.argv[1:1] = ["project.asgi:application"]
runpy.run_module("project.server", run_name="__main__")
"""


@dataclass
class Site:
    valkey: Valkey
    postgresql: PostgreSQL
    valkey_proxy: Proxy
    postgresql_proxy: Proxy
    one: Server
    two: Server
    tokens: dict[str, str]
    read: dict[Path, int] = field(default_factory=dict)

    def news(self, server: Server) -> list[str]:
        """What a worker has logged since the last time, but for who came and went."""
        text = server.log.read_text()
        start, self.read[server.log] = self.read.get(server.log, 0), len(text)
        usual = ('"WS', '"HTTP', " INFO chat.visits ")
        lines = text[start:].splitlines()
        return [line for line in lines if not any(part in line for part in usual)]


@pytest.fixture(scope="module")
def site(daemons: Daemons) -> Iterator[Site]:
    home, postgresql, valkey, near = daemons
    with (
        Proxy(valkey.port) as valkey_proxy,
        Proxy(postgresql.port) as postgresql_proxy,
    ):
        far = near | {
            "DATABASE_URL": through(postgresql_proxy, postgresql),
            "REDIS_URL": through(valkey_proxy, valkey),
        }
        with (
            Server(home / "one.log", near) as one,
            Server(home / "two.log", far, ("-c", AN_HOUR_FAST)) as two,
        ):
            tokens = {name: one.token(name) for name in ("alice", "bob", "charlie")}
            yield Site(valkey, postgresql, valkey_proxy, postgresql_proxy, one, two, tokens)


def through(proxy: Proxy, server: Daemon) -> str:
    return server.url.replace(f":{server.port}/", f":{proxy.port}/")


# What goes wrong, for as long as the context lasts

Fault = Callable[[Site], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def killed(server: Daemon) -> AsyncIterator[None]:
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


@asynccontextmanager
async def paused(server: Daemon) -> AsyncIterator[None]:
    server.pause()
    try:
        yield
    finally:
        server.resume()


@asynccontextmanager
async def black_hole(proxy: Proxy) -> AsyncIterator[None]:
    proxy.swallow()
    try:
        yield
    finally:
        proxy.cut()
        proxy.release()


@asynccontextmanager
async def forgetful(valkey: Valkey) -> AsyncIterator[None]:
    await asyncio.to_thread(valkey.flush)
    await asyncio.to_thread(valkey.disconnect_everybody)
    yield


# Who talks


class Device(RecordedClient):
    """Remembers, too, what came live. Its number is its worker's."""

    def __init__(self, label: str, record: Callable[[Event], None]) -> None:
        super().__init__(label, record)
        self.live: set[str] = set()

    def receive(self, frame: Frame) -> list[Frame]:
        if frame["type"] == "message":
            self.live.add(frame["id"])
        return super().receive(frame)


def worker_of(label: str) -> str:
    return label.partition(".")[2]


def is_refusal(answer: Frame) -> bool:
    """Whether it says: not now, try again."""
    return answer.get("code") == "unavailable" and answer["retry_after_ms"] > 0


class Talk:
    """What people do, until it is over, in a room that they share or in one for each worker."""

    def __init__(self, site: Site, labels: Sequence[str], rooms: Sequence[str]) -> None:
        self.devices = {label: Device(label, self.record) for label in labels}
        self.pages: dict[str, Browser] = {}
        self.events: list[tuple[float, Event]] = []
        self.waits: list[float] = []  # seconds until a post was answered
        self.refused: list[str] = []  # the devices whose posts were
        self.is_over = False
        self._site = site
        self._rooms = {"1": rooms[0], "2": rooms[-1]}

    def record(self, event: Event) -> None:
        self.events.append((time.monotonic(), event))

    async def attend(self, label: str, servers: Sequence[Server], stack: AsyncExitStack) -> None:
        """Say one thing after the other, each until it is posted; when cut off, over the next."""
        draft: dict[str, str] = {}
        name, _, worker = label.partition(".")
        for connection, server in enumerate(servers):
            browser = server.browser(self._site.tokens[name], client=self.devices[label])
            page = self.pages[label] = await stack.enter_async_context(browser)
            with suppress(Interrupted, Closed):
                for n in itertools.count():
                    if self.is_over and not draft:
                        return
                    id = str(uuid.uuid4())
                    draft = draft or {"id": id, "room": self._rooms[worker], "body": f"{label} {n}"}
                    self.record(Sent(label, connection, **draft))
                    if await self._posts(page, label, draft):
                        draft = {}
                    await asyncio.sleep(PAUSE)
        raise AssertionError(f"{label} was cut off: {page.closed}")

    async def _posts(self, page: Browser, label: str, draft: dict[str, str]) -> bool:
        began = time.monotonic()
        answer = await page.ask("post", timeout=PATIENCE, **draft)
        self.waits.append(time.monotonic() - began)
        if answer["type"] == "posted":
            return True
        assert is_refusal(answer), answer
        self.refused.append(label)
        return False

    async def hear_each_other(self, *, live: bool = False) -> float:
        """Wait until all were shown what has been said since on the other worker; the seconds.

        Live: because that worker told it, and not because it was found in the database.
        """
        start, began = len(self.events), time.monotonic()
        async with asyncio.timeout(PATIENCE):
            while not all(self._hears(label, start, live) for label in self.devices):
                await asyncio.sleep(PAUSE)
        return time.monotonic() - began

    def _hears(self, label: str, start: int, live: bool) -> bool:
        said, shown = set(), set()
        for _, event in self.events[start:]:
            if isinstance(event, Sent) and worker_of(event.device) != worker_of(label):
                said.add(event.id)
            elif isinstance(event, Applied) and event.device == label:
                shown |= {message.id for message in event.messages}
        return bool(said & shown & (self.devices[label].live if live else shown))

    async def are_refused(self, labels: Collection[str]) -> None:
        """Wait until these were told that nothing can be stored, nor read; pings are answered."""
        start, pages = len(self.refused), [self.pages[label] for label in labels]
        await asyncio.sleep(1)  # by now all of them are waiting for an answer
        for page in pages:
            assert (await page.ask("ping", timeout=PATIENCE))["type"] == "pong"
        history = partial(Browser.ask, type="history", timeout=PATIENCE, room=self._rooms["1"])
        assert all(map(is_refusal, await asyncio.gather(*map(history, pages))))
        async with asyncio.timeout(PATIENCE):
            while not set(self.refused[start:]) >= set(labels):
                await asyncio.sleep(PAUSE)

    async def are_shown_nothing(self, labels: Collection[str]) -> None:
        """Wait until these have not been shown anything for a while in which all others posted."""
        others = self.devices.keys() - labels
        async with asyncio.timeout(PATIENCE):
            quiet_since, posted = time.monotonic(), set()
            while time.monotonic() - quiet_since < QUIET or posted != others:
                await asyncio.sleep(PAUSE)
                for at, event in self.events:
                    if isinstance(event, Applied) and event.device in labels:
                        quiet_since = max(quiet_since, at)
                posted = {
                    event.device
                    for at, event in self.events
                    if isinstance(event, Acknowledged) and at > quiet_since
                }

    def lateness(self) -> list[float]:
        """Of each message: the seconds until all had been shown what had been acknowledged."""
        acknowledged: dict[str, float] = {}
        shown: dict[str, float] = {}
        for at, event in self.events:
            if isinstance(event, Acknowledged):
                acknowledged.setdefault(event.id, at)
            elif isinstance(event, Applied):
                shown |= {message.id: at for message in event.messages}
        return [max(0.0, shown[id] - at) for id, at in acknowledged.items()]


TOGETHER = ("Garden",)
APART = ("Kitchen of one", "Kitchen of two")  # where nobody notices by what they say themselves
ON_ONE = ("alice.1", "charlie.1")
ON_TWO = ("bob.2", "charlie.2")


@asynccontextmanager
async def talk(
    site: Site,
    labels: Sequence[str] = (*ON_ONE, *ON_TWO),
    rooms: Sequence[str] = TOGETHER,
    refuge: Sequence[Server] = (),
) -> AsyncIterator[Talk]:
    """People who talk, before and after, too; in the end they hear each other and have it all."""
    new = [{"name": name, "members": ["bob", "charlie"]} for name in rooms]
    ids = [site.one.post("/api/rooms", room, site.tokens["alice"])["room"] for room in new]
    talk = Talk(site, labels, ids)
    servers = {"1": (site.one, *refuge), "2": (site.two, *refuge)}
    for server in (site.one, site.two):
        site.news(server)
    async with AsyncExitStack() as stack:
        async with asyncio.TaskGroup() as group:
            for label in labels:
                group.create_task(talk.attend(label, servers[worker_of(label)], stack))
            await talk.hear_each_other(live=True)
            yield talk
            again = await talk.hear_each_other(live=True)
            talk.is_over = True
        page = talk.pages["alice.1"]
        rows = [row for room in ids for row in await everything(page, room)]
        heads = {room: sum(row.room == room for row in rows) for room in ids}  # nobody edits
        for label, page in talk.pages.items():
            cursors = page.client.cursors
            await page.until(lambda: heads.items() <= cursors.items(), timeout=PATIENCE)  # noqa: B023
            talk.record(Settled(label))
    print(
        f"\n  {len(rows)} messages, at most {max(talk.lateness()):.1f} s late and answered after"
        f" {max(talk.waits):.1f} s, {len(talk.refused)} refused, live again after {again:.1f} s"
    )
    history = [event for _, event in talk.events if getattr(event, "room", ids[0]) in ids]
    assert findings(history, rows, {room: Head(n, n) for room, n in heads.items()}) == []
    for server in (site.one, site.two):
        news = site.news(server)
        assert "Traceback" not in "\n".join(news)
        assert len(news) <= LINES, news


async def everything(page: Browser, room: str) -> list[Row]:
    """All messages of a room, as they are stored."""
    rows: list[Row] = []
    more = True
    while more:
        answer = await page.ask("history", timeout=PATIENCE, room=room, after=len(rows))
        for said in answer["messages"]:
            place = (said["seq"], said["rev"], said["rev"])
            rows.append(Row(room, *place, said["sender"], said["id"], said["body"]))
        more = answer["more_after"]
    return rows


REDIS: dict[str, Fault] = {
    "killed": lambda site: killed(site.valkey),
    "paused": lambda site: paused(site.valkey),
    "forgetful": lambda site: forgetful(site.valkey),
    "a_black_hole_for_one_of_them": lambda site: black_hole(site.valkey_proxy),
}


@pytest.mark.parametrize("fault", REDIS.values(), ids=REDIS)
async def test_people_on_two_workers_talk_on_while_redis_is(site: Site, fault: Fault):
    async with talk(site, rooms=APART) as people, fault(site):
        before = len(people.waits)
        late = [await people.hear_each_other() for _ in range(5)]
        waits = people.waits[before:]
    assert not people.refused
    # Not the worst: the machine may be busy. But whoever waits for Redis waits for two seconds.
    assert median(waits) < 1
    assert median(late) < 2


DATABASE: dict[str, Fault] = {
    "killed": lambda site: killed(site.postgresql),
    "paused": lambda site: paused(site.postgresql),
}


@pytest.mark.parametrize("fault", DATABASE.values(), ids=DATABASE)
async def test_everybody_is_told_and_nobody_cut_off_while_the_database_is(site: Site, fault: Fault):
    async with talk(site) as people, fault(site):
        await people.are_refused(people.devices)


async def test_a_worker_that_cannot_see_the_database_shows_nothing_and_the_other_goes_on(site):
    async with talk(site, rooms=APART) as people, black_hole(site.postgresql_proxy):
        await people.are_refused(ON_TWO)
        await people.are_shown_nothing(ON_TWO)
    assert set(people.refused) == set(ON_TWO)


async def test_who_was_on_a_worker_that_is_killed_goes_on_over_another_or_is_gone(site):
    async with (
        site.two.browser(site.tokens["charlie"]),
        talk(site, ("alice.1", "bob.2"), refuge=(site.one,)) as people,
    ):
        alice = people.pages["alice.1"]
        await alice.until(lambda: is_online(alice, "charlie"), PATIENCE)
        async with killed(site.two):
            await people.hear_each_other()
            life = leases.LIFE.total_seconds()
            await alice.until(lambda: not is_online(alice, "charlie"), life * 2)
        assert is_online(alice, "bob")


def is_online(page: Browser, name: str) -> bool:
    """As the page was told last."""
    told = [frame["online"] for frame in page.of_type("presence") if frame["user"] == name]
    there = (name in room.get("online", ()) for room in page.client.rooms.values())
    return told[-1] if told else any(there)


async def test_a_worker_whose_clock_is_an_hour_fast_misleads_nobody(site):
    async with (
        site.one.browser(site.tokens["alice"]) as alice,
        site.two.browser(site.tokens["bob"]) as bob,
    ):
        now, later = [datetime.fromisoformat((await p.ask("ping"))["time"]) for p in (alice, bob)]
        assert later - now > HOUR / 2  # so it is
        for page, other in ((alice, "bob"), (bob, "alice")):
            await page.until(lambda: is_online(page, other), PATIENCE)  # noqa: B023
        kitchen = alice.room("Kitchen")
        await bob.post("What time is it?", room=kitchen)
        await alice.sees(kitchen, "What time is it?")
        said = list(alice.client.messages[kitchen].values())[-1]
        assert abs(datetime.fromisoformat(said["at"]) - now) < HOUR / 2
