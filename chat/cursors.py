"""How far everybody got: noted here as it comes in, written together, shown to whom it concerns.

A delivery that is lost in a crash only costs a repeated replay, so deliveries are written once a
second. Reads are written at once; while some are being written, the next ones collect.
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Self

from . import messaging, serializers
from .errors import ChatError, NotFound
from .journal import Journal
from .models import Membership
from .rooms import Seat
from .sockets import Socket
from .switchboard import Switchboard

logger = logging.getLogger(__name__)

WRITE_EVERY = 1.0  # seconds


@dataclass(slots=True)
class Note:
    """One membership's cursor, to be written."""

    seat: Seat
    username: str
    target: int
    askers: list[asyncio.Future[None]] = field(default_factory=list)


class Cursors:
    """One per worker."""

    def __init__(self, journal: Journal, switchboard: Switchboard) -> None:
        self._journal = journal
        self._switchboard = switchboard
        self._delivered: dict[int, Note] = {}  # by the membership's key
        self._read: dict[int, Note] = {}
        self._some_read = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._write_deliveries_forever()),
            asyncio.create_task(self._write_reads_forever()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._write_deliveries()

    def acknowledge(self, socket: Socket, cursors: Mapping[str, int]) -> None:
        """Note what has arrived at a socket. NotFound for a room in which it has no seat."""
        for room_id in cursors.keys() & socket.seats.keys():
            seat, rev = socket.seats[room_id], cursors[room_id]
            socket.acknowledged(room_id, rev)
            rev = min(rev, self._switchboard.handed(socket, room_id))
            note = self._delivered.setdefault(seat.membership.pk, Note(seat, socket.username, rev))
            note.target = max(note.target, rev)
        if not cursors.keys() <= socket.seats.keys():
            raise NotFound

    def read(self, socket: Socket, room_id: str, seq: int) -> asyncio.Future[None]:
        """Note what a user has read; the future tells NotFound if there is no such message yet."""
        if (seat := socket.seats.get(room_id)) is None:
            raise NotFound
        note = self._read.setdefault(seat.membership.pk, Note(seat, socket.username, seq))
        note.target = max(note.target, seq)
        asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        note.askers.append(asker)
        self._some_read.set()
        return asker

    async def _write_deliveries_forever(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self._write_deliveries()

    async def _write_deliveries(self) -> None:
        notes, self._delivered = self._delivered, {}
        if not notes:
            return
        targets = {key: note.target for key, note in notes.items()}
        try:
            self._show(await self._journal.run(messaging.acknowledge, targets), notes)
        except ChatError:
            self._delivered = notes | self._delivered  # what came meanwhile is further
        except Exception:
            logger.exception("Cannot store what has been delivered")

    async def _write_reads_forever(self) -> None:
        while True:
            await self._some_read.wait()
            self._some_read.clear()
            notes, self._read = self._read, {}
            failure: ChatError | None = None
            try:
                targets = {key: note.target for key, note in notes.items()}
                memberships = await self._journal.run(messaging.read, targets)
                self._show(memberships, notes)
                there = {m.pk for m in memberships if targets[m.pk] <= m.head}
            except ChatError as error:
                failure = error
            except Exception:
                logger.exception("Cannot store what has been read")
                failure = ChatError()
            for key, note in notes.items():
                outcome = failure or (None if key in there else NotFound())
                for asker in note.askers:
                    _settle(asker, outcome)

    def _show(self, memberships: Iterable[Membership], notes: Mapping[int, Note]) -> None:
        moved = [membership for membership in memberships if membership.moved]
        self._switchboard.relay(
            (
                notes[membership.pk].seat,
                str(membership.user_id),
                serializers.receipt_frame(notes[membership.pk].username, membership),
            )
            for membership in moved
        )


def _settle(asker: asyncio.Future[None], outcome: ChatError | None) -> None:
    if asker.done():
        return
    if outcome is None:
        asker.set_result(None)
    else:
        asker.set_exception(outcome)
