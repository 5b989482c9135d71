"""The check each second: what this worker shows, compared with what the database says.

Hence everything takes effect on every worker within about a second, whoever wrote it, the admin and
management commands included, and without the channel layer.
"""

import asyncio
import logging
import random
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple, Self

from . import access, conf, frames, leases
from .access import Face, Standing
from .authentication import Identity, identities
from .close_codes import CloseCode
from .database import DatabaseThreads
from .errors import ChatError
from .pulse import Life, life, pulse
from .questions import Questions
from .sockets import Socket
from .switchboard import Switchboard
from .tasks import Tasks
from .users import UserKey

logger = logging.getLogger(__name__)

THREADS = 2  # of its own: behind a thousand replays the check would come too late
CHECK_EVERY = 1.0  # seconds, with jitter
BLIND_AFTER = 5.0  # seconds without a look at the database until nothing may be shown
SEATS_AT_ONCE = 500  # that are read to be shown anew
BUSY_AFTER = 1.0  # seconds that this loop comes too late
TOO_SLOW_AFTER = 30.0  # seconds in which a client has read nothing of what is there for it


class Shown(NamedTuple):
    """A user, and with what their sockets here were opened."""

    user_id: UserKey
    credentials: Collection[str]
    connections: Collection[str]  # their keys


class Found(NamedTuple):
    """What is true of them; of others perhaps, too."""

    standing: Standing | None  # None: the user is gone
    holders: Mapping[str, Identity]  # of credentials
    closing: Mapping[str, int]  # codes, by the keys of connections


class Watch:
    """One per worker, over its switchboard."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._life: Life | None = None
        self._refreshing: set[str] = set()
        self._showing: asyncio.Task[None] | None = None
        self._seen_at = time.monotonic()  # the last look at the database
        self._threads = DatabaseThreads("watch", THREADS)
        self._tasks = Tasks()
        # Together: what changes for a thousand users must not keep the check waiting.
        self._looks: Questions[Shown, Found] = Questions(
            lambda shown: self._threads.query(_look_up, shown), self._tasks
        )

    async def __aenter__(self) -> Self:
        self._tasks.start(self._check_forever())
        self._tasks.start(self._tend_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._threads.close()

    async def epoch(self) -> str:
        """Which life of the database this worker shows."""
        if self._life is None:
            self._life = await self._threads.query(life)
        return self._life.epoch

    async def _check_forever(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY * random.uniform(0.8, 1.0))
            began = time.monotonic()
            try:
                await self._check()
                self._seen_at = began
            except ChatError:
                pass  # has been logged; if it lasts, we are blind
            except Exception:
                logger.exception("The check failed")

    async def _check(self) -> None:
        switchboard, users = self._switchboard, self._switchboard.users
        # While the pulse is taken, they may grow.
        heads, stored = switchboard.heads(), switchboard.stored()
        credentials = {socket.identity.credential for socket in switchboard.sockets()}
        shown = {here.pk: here.shown for here in users.values()}
        began = time.monotonic()
        now = await self._threads.query(pulse, list(heads), list(shown), credentials)
        if time.monotonic() - began > BLIND_AFTER:
            return  # it may be as old as that, and blind we are anyway
        went_back = _went_back(stored, now.heads) or _went_back(shown, now.versions)
        before, self._life = self._life or now.life, now.life
        if before.epoch != now.life.epoch or went_back:
            self._start_afresh()
            return
        if before.closures != now.life.closures:
            switchboard.dismiss_all(CloseCode.DISCONNECTED)
            return
        for room_id, head in now.heads.items():
            switchboard.compare(room_id, heads[room_id], head)
        if changed_faces := [pair for pair in now.faces.items() if switchboard.misled(*pair)]:
            self._show_faces_soon(changed_faces)
        gone = heads.keys() - now.heads.keys()
        changed = self._changed(shown, now.versions, gone, credentials - now.credentials)
        if switchboard.is_blind:  # first of all, what they may not see any more
            if all(await asyncio.gather(*map(self.refresh, changed))):
                switchboard.see_again()
        else:
            for user_key in changed:
                self.refresh_soon(user_key)

    def _changed(
        self,
        asked: Collection[UserKey],
        versions: Mapping[UserKey, int],
        gone: Collection[str],
        ended: Collection[str],
    ) -> list[str]:
        """Users whose access, rooms or credentials are not what their sockets show.

        Who came while the pulse was taken has looked for themselves.
        """
        bereft = {s.user_key for room_id in gone for s in self._switchboard.sockets(room_id)}
        return [
            user_key
            for user_key, here in self._switchboard.users.items()
            if (here.pk in asked and versions.get(here.pk) != here.version)
            or user_key in bereft
            or any(socket.identity.credential in ended for socket in here.sockets)
        ]

    def _start_afresh(self) -> None:
        """The database was restored or failed over: nothing that we know is true any more."""
        logger.error("The database went back: all clients start afresh")
        self._switchboard.see_again()
        self._switchboard.dismiss_all(CloseCode.RESTART)

    def refresh_soon(self, user_key: str) -> None:
        """Look at once at what a user may see, instead of within a second."""
        if user_key in self._switchboard.users and user_key not in self._refreshing:
            self._refreshing.add(user_key)  # at once: one announcement may name them many times
            self._tasks.start(self.refresh(user_key))

    async def refresh(self, user_key: str) -> bool:
        """Compare a user's sockets with what the user may see now: close, leave, join.

        False if that cannot be told now; the next check tries again.
        """
        if (here := self._switchboard.users.get(user_key)) is None:
            self._refreshing.discard(user_key)
            return True
        sockets = list(here.sockets)
        self._refreshing.add(user_key)
        try:
            credentials = {socket.identity.credential for socket in sockets}
            standing, holders, closing = await self._looks.ask(
                Shown(here.pk, credentials, [socket.key for socket in sockets])
            )
        except ChatError:
            return False
        finally:
            self._refreshing.discard(user_key)
        if standing is not None and standing.version < here.shown:
            return True  # another look began later and was faster
        here.shown = standing.version if standing else here.shown
        if here.sockets.issubset(sockets):
            here.version = standing.version if standing else -1
        # Otherwise one came meanwhile that may not know of the change: the next check looks again.
        for socket in sockets:
            identity = holders.get(socket.identity.credential)
            if socket.closed_at is not None:
                continue
            if standing is None or identity is None or identity.user.pk != here.pk:
                self._switchboard.dismiss(socket, CloseCode.LOGGED_OUT)
            elif standing.banned:
                end = standing.banned_for_ms
                self._switchboard.dismiss(socket, CloseCode.BANNED, retry_after_ms=end)
            elif code := _asked_to_close(socket, standing, closing):
                back = 1_000 if code.bye().reconnect else None
                self._switchboard.dismiss(socket, code, retry_after_ms=back)
            else:
                socket.identity = identity
                self._switchboard.reseat(socket, standing)
        return True

    def _show_faces_soon(self, faces: Sequence[tuple[str, Face]]) -> None:
        if self._showing is None or self._showing.done():
            self._showing = self._tasks.start(self._show_faces(faces))

    async def _show_faces(self, faces: Sequence[tuple[str, Face]]) -> None:
        """Tell who is in these rooms how they are now; some at a time, for they may be all."""
        for room_id, face in faces:
            sockets = self._switchboard.misled(room_id, face)
            for start in range(0, len(sockets), SEATS_AT_ONCE):
                some = sockets[start : start + SEATS_AT_ONCE]
                users = {socket.identity.user.pk for socket in some}
                try:
                    standings = await self._threads.query(access.standings, users, [room_id])
                except ChatError:
                    return  # the next check finds them again
                for socket in some:
                    self._show_seat(socket, standings.get(socket.identity.user.pk), room_id)

    def _show_seat(self, socket: Socket, standing: Standing | None, room_id: str) -> None:
        here = self._switchboard.users.get(socket.user_key)
        if here is None or standing is None or standing.version < here.shown:
            return  # gone, or another look began later and was faster
        if room_id in standing.seats:
            self._switchboard.show_seat(socket, standing.seats[room_id])

    async def _tend_forever(self) -> None:
        while True:
            due = time.monotonic() + min(1.0, conf.heartbeat() / 2)
            await asyncio.sleep(due - time.monotonic())
            now = time.monotonic()
            self._switchboard.is_busy = now - due > BUSY_AFTER
            try:
                self._tend(now)
            except Exception:
                logger.exception("Cannot tend the sockets")

    def _tend(self, now: float) -> None:
        if now - self._seen_at > BLIND_AFTER:
            self._switchboard.go_blind()
        for socket in self._switchboard.sockets():
            if socket.stuck_for(now) > TOO_SLOW_AFTER:
                self._switchboard.dismiss(socket, CloseCode.TOO_SLOW, retry_after_ms=1_000)
            elif socket.resumed and now - socket.sent_at >= conf.heartbeat():
                socket.tell(frames.Heartbeat())


def _went_back(ours: Mapping[Any, int], theirs: Mapping[Any, int]) -> bool:
    return any(theirs.get(key, number) < number for key, number in ours.items())


def _look_up(shown: Sequence[Shown]) -> list[Found]:
    standings = access.standings({user_id for user_id, _, _ in shown})
    holders = identities({key for _, credentials, _ in shown for key in credentials})
    closing = leases.closing([key for _, _, connections in shown for key in connections])
    return [Found(standings.get(user_id), holders, closing) for user_id, _, _ in shown]


def _asked_to_close(
    socket: Socket, standing: Standing, closing: Mapping[str, int]
) -> CloseCode | None:
    if socket.key in closing:
        return CloseCode(closing[socket.key])
    if socket.admitted < standing.closed_below and standing.close_code is not None:
        return CloseCode(standing.close_code)
    return None
