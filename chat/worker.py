"""One worker: all that runs beside the connections of one event loop.

It begins with its server or, where that sends no lifespan events, with the first connection of its
loop; and belongs to that loop, never to the module: tests and throw-away loops get their own.
"""

import asyncio
import logging
import random
import time
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Iterator,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import AsyncExitStack
from typing import Any, Self

from django.contrib.auth.base_user import AbstractBaseUser
from structlog.contextvars import bind_contextvars, bound_contextvars

from . import (
    access,
    allowances,
    authentication,
    conf,
    frames,
    messaging,
    people,
    reports,
    rooms,
    users,
)
from .access import Seat, Standing
from .addresses import household
from .allowances import Visitor
from .announcements import Announcement, Announcer
from .authentication import Claim, Credentials, Identity
from .bulletin import Bulletin
from .chores import Chores
from .close_codes import CloseCode
from .cursors import Cursors
from .errors import (
    ChatError,
    NotLoggedIn,
    RateLimited,
    Restarting,
    TooManyConnections,
    Unavailable,
)
from .gauges import Gauges
from .health import PARTS
from .journal import Journal
from .limits import Limits
from .messaging import Draft, Posted
from .models import Room, opaque_id
from .preferences import Preferred
from .presence import Presence
from .questions import Questions
from .sockets import Socket
from .switchboard import Switchboard
from .tasks import Tasks
from .watch import Watch

logger = logging.getLogger(__name__)

SHORTEST_WAIT = 0.5  # seconds; whoever waits for each token anew looks like whoever does not wait
LAST_ANSWERS = 3.0  # seconds for what was asked before a worker began to drain
LEASE_RUNS_OUT = (5_000, 10_000)  # milliseconds, roughly, until who has gone does not count

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Any], Awaitable[None]]
# Who connects, and what they may see; None if they have yet to be enrolled.
Admission = tuple[Identity, Standing | None]
Verb = Callable[..., None]  # of `rooms`, for a user and a room
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]


class Worker:
    """Journal, switchboard and cursors, wired together. Use it as `async with Worker():`."""

    def __init__(self) -> None:
        self.key = opaque_id()
        self.is_draining = False
        # One at a time: it may look at every user there is, and others wait to read, too.
        self.finding = asyncio.Lock()
        with bound_contextvars(worker=self.key):  # what its parts log is its own
            self._wire()

    def _wire(self) -> None:
        self._announcer = Announcer(self.key, self._hear, self._epoch, self._spent)
        self.limits = Limits(self._announcer.ask_what_was_spent)
        self.switchboard = Switchboard(self._announcer)
        self.watch = Watch(self.switchboard)
        self.journal = Journal(self.switchboard.publish)
        self.cursors = Cursors(self.journal, self.switchboard)
        self.presence = Presence(self.key, self.journal, self.switchboard)
        self._gauges = Gauges(self._announcer, self.switchboard, self.journal)
        self._bulletin = Bulletin(
            self.key, self._announcer, self.switchboard, self.journal, lambda: self.is_draining
        )
        self._chores = Chores(self.journal, self.switchboard)
        self._tasks = Tasks()
        self._admissions: Questions[Credentials, Admission] = Questions(
            lambda shown: self.switchboard.read(_admit, shown), self._tasks
        )
        self._parts = AsyncExitStack()

    async def __aenter__(self) -> Self:
        parts = (self._announcer, self.switchboard, self.watch, self.journal, self.cursors)
        for part in (*parts, self.presence, self._gauges, self._bulletin, self._chores):
            await self._parts.enter_async_context(part)
        self._parts.push_async_callback(self._tasks.stop)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._parts.aclose()

    async def drain(self) -> None:
        """Answer what was asked, then send everybody to the other workers, a few at a time."""
        self.is_draining = True
        deadline = time.monotonic() + LAST_ANSWERS
        while time.monotonic() < deadline and any(
            socket.owes_an_answer for socket in self.switchboard.sockets()
        ):
            await asyncio.sleep(0.01)
        self.switchboard.dismiss_all(CloseCode.RESTART, is_urgent=False)

    def _insist_on_staying(self) -> None:
        """Restarting if whoever comes now would have to leave at once."""
        if self.is_draining:
            raise Restarting(retry_after_ms=random.randrange(1_000))

    async def admit(self, credentials: Credentials) -> tuple[Identity, Standing]:
        """Who connects, and what they may see, if anything; NotLoggedIn, Restarting."""
        self._insist_on_staying()
        try:
            identity, standing = await self._admit(credentials)
        except Unavailable:  # perhaps because of that
            self._insist_on_staying()
            raise
        self._insist_on_staying()
        return identity, standing

    def insist_on_room(self, socket: Socket) -> None:
        """TooManyConnections if this one's user, or address, has too many open.

        If some of them are elsewhere, they may be those of a worker that has just ended, whose
        clients come here: RateLimited tells them to try again.
        """
        for most, here, elsewhere in self._crowds(socket):
            if here >= most:
                raise TooManyConnections
            if here + elsewhere >= most:
                raise RateLimited(retry_after_ms=random.randrange(*LEASE_RUNS_OUT))

    def _crowds(self, socket: Socket) -> Iterator[tuple[int, int, int]]:
        """Of its user, and of its address: how many may be open, are here, and are elsewhere."""
        here, elsewhere = self.switchboard, self.presence.elsewhere
        yield conf.CONNECTIONS, here.connections(socket), elsewhere.users[socket.user_id]
        home, people = household(socket.endpoint.address), conf.people_per_address()
        if home and people:
            most = people * conf.CONNECTIONS
            yield most, here.households[home], elsewhere.households[home]

    async def _admit(self, credentials: Credentials) -> tuple[Identity, Standing]:
        # Using a ticket up is a write; everything else only reads.
        if credentials.ticket and not credentials.authorization:
            identity, known = await self.journal.run(_admit_by_ticket, credentials)
        else:
            identity, known = await self._admissions.ask(credentials)
        return (identity, known) if known else await self.journal.run(_enrol, identity)

    async def post(self, draft: Draft, visitor: Visitor) -> asyncio.Future[Posted]:
        """Hand a draft in; RateLimited unless it is the retry of a stored one."""
        try:
            self.check_rate(visitor)
        except RateLimited:
            if await self.switchboard.read(messaging.find, draft) is None:
                raise
            # Retries pass, but not as fast as they can be made.
            await asyncio.sleep(min(1 / conf.post_rate(), SHORTEST_WAIT))
        return self.journal.post(draft)

    async def edit(self, user: AbstractBaseUser, room_id: str, seq: int, body: str) -> None:
        """Edit a message and show it."""
        message = await self.journal.run(messaging.edit, user, room_id, seq, body)
        self.switchboard.publish([message])

    async def delete(self, user: AbstractBaseUser, room_id: str, seq: int) -> None:
        """Delete a message and show it."""
        message = await self.journal.run(messaging.delete, user, room_id, seq)
        self.switchboard.publish([message])

    def check_rate(self, visitor: Visitor) -> None:
        """RateLimited if the visitor has asked for too many changes of late."""
        self.limits.insist(*allowances.posts(visitor), at_least=SHORTEST_WAIT)

    async def open_direct(self, user: AbstractBaseUser, name: str) -> Seat:
        """The user's seat in the direct room with somebody; the user's sockets have it by then."""
        seat = await self.journal.run(_open_direct, user, name)
        await self._show_change(user, seat)
        return seat

    async def create(self, user: AbstractBaseUser, new: frames.Create) -> Seat:
        """The user's seat in a new room; the user's sockets have it by then."""
        members = await self.switchboard.read(users.all_named, new.members)
        seat = await self.journal.run(_create, user, new, members)
        await self._show_change(user, seat)
        return seat

    async def change(self, verb: Verb, user: AbstractBaseUser, room_id: str, *args: Any) -> None:
        """Do a verb of `rooms` with a room; by then the user's sockets show what came of it."""
        seats = await self.journal.run(_change, verb, user, room_id, *args)
        await self._show_change(user, *seats)

    async def invite(self, user: AbstractBaseUser, room_id: str, names: Sequence[str]) -> None:
        """Bring in all of these, or nobody."""
        guests = await self.switchboard.read(users.all_named, names)
        await self.change(rooms.invite, user, room_id, *guests)

    async def remove(self, user: AbstractBaseUser, room_id: str, name: str) -> None:
        """Send somebody out."""
        somebody = await self.switchboard.read(users.known, name)
        await self.change(rooms.remove, user, room_id, somebody)

    async def appoint(self, user: AbstractBaseUser, room_id: str, name: str, role: str) -> None:
        """Give somebody another role."""
        somebody = await self.switchboard.read(users.named, name)
        await self.change(rooms.appoint, user, room_id, somebody, role)

    async def mark(self, verb: Verb, user: AbstractBaseUser, room_id: str, *args: Any) -> None:
        """Do a verb that concerns nobody else; by then the user's sockets show it."""
        await self.journal.run(verb, user, room_id, *args)
        await self._show_change(user)

    async def block(self, user: AbstractBaseUser, name: str, blocked: bool) -> None:
        """Let nobody write between these two, or end that; the user's sockets show it by then."""
        seat = await self.journal.run(_block, user, name, blocked)
        await self._show_change(user, seat)

    async def report(self, user: AbstractBaseUser, report: frames.Report) -> None:
        """Lay something before those who run the site."""
        await self.journal.run(_report, user, report)

    async def prefer(self, user: AbstractBaseUser, changes: Mapping[str, object]) -> Preferred:
        """Change some preferences; all of them."""
        preferred = await self.journal.run(people.prefer, user, changes)
        self._announcer.announce(users=[str(user.pk)])
        self.watch.refresh_soon(str(user.pk))
        return preferred

    async def _show_change(self, user: AbstractBaseUser, *seats: Seat) -> None:
        """Not needed: every worker would see it within a second. But people are waiting.

        Unavailable if the user's own sockets have to wait for that, too.
        """
        me = str(user.pk)
        concerned = {me, *(str(fellow.user_id) for seat in seats for fellow in seat.fellows)}
        self._announcer.announce(users=list(concerned))
        for user_key in concerned - {me}:
            self.watch.refresh_soon(user_key)
        if not await self.watch.refresh(me):
            raise Unavailable(retry_after_ms=1_000)

    async def _epoch(self) -> str:
        return await self.watch.epoch()

    def _hear(self, announcement: Announcement) -> None:
        self.switchboard.hear(announcement)
        for user_key in announcement.users:
            self.watch.refresh_soon(user_key)
        for name, amount in announcement.spent.items():
            if share := allowances.share(name):
                self.limits.lose(share, amount)

    def _spent(self) -> dict[str, float]:
        return {allowances.name(share): amount for share, amount in self.limits.news().items()}


def _admit(shown: Sequence[Credentials]) -> list[Admission | ChatError]:
    claims = authentication.claims(shown)
    admitted = _look_up(claims.values())
    found = {credentials: admitted.get(claim) for credentials, claim in claims.items()}
    return [found.get(credentials) or NotLoggedIn() for credentials in shown]


def _admit_by_ticket(credentials: Credentials) -> Admission:
    identity = authentication.holder(credentials)
    if identity is None:
        raise NotLoggedIn
    return _look_up_one(identity)


def _enrol(identity: Identity) -> tuple[Identity, Standing]:
    rooms.enrol(identity.user)
    identity, standing = _look_up_one(identity)
    if standing is None:
        raise NotLoggedIn  # gone
    return identity, standing


def _look_up_one(identity: Identity) -> Admission:
    claim = Claim(identity.user.pk, identity.credential)
    try:
        return _look_up([claim])[claim]
    except KeyError:
        raise NotLoggedIn from None


def _look_up(claims: Collection[Claim]) -> dict[Claim, Admission]:
    """Who they are and what they may see, unless they have yet to be enrolled.

    Who they are is read last: a password that had changed before the version of what they may see
    was read would never be noticed.
    """
    standings = access.standings({claim.user_id for claim in claims})
    identities = authentication.identities({claim.credential for claim in claims})
    return {
        claim: (identity, _if_enrolled(standings.get(claim.user_id)))
        for claim in claims
        if (identity := identities.get(claim.credential)) and identity.user.pk == claim.user_id
    }


def _if_enrolled(standing: Standing | None) -> Standing | None:
    seats = standing.seats.values() if standing else ()
    return standing if any(seat.room.kind == Room.Kind.EVERYONE for seat in seats) else None


def _open_direct(user: AbstractBaseUser, name: str) -> Seat:
    return access.seat(user.pk, rooms.open_direct(user, users.named(name)).pk)


def _create(
    user: AbstractBaseUser, new: frames.Create, members: Sequence[AbstractBaseUser]
) -> Seat:
    room = rooms.create(user, new.name, kind=new.kind, members=members, open=new.open)
    return access.seat(user.pk, room.pk)


def _block(user: AbstractBaseUser, name: str, blocked: bool) -> Seat:
    return access.seat(user.pk, people.block(user, users.known(name), blocked).pk)


def _report(user: AbstractBaseUser, report: frames.Report) -> None:
    if report.user is not None:
        reports.report_person(user, users.known(report.user), report.reason, report.room)
    elif report.room is not None and report.seq is not None:
        reports.report_message(user, report.room, report.seq, report.reason)


def _change(verb: Verb, user: AbstractBaseUser, room_id: str, *args: Any) -> list[Seat]:
    """The user's seat before and after it, as far as there is one."""
    before = access.standing(user.pk, [room_id]).seats.values()
    verb(user, room_id, *args)
    return [*before, *access.standing(user.pk, [room_id]).seats.values()]


class WithWorker:
    """Wraps an ASGI application: every scope names its loop's worker, where there is one.

    A WebSocket never comes without. A server that sends lifespan events has it from the start, and
    gives it time for an orderly end.
    """

    def __init__(self, application: ASGIApplication) -> None:
        self._application = application
        self._workers: dict[asyncio.AbstractEventLoop, asyncio.Task[Worker]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        match scope["type"]:
            case "lifespan":
                await self._live(receive, send)
            case "websocket":
                await self._application({**scope, "worker": await self._worker()}, receive, send)
            case _:
                worker = self._workers.get(asyncio.get_running_loop())
                here = worker.result() if worker and _is_there(worker) else None
                await self._application({**scope, "worker": here}, receive, send)

    async def _worker(self) -> Worker:
        loop = asyncio.get_running_loop()
        if loop not in self._workers:  # a task, so that simultaneous first connections share it
            self._workers[loop] = loop.create_task(Worker().__aenter__())
        return await asyncio.shield(self._workers[loop])

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        try:
            worker = await self._worker()
        except Exception as error:
            logger.exception("The worker cannot start")
            await send({"type": "lifespan.startup.failed", "message": repr(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        bind_contextvars(worker=worker.key)
        logger.info("Serving")
        # Without its tables nothing works, and whoever started us should know why.
        missing = asyncio.create_task(PARTS["migrations"].answer())
        await receive()  # lifespan.shutdown
        logger.info("Ending: %d connections are sent elsewhere", len(worker.switchboard.sockets()))
        await worker.drain()
        await missing
        await worker.__aexit__()
        await send({"type": "lifespan.shutdown.complete"})


def _is_there(worker: asyncio.Task[Worker]) -> bool:
    return worker.done() and not worker.cancelled() and worker.exception() is None
