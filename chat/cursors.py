"""How far everybody got: noted here as it comes in, written together, shown to whom it concerns.

A delivery that is lost in a crash only costs a repeated replay, so deliveries are written once a
second. Reads are written at once; while some are being written, the next ones collect.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import NamedTuple, Self

from . import frames, messaging, serializers
from .access import Seat
from .announcements import Relay
from .errors import ChatError, NotFound
from .journal import Journal
from .models import Membership
from .sockets import Socket
from .switchboard import Switchboard
from .tasks import Tasks

logger = logging.getLogger(__name__)

WRITE_EVERY = 1.0  # seconds


class Delivery(NamedTuple):
    """What arrived at some device of a member."""

    seat: Seat
    socket: Socket
    rev: int


class Reading(NamedTuple):
    """What a member has read on some device, and who wants to know whether that can be."""

    seat: Seat
    socket: Socket
    seq: int
    asker: asyncio.Future[None]


class Cursors:
    """One per worker."""

    def __init__(self, journal: Journal, switchboard: Switchboard) -> None:
        self._journal = journal
        self._switchboard = switchboard
        self._deliveries: dict[int, Delivery] = {}  # the furthest, by the membership's key
        self._readings: list[Reading] = []
        self._some_read = asyncio.Event()
        self._tasks = Tasks()

    async def __aenter__(self) -> Self:
        self._tasks.start(self._write_deliveries_forever())
        self._tasks.start(self._write_readings_forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.stop()
        await self._write_deliveries()

    def acknowledge(self, socket: Socket, cursors: Mapping[str, int]) -> None:
        """Note what has arrived at a socket. NotFound for a room in which it has no seat."""
        for room_id in cursors.keys() & socket.seats.keys():
            seat, rev = socket.seats[room_id], cursors[room_id]
            socket.acknowledged(room_id, rev)
            rev = min(rev, self._switchboard.handed(socket, room_id))
            self._note(Delivery(seat, socket, rev))
        if not cursors.keys() <= socket.seats.keys():
            raise NotFound

    def read(self, socket: Socket, room_id: str, seq: int) -> asyncio.Future[None]:
        """Note what a user has read; the future tells NotFound if there is no such message yet."""
        if (seat := socket.seats.get(room_id)) is None:
            raise NotFound
        asker: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readings.append(Reading(seat, socket, seq, asker))
        self._some_read.set()
        return asker

    def _note(self, delivery: Delivery) -> None:
        key = delivery.seat.key
        known = self._deliveries.get(key)
        if known is None or known.rev < delivery.rev:
            self._deliveries[key] = delivery

    async def _write_deliveries_forever(self) -> None:
        while True:
            await asyncio.sleep(WRITE_EVERY)
            await self._write_deliveries()

    async def _write_deliveries(self) -> None:
        noted, self._deliveries = self._deliveries, {}
        if not noted:
            return
        revs = {key: delivery.rev for key, delivery in noted.items()}
        try:
            self._show(await self._journal.run(messaging.acknowledge, revs), noted)
        except ChatError:
            for delivery in noted.values():
                self._note(delivery)
        except Exception:
            logger.exception("Cannot store what has been delivered")

    async def _write_readings_forever(self) -> None:
        while True:
            await self._some_read.wait()
            self._some_read.clear()
            readings, self._readings = self._readings, []
            while readings:
                try:
                    readings = await self._write_readings(readings)
                except Exception as error:
                    if not isinstance(error, ChatError):
                        logger.exception("Cannot store what has been read")
                    for reading in readings:
                        told = error if isinstance(error, ChatError) else ChatError()
                        _settle(reading.asker, told)
                    break

    async def _write_readings(self, readings: Sequence[Reading]) -> list[Reading]:
        """Write the furthest of each membership; return those for which one went too far."""
        noted = {r.seat.key: r for r in sorted(readings, key=attrgetter("seq"))}
        seqs = {key: reading.seq for key, reading in noted.items()}
        memberships = await self._journal.run(messaging.read, seqs)
        self._show(memberships, noted)
        ends = {membership.pk: membership.head for membership in memberships}
        left = []
        for reading in readings:
            key = reading.seat.key
            end = ends.get(key, 0)
            if reading.seq > end:
                _settle(reading.asker, NotFound())
            elif seqs[key] > end:
                left.append(reading)
            else:
                _settle(reading.asker, None)
        return left

    def _show(
        self, memberships: Iterable[Membership], noted: Mapping[int, Delivery | Reading]
    ) -> None:
        self._switchboard.relay(
            relay
            for membership in memberships
            if membership.moved
            for relay in _receipts(membership, noted[membership.pk])
        )


def _receipts(membership: Membership, noted: Delivery | Reading) -> Iterator[Relay]:
    """In a small room everybody gets it, in a large one only the member's own sockets."""
    room_id, me = membership.room_id, str(membership.user_id)
    username, others = noted.socket.username, noted.seat.is_small
    line = frames.encode(serializers.receipt_frame(username, membership))
    # As they prefer now: what arrived before they hid tells how far they have read since.
    hides = noted.socket.preferred.hide_receipts
    if others and not hides:
        yield Relay(room_id, line)
        return
    yield Relay(room_id, line, only=me)
    if others and isinstance(noted, Delivery):
        hidden = serializers.receipt_frame(username, membership, hidden=True)
        yield Relay(room_id, frames.encode(hidden), but=me)


def _settle(asker: asyncio.Future[None], outcome: ChatError | None) -> None:
    if asker.done():
        return
    if outcome is None:
        asker.set_result(None)
    else:
        asker.set_exception(outcome)
