"""Who is online, kept in step with the other workers through the database, and told to people.

Whoever can do without is told last: while the worker is busy, nothing of this is read or shown. It
needs no channel layer, and no history: the next look shows how things are.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from datetime import datetime
from operator import attrgetter
from typing import NamedTuple, Self

from . import conf, frames, leases, serializers
from .access import Fellow, Seat
from .close_codes import CloseCode
from .errors import ChatError
from .journal import Journal
from .leases import Crowd, Link
from .sockets import Socket
from .switchboard import Switchboard
from .tasks import Tasks
from .users import UserKey

logger = logging.getLogger(__name__)

LOOK_EVERY = 1.0  # seconds, with jitter
FIRST_LOOK = 1.0  # seconds that it may take before anybody is let in
RENEW_EVERY = 5.0  # seconds; leases.LIFE allows for two that fail
# Seconds for which a closed connection still counts: a page that is loaded anew is not an absence.
GRACE = 2.0
SIGNS_EVERY = 10.0  # seconds until the database learns what connections have done meanwhile
SOCKETS_AT_ONCE = 50  # told, until others have their turn
LINES_AT_ONCE = 500  # in one WebSocket message


class Signs(NamedTuple):
    """Of life: what changes while a connection is open."""

    heard_at: float
    state: str

    @classmethod
    def of(cls, socket: Socket) -> Self:
        return cls(socket.heard_at, socket.state)


class Presence:
    """One per worker."""

    def __init__(self, worker: str, journal: Journal, switchboard: Switchboard) -> None:
        self.online: set[UserKey] = set()  # here or elsewhere, as far as people were told
        self._worker = worker
        self._journal = journal
        self._switchboard = switchboard
        self.elsewhere = Crowd(Counter(), Counter())  # on the other workers, as of the last look
        self._noted: dict[str, Signs] = {}  # our connections as the database has them
        self._closed: dict[str, float] = {}  # those of them that have ended, and when
        self._renewed_at: float | None = None  # None: there is no lease
        self._signs_at = 0.0  # when the database last learnt of all of their signs
        self._is_sure = True  # of what the database has of us: no answer got lost
        self._versions: dict[str, leases.Version] = {}
        self._crowds: dict[str, Crowd] = {}  # by worker, as of those versions
        self._missed: set[Socket] = set()  # they read too slowly to be told
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        # A worker takes over from another one: nobody is to seem gone to whom it welcomes first.
        with suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK):
                await self._try(self._look)
        self._tasks.start(self._look_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        if self._renewed_at is not None or not self._is_sure:
            with suppress(ChatError):  # then it runs out
                await self._journal.run(leases.leave, self._worker)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY * random.uniform(0.8, 1.0))
            await self._try(self._renew_and_look)

    async def _renew_and_look(self) -> None:
        await self._renew()
        if self._switchboard.users or self.online:  # also before the next one comes
            await self._look()

    async def _try(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except ChatError:
            pass  # has been logged, and is tried again
        except Exception:
            logger.exception("Cannot tell who is online")

    # What the others learn of us

    async def _renew(self) -> None:
        """Write what has changed here; an idle worker writes nothing."""
        try:
            await self._write(time.monotonic())
        except ChatError:
            self._is_sure = False
            raise

    async def _write(self, now: float) -> None:
        here = {socket.key: socket for socket in self._switchboard.sockets()}
        opened = _links(here, here.keys() - self._noted.keys(), now)
        gone = self._noted.keys() - here.keys()
        self._closed = {key: self._closed.get(key, now) for key in gone}
        closed = [key for key, since in self._closed.items() if now - since >= GRACE]
        if self._renewed_at is None or not self._is_sure:
            await self._begin(here, now)
        elif opened or closed or now - self._renewed_at >= RENEW_EVERY:
            moved = _links(here, self._moved(here, now), now)
            told = _signs(here, opened.keys() | moved.keys())  # as of now: they go on
            if await self._journal.run(leases.renew, self._worker, opened, closed, moved):
                for key in closed:
                    del self._noted[key]
                self._noted |= told
                self._renewed_at = now
                await self._journal.run(leases.sweep)
            else:  # nobody heard of us for so long that others cleared up
                await self._begin(here, now)
        if not self._noted and self._renewed_at is not None:
            await self._journal.run(leases.end, self._worker)
            self._renewed_at = None

    def _moved(self, here: Mapping[str, Socket], now: float) -> set[str]:
        """Those of which there is news, and nobody has been told for a while."""
        if now - self._signs_at < SIGNS_EVERY or self._switchboard.is_busy:
            return set()
        self._signs_at = now
        known = here.keys() & self._noted.keys()
        return {key for key in known if Signs.of(here[key]) != self._noted[key]}

    async def _begin(self, here: Mapping[str, Socket], now: float) -> None:
        told = _signs(here, here)
        if here or not self._is_sure:
            await self._journal.run(leases.begin, self._worker, _links(here, here, now))
            self._renewed_at = time.monotonic()
        self._noted = told
        self._is_sure = True

    # What we learn of everybody

    async def _look(self) -> None:
        """Read the lists of those workers whose list has changed, and tell who came or went."""
        switchboard = self._switchboard
        if self._has_other_cares:
            return
        versions = await switchboard.read(leases.versions)
        if not self._versions.keys() <= versions.keys():  # one has ended, or died
            await self._journal.run(leases.sweep)
        changed = [w for w, version in versions.items() if self._versions.get(w) != version]
        found = await switchboard.read(leases.crowds, changed) if changed else {}
        known = self._crowds | found
        self._crowds = {w: known[w] for w in versions}
        self._versions = versions
        self.elsewhere = leases.together(c for w, c in self._crowds.items() if w != self._worker)
        self._thin_out()
        online = {here.pk for here in switchboard.users.values()}.union(
            *(crowd.users for crowd in self._crowds.values())
        )
        left = self.online - online
        last_seen = await switchboard.read(leases.last_seen, left) if left else {}
        if self._has_other_cares:
            return
        left -= {here.pk for here in switchboard.users.values()}  # back meanwhile
        await self.show(online - self.online, {user: last_seen.get(user) for user in left})

    def _thin_out(self) -> None:
        """Close what a user opened on several workers at the same moment, beyond what is allowed.

        Whose name comes first keeps its own, so that workers agree without a word.
        """
        for here in list(self._switchboard.users.values()):
            if len(here.sockets) + self.elsewhere.users[here.pk] <= conf.CONNECTIONS:
                continue
            before = sum(c.users[here.pk] for w, c in self._crowds.items() if w < self._worker)
            newest_last = sorted(here.sockets, key=attrgetter("opened_at"))
            for socket in newest_last[max(0, conf.CONNECTIONS - before) :]:
                self._switchboard.dismiss(socket, CloseCode.TOO_MANY)

    @property
    def _has_other_cares(self) -> bool:
        return self._switchboard.is_busy or self._switchboard.is_blind

    async def show(self, came: Set[UserKey], left: Mapping[UserKey, datetime | None]) -> None:
        """Tell who came, and who left and when, to whoever shares a small room with them."""
        self.online |= came
        self.online -= left.keys()
        changed = came | left.keys()
        lines: dict[UserKey, bytes] = {}
        news: dict[Socket, set[UserKey]] = {}
        for room_id in self._switchboard.rooms() if changed else ():
            sockets = self._switchboard.sockets(room_id)
            fellows = sockets[0].seats[room_id].fellows
            concerned = [f for f in fellows if f.user_id in changed and not f.hidden.presence]
            for fellow in concerned:
                if fellow.user_id not in lines:
                    lines[fellow.user_id] = self._line(fellow, left.get(fellow.user_id))
            for socket in sockets if concerned else ():
                news.setdefault(socket, set()).update(fellow.user_id for fellow in concerned)
        for socket in self._missed:
            for fellow in _fellows(socket.seats.values()):
                if fellow.hidden.presence:
                    continue
                if fellow.user_id not in lines:
                    lines[fellow.user_id] = self._line(fellow, fellow.last_seen)
                news.setdefault(socket, set()).add(fellow.user_id)
        self._missed = set(news)
        for number, (socket, user_ids) in enumerate(news.items(), 1):
            if number % SOCKETS_AT_ONCE == 0:
                await asyncio.sleep(0)  # others have something to say, too
            if self._has_other_cares:
                return  # and tell those who are left when there is time
            user_ids.discard(socket.user_id)  # who knows
            if _tell(socket, [lines[user_id] for user_id in user_ids]):
                self._missed.discard(socket)

    def _line(self, fellow: Fellow, last_seen: datetime | None) -> bytes:
        online = fellow.user_id in self.online
        return frames.encode(serializers.presence_frame(fellow.username, online, last_seen))


def _links(sockets: Mapping[str, Socket], keys: Iterable[str], now: float) -> dict[str, Link]:
    return {key: _link(sockets[key], now) for key in keys}


def _link(socket: Socket, now: float) -> Link:
    return Link(
        socket.user_id,
        *socket.endpoint,
        subprotocol=socket.subprotocol,
        state=socket.state,
        age=now - socket.opened_at,
        idle=now - socket.heard_at,
    )


def _signs(sockets: Mapping[str, Socket], keys: Iterable[str]) -> dict[str, "Signs"]:
    return {key: Signs.of(sockets[key]) for key in keys}


def _fellows(seats: Iterable[Seat]) -> Iterator[Fellow]:
    for seat in seats:
        yield from seat.fellows


def _tell(socket: Socket, lines: Sequence[bytes]) -> bool:
    """False if it has to be told again."""
    for start in range(0, len(lines), LINES_AT_ONCE):
        if not socket.pass_on(b"\n".join(lines[start : start + LINES_AT_ONCE])):
            return not socket.resumed  # whoever has yet to resume will be welcomed
    return True
