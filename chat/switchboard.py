"""This worker's sockets, rooms and heads: who gets what, and how nobody misses anything.

The database is the truth and an announcement a hint. In each room a socket is live or behind: live
ones get what is announced while its revs follow on each other; whoever is behind reads the database
until it meets the room's head. A new socket, a lost announcement, a slow reader and a worker that
could not see the database are all the same case.
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ParamSpec, Self, TypeVar

from . import archive, frames, metrics, serializers
from .access import Face, Seat, Standing
from .addresses import household
from .announcements import Announcement, Announcer, Batch, Relay
from .archive import NEVER, Cursor, Page
from .close_codes import CloseCode
from .complaints import Nuisance
from .database import DatabaseThreads
from .errors import ChatError, Forbidden, Muted, NotFound, Unavailable
from .models import Message
from .questions import Questions
from .room_here import UNKNOWN, RoomHere
from .sockets import Socket
from .tasks import Tasks
from .users import UserKey

logger = logging.getLogger(__name__)

READERS = 4  # threads
HEAL_AFTER = 0.02  # seconds in which a late announcement may still fit
RETRY_AFTER = 1.0  # seconds until a read that failed is tried again
TYPING_EVERY = 3.0  # seconds, for each user and room
RETURNS = 500  # clients that come back in a second when all were sent away, and at least in one

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(eq=False, slots=True)
class UserHere:
    """A user who has sockets on this worker."""

    pk: UserKey
    version: int  # of access, as far as all of the sockets show it
    shown: int = 0  # the highest version that a look since they came has shown them
    typed_at: dict[str, float] = field(default_factory=dict)  # last passed on, by room
    sockets: set[Socket] = field(default_factory=set)


class Switchboard:
    """One per worker. All of it happens in one event loop; only reading is done on threads."""

    def __init__(self, announcer: Announcer) -> None:
        self.users: dict[str, UserHere] = {}  # by the key's text
        self.households: Counter[str | None] = Counter()  # sockets by address, as limits count them
        self.delivered = 0  # messages to live sockets; a metric would cost more than to show one
        self.is_busy = False  # what people can do without is left out
        self._announcer = announcer
        self._threads = DatabaseThreads("reader", READERS)
        self._rooms: dict[str, RoomHere] = {}
        self._dirty: dict[str, int] = {}  # rooms to be healed, and up to where at least
        self._healer: asyncio.Task[None] | None = None
        self._lies = Nuisance(logger, "Announced, but not stored", metrics.announcements_garbage)
        self._tasks = Tasks()
        self._heads: Questions[Iterable[str], dict[str, int]] = Questions(
            lambda asked: self.read(_heads, asked), self._tasks
        )
        self._sighted = asyncio.Event()
        self._sighted.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._threads.close()

    async def read(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Read from the database on a thread; raises ChatError."""
        return await self._threads.query(function, *args, **kwargs)

    # Who is here

    def connections(self, socket: Socket) -> int:
        """How many sockets this one's user has here."""
        here = self.users.get(socket.user_key)
        return len(here.sockets) if here else 0

    def register(self, socket: Socket, standing: Standing) -> None:
        """Let a socket into its user's rooms, behind in all of them."""
        here = self.users.setdefault(
            socket.user_key, UserHere(socket.identity.user.pk, standing.version)
        )
        here.sockets.add(socket)
        socket.admitted = standing.version
        socket.preferred = standing.preferred
        self.households[household(socket.endpoint.address)] += 1
        here.version = min(here.version, standing.version)  # if another one lags, look again
        for seat in standing.seats.values():
            self._seat(socket, seat)

    def unregister(self, socket: Socket) -> None:
        """Forget a socket, however its connection ended. Forgetting twice does no harm."""
        for room_id in list(socket.seats):
            self._unseat(socket, room_id)
        here = self.users.get(socket.user_key)
        if here is not None and socket in here.sockets:
            here.sockets.remove(socket)
            self._leave_household(household(socket.endpoint.address))
            if not here.sockets:
                del self.users[socket.user_key]

    def _leave_household(self, home: str | None) -> None:
        self.households[home] -= 1
        if not self.households[home]:
            del self.households[home]

    def dismiss(
        self,
        socket: Socket,
        code: CloseCode,
        *,
        retry_after_ms: int | None = None,
        is_urgent: bool = True,
    ) -> None:
        """Forget a socket and close it; if it is urgent, it sees nothing more."""
        self.unregister(socket)
        socket.close(code, retry_after_ms=retry_after_ms, is_urgent=is_urgent)

    def dismiss_all(self, code: CloseCode, *, is_urgent: bool = True) -> None:
        """Forget them all and close them; they come back a few at a time."""
        sockets = self.sockets()
        window_ms = max(1_000, 1_000 * len(sockets) // RETURNS)
        for socket in sockets:
            retry_after_ms = random.randrange(window_ms)
            self.dismiss(socket, code, retry_after_ms=retry_after_ms, is_urgent=is_urgent)

    def _seat(self, socket: Socket, seat: Seat) -> None:
        room_id = seat.room.pk
        socket.seats[room_id] = seat
        socket.behind[room_id] = Cursor(seat.delivered_rev)
        here = self._rooms.setdefault(room_id, RoomHere())
        here.sockets.add(socket)
        self._tell_face(here, seat)

    def _tell_face(self, here: RoomHere, seat: Seat) -> None:
        if here.face != seat.room.face:
            here.face = None

    def _unseat(self, socket: Socket, room_id: str) -> None:
        socket.seats.pop(room_id, None)
        socket.behind.pop(room_id, None)
        socket.acknowledged(room_id, NEVER)  # nobody acknowledges what they have thrown away
        here = self._rooms.get(room_id)
        if here is not None:
            here.live.discard(socket)
            here.sockets.discard(socket)
            if not here.sockets:
                del self._rooms[room_id]

    def _show_out(self, socket: Socket, room_id: str) -> None:
        self._unseat(socket, room_id)
        if socket.resumed:
            socket.tell(frames.Left(room=room_id, left=True))

    # Live: what is announced

    def publish(self, messages: Sequence[Message]) -> None:
        """Show what has been committed: here at once, and tell the other workers."""
        batches = _batches(messages)
        for batch in batches:
            self._fan_out(batch, is_stored=True)
        if batches:
            self._announcer.announce(batches=batches)

    def typing(self, socket: Socket, room_id: str) -> None:
        """Tell the others in a small room who writes there; NotFound, Forbidden, Muted."""
        if (seat := socket.seats.get(room_id)) is None:
            raise NotFound
        if not seat.may_write:
            raise Forbidden
        now = time.monotonic()
        if (muted := seat.muted_until - now) > 0:
            raise Muted(retry_after_ms=int(muted * 1_000) + 1)
        typed_at = self.users[socket.user_key].typed_at
        if self.is_busy or self.is_blind or not seat.is_small or socket.preferred.hide_typing:
            return
        if now - typed_at.get(room_id, 0) < TYPING_EVERY:
            return
        typed_at[room_id] = now
        frame = frames.SomebodyTypes(room=room_id, user=socket.username)
        self.relay([Relay(room_id, frames.encode(frame), but=socket.user_key)])

    def relay(self, relays: Iterable[Relay]) -> None:
        """Pass on what is not stored: here, and by the other workers."""
        relays = list(relays)
        for relay in relays:
            self._pass_on(relay)
        if relays:
            self._announcer.announce(relays=relays)

    def hear(self, announcement: Announcement) -> None:
        """Show what another worker announces, or somebody who can write to the layer."""
        for batch in announcement.batches:
            if batch.room_id not in self._rooms:
                continue
            if batch.is_sound:
                self._fan_out(batch)
            else:
                metrics.announcements_garbage.inc()
        for relay in announcement.relays:
            if relay.room_id in self._rooms and relay.is_sound:
                self._pass_on(relay)

    def _pass_on(self, relay: Relay) -> None:
        if self.is_blind:
            return
        if relay.only is None:
            listeners = self.sockets(relay.room_id)
        else:
            here = self.users.get(relay.only)
            listeners = list(here.sockets) if here else []
        for socket in listeners:
            if relay.room_id in socket.seats and socket.user_key != relay.but:
                socket.pass_on(relay.line)

    def _fan_out(self, batch: Batch, *, is_stored: bool = False) -> None:
        here = self._rooms.get(batch.room_id)
        if here is None:
            return
        if is_stored:
            here.stored = max(batch.upto, here.stored)
        if self.is_blind:
            return
        if batch.after < here.head and here.contradicts(batch):
            self._disbelieve(batch.room_id, here)
        if batch.upto <= here.head:
            return  # a duplicate
        if is_stored and not here.live:
            here.follow(batch)
        elif batch.after == here.head:
            self._show_batch(here, batch)
            self._show_early(here)
        else:
            here.wait_for(batch)
            self.heal_soon(batch.room_id, batch.upto)

    def _show_early(self, here: RoomHere) -> None:
        while (follower := here.early.pop(here.head, None)) is not None:
            self._show_batch(here, follower)

    def _show_batch(self, here: RoomHere, batch: Batch) -> None:
        self._spare_slow_readers(here)
        for socket in here.live:
            socket.show_batch(batch)
        self.delivered += len(batch.lines) * len(here.live)
        here.follow(batch)

    def _spare_slow_readers(self, here: RoomHere) -> None:
        for socket in [socket for socket in here.live if socket.full]:
            self._put_behind(socket)

    # Behind: what the database says

    def resume(self, socket: Socket, cursors: Mapping[str, Cursor]) -> None:
        """Begin again in these rooms, behind at the given cursors."""
        socket.resumed = True
        for room_id, cursor in cursors.items():
            self._rooms[room_id].live.discard(socket)
            socket.behind[room_id] = cursor
            socket.acknowledged(room_id, NEVER)  # what was on its way comes again
        self._catch_up_soon(socket)

    def _put_behind(self, socket: Socket) -> None:
        """Stop showing it what is announced; it replays from there on."""
        for room_id in socket.seats:
            here = self._rooms[room_id]
            if socket in here.live:
                here.live.remove(socket)
                socket.behind[room_id] = Cursor(here.head)
        self._catch_up_soon(socket)

    def _catch_up_soon(self, socket: Socket) -> None:
        if socket.reader is None and socket.resumed and socket.closed_at is None:
            socket.reader = socket.start(self._catch_up(socket))

    async def _catch_up(self, socket: Socket) -> None:
        """Read page after page until the socket is live in all its rooms."""
        read = self._meet_heads
        try:
            while socket.behind:
                await socket.ready()
                await self._sighted.wait()
                try:
                    await read(socket)
                    read = self._read_on
                except ChatError:
                    await asyncio.sleep(RETRY_AFTER)
            socket.caught_up()
        except Exception:
            logger.exception("Cannot replay")
            self.dismiss(socket, CloseCode.INTERNAL, retry_after_ms=1_000)
        finally:
            socket.reader = None

    async def _meet_heads(self, socket: Socket) -> None:
        """Let a socket be live in the rooms in which it has missed nothing: mostly in all."""
        asked = dict(socket.behind)
        heads = await self._heads.ask(asked.keys())
        for room_id, cursor in asked.items():
            if cursor.rev == heads.get(room_id) and not cursor.reset:
                await self._reach(socket, room_id, cursor)

    async def _read_on(self, socket: Socket) -> None:
        asked = dict(socket.behind)
        pages = await self.read(_pages, asked)
        if self.is_blind:
            return  # too late: what it was based on cannot be checked any more
        if not pages:
            for room_id in asked.keys() & socket.seats.keys():  # these rooms are gone
                self._show_out(socket, room_id)
        for page, lines in pages:
            # It may have left the room meanwhile, or resumed it from elsewhere.
            if socket.behind.get(page.room_id) is not asked[page.room_id]:
                continue
            if page.upto > page.after or page.reset:
                socket.show_page(page, lines)
                socket.replayed(page)
                metrics.page_messages.observe(len(page.messages))
                metrics.delivered_late.inc(len(page.messages))
            socket.behind[page.room_id] = page.next
            if page.complete:
                await self._reach(socket, page.room_id, page.next)
                if self.is_blind:
                    return

    async def _reach(self, socket: Socket, room_id: str, cursor: Cursor) -> None:
        """Meet the head that a cursor stood at when it was read."""
        await self._heal([room_id], cursor.rev)
        if not self.is_blind and socket.behind.get(room_id) is cursor:
            self._meet(socket, room_id)

    def _meet(self, socket: Socket, room_id: str) -> None:
        """Let a socket that has read all there was be live, if that is still all there is."""
        here = self._rooms[room_id]
        position = socket.behind[room_id].rev
        if not here.live and here.head < position:
            here.meet(position)
        for batch in here.since(position):
            socket.show_batch(batch)
            metrics.delivered_late.inc(len(batch.lines))
            position = batch.upto
        if position == here.head:
            del socket.behind[room_id]
            here.live.add(socket)
            self._show_early(here)

    async def _heal(self, room_ids: Iterable[str], upto: int | None = None) -> None:
        """Bring the live sockets of rooms whose head is below `upto` to what the database has."""
        cursors = {}
        for room_id in room_ids:
            here = self._rooms.get(room_id)
            if here and here.live and (upto is None or here.head < upto):
                cursors[room_id] = Cursor(here.head)
        while cursors:
            pages = await self.read(_pages, cursors)
            if not pages:
                return  # these rooms are gone
            for page, lines in pages:
                del cursors[page.room_id]
                here = self._rooms.get(page.room_id)
                if here is None or not here.live or here.head >= page.upto:
                    continue
                if page.reset:  # each has to be told, and to throw its copy away
                    for socket in list(here.live):
                        self._put_behind(socket)
                    continue
                if here.head == page.after:
                    self._spare_slow_readers(here)
                    for socket in here.live:
                        socket.show_page(page, lines)
                    metrics.heals.inc()
                    metrics.delivered_late.inc(len(page.messages) * len(here.live))
                    here.meet(page.upto)
                if not page.complete or here.head < page.upto:
                    cursors[page.room_id] = Cursor(here.head)

    async def _heal_dirty(self) -> None:
        try:
            while self._dirty:
                await asyncio.sleep(HEAL_AFTER)
                dirty, self._dirty = self._dirty, {}
                await self._heal(
                    [room_id for room_id, upto in dirty.items() if self._lags(room_id, upto)]
                )
        except ChatError:
            pass  # the next check finds them again
        finally:
            self._healer = None

    def _lags(self, room_id: str, upto: int) -> bool:
        here = self._rooms.get(room_id)
        return here is not None and UNKNOWN < here.head < upto

    # What the check finds

    def rooms(self) -> Collection[str]:
        """Those that have sockets here."""
        return self._rooms.keys()

    def heads(self) -> dict[str, int]:
        """Up to where each room that has sockets here has been fanned out."""
        return {room_id: here.head for room_id, here in self._rooms.items()}

    def stored(self) -> dict[str, int]:
        """Up to where each of these rooms is known to be stored; heads may be made up."""
        return {room_id: here.stored for room_id, here in self._rooms.items()}

    def compare(self, room_id: str, ours: int, stored: int) -> None:
        """The database's head of a room, read when ours was already known: heal, or disbelieve."""
        if (here := self._rooms.get(room_id)) is None:
            return
        here.stored = max(stored, here.stored)
        if stored < ours:
            self._disbelieve(room_id, here)
        else:
            self.heal_soon(room_id, stored)

    def _disbelieve(self, room_id: str, here: RoomHere) -> None:
        """Let everybody throw away what was announced, and not stored."""
        self._lies.again(f"above {here.stored} in room {room_id}")
        for socket in here.sockets:
            if socket in here.live or socket.behind[room_id].rev > here.stored:
                socket.behind[room_id] = Cursor(NEVER)
                self._catch_up_soon(socket)
        here.live.clear()
        here.forget()

    def sockets(self, room_id: str | None = None) -> list[Socket]:
        """All sockets, or those in a room."""
        if room_id is None:
            return [socket for here in self.users.values() for socket in here.sockets]
        here = self._rooms.get(room_id)
        return list(here.sockets) if here else []

    def misled(self, room_id: str, face: Face) -> list[Socket]:
        """Sockets that were told something else of how a room is: its name, or where it begins."""
        if (here := self._rooms.get(room_id)) is None or here.face == face:
            return []
        found = [socket for socket in here.sockets if socket.seats[room_id].room.face != face]
        here.face = None if found else face
        return found

    def show_seat(self, socket: Socket, seat: Seat) -> None:
        """Let a socket that is in the room know how it is now."""
        known = socket.seats.get(seat.room.pk)
        if known is not None:
            socket.seats[seat.room.pk] = seat
            self._tell_face(self._rooms[seat.room.pk], seat)
            if socket.resumed and known.look != seat.look:
                socket.show_room(seat)

    def heal_soon(self, room_id: str, upto: int) -> None:
        """Let a room be healed, unless it is at `upto` or a late announcement brings it there."""
        if not self._lags(room_id, upto):
            return
        self._dirty[room_id] = max(upto, self._dirty.get(room_id, 0))
        if self._healer is None:
            self._healer = self._tasks.start(self._heal_dirty())

    def go_blind(self) -> None:
        """A worker that cannot see the database may not show anything."""
        if self.is_blind:
            return
        logger.error("The database cannot be seen: nothing is shown until it is")
        self._sighted.clear()
        for socket in self.sockets():
            self._put_behind(socket)
        for here in self._rooms.values():
            here.forget()

    def see_again(self) -> None:
        """Go on where everybody was."""
        if self.is_blind:
            logger.warning("The database can be seen again")
            self._sighted.set()

    @property
    def is_blind(self) -> bool:
        return not self._sighted.is_set()

    def insist_on_sight(self) -> None:
        """Unavailable while nothing may be shown."""
        if self.is_blind:
            raise Unavailable(retry_after_ms=1_000)

    def reseat(self, socket: Socket, standing: Standing) -> None:
        """Let a socket leave and join rooms until it is where its user may be."""
        if socket.preferred != standing.preferred:
            socket.preferred = standing.preferred
            if socket.resumed:
                socket.show_preferred()
        for room_id in socket.seats.keys() - standing.seats.keys():
            self._show_out(socket, room_id)
        for room_id, seat in standing.seats.items():
            if room_id in socket.seats:
                self.show_seat(socket, seat)
            else:
                self._seat(socket, seat)
                if socket.resumed:
                    socket.show_room(seat)
        if socket.behind:
            self._catch_up_soon(socket)

    # How far they got

    def handed(self, socket: Socket, room_id: str) -> int:
        """The rev up to which this socket was shown the room."""
        behind = socket.behind.get(room_id)
        return behind.rev if behind else self._rooms[room_id].head


def _batches(messages: Sequence[Message]) -> list[Batch]:
    """By room, in rev order; where another worker took the rev between, a new one begins."""
    runs: dict[str, list[list[Message]]] = {}
    for message in messages:
        runs_here = runs.setdefault(message.room_id, [])
        if runs_here and runs_here[-1][-1].rev == message.rev - 1:
            runs_here[-1].append(message)
        else:
            runs_here.append([message])
    return [
        Batch(room_id, run[0].rev - 1, run[-1].rev, serializers.message_lines(run))
        for room_id, runs_here in runs.items()
        for run in runs_here
    ]


def _heads(asked: Sequence[Iterable[str]]) -> list[dict[str, int]]:
    """One answer, for all of them."""
    return [archive.heads({room_id for room_ids in asked for room_id in room_ids})] * len(asked)


def _pages(cursors: Mapping[str, Cursor]) -> list[tuple[Page, list[bytes]]]:
    pages = archive.replay(cursors)
    return [(page, list(serializers.replay_frames(page))) for page in pages]
