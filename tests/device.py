"""A device that lives through reconnections, as docs/protocol.md tells clients to.

It remembers what became of each of its connections, and how long it was away in between.
"""

import asyncio
import random
import time
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise

from websockets.exceptions import WebSocketException

from tests.client import Frame
from tests.fake_browser import Browser, Interrupted, NetworkWire
from tests.history import Event, Head, RecordedClient, Sent, Settled

FIRST_BOUND, LAST_BOUND = 0.5, 20.0  # seconds, of the random time until it comes back
SILENCE = 30.0  # seconds, twice a heartbeat, until it gives a connection up
PATIENCE = 60.0  # seconds, for a machine that is busy with something else
RESTARTING, GIVEN_UP = 4012, 4009
NOT_NOW = {"unavailable", "rate_limited"}


@dataclass(slots=True)
class Connection:
    """When what happened to it, in seconds of one clock, and how it ended."""

    synced: float | None = None
    posted: float | None = None  # its first answer to a post
    lost: float | None = None
    code: int | None = None  # None: cut off
    said_goodbye: bool = False

    @property
    def was_sent_on(self) -> bool:
        """To the other workers, by one that was about to end."""
        return self.said_goodbye and self.code == RESTARTING


@dataclass(frozen=True, slots=True)
class Writing:
    """What a device says as long as it may: so many posts at once, then nothing for a while."""

    room: str
    body: str
    at_once: int = 1
    pause: float = 0.1


class Device:
    def __init__(
        self,
        name: str,
        dial: Callable[[], NetworkWire],
        record: Callable[[Event], None],
        writing: Writing | None = None,
    ) -> None:
        self.client = RecordedClient(name, record)
        self.connections: list[Connection] = []
        self.failures: list[Exception] = []  # to connect
        self.refused: list[Frame] = []  # posts that no retry would get in
        self.posted = 0
        self.is_quiet = writing is None  # writes nothing new
        self._dial = dial
        self._record = record
        self._writing = writing
        self._drafts: dict[str, dict[str, str]] = {}  # not answered yet
        self._said = 0
        self._bound = FIRST_BOUND

    async def live(self) -> None:
        """Connected, or on its way back; until it is cancelled."""
        while True:
            try:
                wire = await self._dial().connect()
            except (OSError, TimeoutError, WebSocketException) as failure:
                self.failures.append(failure)
                await asyncio.sleep(self._random_wait())
            else:
                await asyncio.sleep(await self._use(Browser(wire, self.client)))

    async def _use(self, page: Browser) -> float:
        """Until the connection ends; the seconds to wait then."""
        connection = Connection()
        self.connections.append(connection)
        try:
            await page.open()
            await page.until(lambda: page.of_type("synced"))  # and was not sent away before
            connection.synced = time.monotonic()
            self._bound = FIRST_BOUND
            await self._talk(page, connection)
        except (Interrupted, TimeoutError):
            connection.lost = time.monotonic()
        finally:
            await page.close()
        byes = page.of_type("bye")
        connection.said_goodbye = bool(byes)
        connection.code = page.closed.code if page.closed else GIVEN_UP
        told = byes[-1].get("retry_after_ms") if byes else None
        return self._random_wait() if told is None else told / 1_000

    def _random_wait(self) -> float:
        wait = random.uniform(0, self._bound)
        self._bound = min(2 * self._bound, LAST_BOUND)
        return wait

    async def _talk(self, page: Browser, connection: Connection) -> None:
        while True:
            self._drafts = self._drafts or self._new_drafts()
            posts = [self._post(page, connection, draft) for draft in [*self._drafts.values()]]
            waits = await asyncio.gather(*posts)
            await listen(page, max(waits, default=1.0))

    def _new_drafts(self) -> dict[str, dict[str, str]]:
        drafts: dict[str, dict[str, str]] = {}
        if self._writing is not None and not self.is_quiet:
            for _ in range(self._writing.at_once):
                self._said += 1
                id, body = str(uuid.uuid4()), f"{self.client.device} {self._said} "
                drafts[id] = {"id": id, "room": self._writing.room, "body": body}
                drafts[id]["body"] += self._writing.body
        return drafts

    async def _post(self, page: Browser, connection: Connection, draft: dict[str, str]) -> float:
        """Perhaps once more, with the same id; the seconds to wait then."""
        assert self._writing is not None
        self._record(Sent(self.client.device, len(self.connections), **draft))
        answer = await page.ask("post", timeout=SILENCE, **draft)
        if answer.get("code") in NOT_NOW:
            return answer["retry_after_ms"] / 1_000
        del self._drafts[draft["id"]]
        if answer["type"] == "posted":
            self.posted += 1
            connection.posted = connection.posted or time.monotonic()
        else:
            self.refused.append(answer)
        return self._writing.pause

    def settle(self) -> None:
        """Say, for the record, that it must have everything by now."""
        self._record(Settled(self.client.device))

    # What became of it

    def stands_at(self, heads: Mapping[str, Head]) -> bool:
        there = self.client.cursors.keys() & heads.keys()
        return bool(there) and all(self.client.cursors[room] == heads[room].rev for room in there)

    @property
    def is_done(self) -> bool:
        """Whether it has nothing to say, and all that it has said was answered."""
        return self.is_quiet and not self._drafts

    @property
    def lost(self) -> list[Connection]:
        return [connection for connection in self.connections if connection.lost is not None]

    @property
    def away(self) -> list[float]:
        """Of each time: the seconds from the loss of a connection until it had everything again."""
        whole = [connection for connection in self.connections if connection.synced is not None]
        return [after.synced - before.lost for before, after in pairwise(whole)]

    @property
    def silent(self) -> list[float]:
        """Of each time: the seconds from the loss of a connection until it had posted again."""
        whole = [connection for connection in self.connections if connection.posted is not None]
        return [after.posted - before.lost for before, after in pairwise(whole)]


async def listen(page: Browser, seconds: float) -> None:
    """Interrupted when the connection ends meanwhile."""
    with suppress(TimeoutError):
        await page.until(lambda: False, seconds)


@asynccontextmanager
async def living(devices: Sequence[Device]) -> AsyncIterator[None]:
    """Meanwhile they write; when it is over they leave."""
    async with asyncio.TaskGroup() as group:
        lives = [group.create_task(device.live()) for device in devices]
        await until(lambda: all(device.client.rooms for device in devices))
        yield
        for life in lives:
            life.cancel()


async def all_post(devices: Sequence[Device]) -> None:
    """Wait until each that writes has posted something more, however often it is cut off."""
    before = {device: device.posted for device in devices if not device.is_quiet}
    await until(lambda: all(device.posted > posted for device, posted in before.items()))


async def all_finish(devices: Sequence[Device]) -> None:
    """Let them say nothing new, and wait until all that they have said is answered."""
    for device in devices:
        device.is_quiet = True
    await until(lambda: all(device.is_done for device in devices))


async def all_have(devices: Sequence[Device], heads: Mapping[str, Head]) -> None:
    """Wait until whoever is in a room has got everything, up to the end."""
    for device in devices:
        await until(lambda: device.stands_at(heads))  # noqa: B023
        device.settle()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.02)
