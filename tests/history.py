"""What happened, as small events in the order in which it did: what the checker judges.

A device is one client with its own memory, `alice.1`; its user is what stands before the dot.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.client import Client, Frame


@dataclass(frozen=True, slots=True)
class Told:
    """A message as a device was told it; no body: it was deleted."""

    seq: int
    rev: int
    id: str
    sender: str | None
    body: str | None


@dataclass(frozen=True, slots=True)
class Sent:
    """A device asked to post; `connection` counts the device's connections."""

    device: str
    connection: int
    room: str
    id: str
    body: str


@dataclass(frozen=True, slots=True)
class Edited:
    """A device asked to give a message another body, or none, with whatever success."""

    device: str
    room: str
    seq: int
    body: str | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A device was answered that its message is stored."""

    device: str
    room: str
    id: str
    seq: int


@dataclass(frozen=True, slots=True)
class Entered:
    """A room appeared on a device that had no copy of it, which begins behind this rev."""

    device: str
    room: str
    rev: int


@dataclass(frozen=True, slots=True)
class Applied:
    """A device took over all that happened in `(after, upto]`; `reset`: into an empty copy."""

    device: str
    room: str
    after: int
    upto: int
    messages: tuple[Told, ...]
    reset: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """A device was told live what does not follow on its cursor; it had not asked for more."""

    device: str
    room: str
    cursor: int
    rev: int


@dataclass(frozen=True, slots=True)
class Left:
    """A device threw its copy of a room away, because it does not belong there any more."""

    device: str
    room: str


@dataclass(frozen=True, slots=True)
class Barred:
    """This user left or was removed so long ago that nothing of the room may arrive any more."""

    user: str
    room: str


@dataclass(frozen=True, slots=True)
class Admitted:
    """This user may see the room again."""

    user: str
    room: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A user's cursors in a room, as the database had them at some time."""

    user: str
    room: str
    delivered_rev: int
    read_seq: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A device has been connected and left in peace for so long that it must have everything."""

    device: str


Event = (
    Sent | Edited | Acknowledged | Entered | Applied | Left | Barred | Admitted | Stored | Settled
)


@dataclass(frozen=True, slots=True)
class Row:
    """A message in the database, in the end."""

    room: str
    seq: int
    rev: int
    born: int
    sender: str | None
    id: str
    body: str | None


@dataclass(frozen=True, slots=True)
class Head:
    """A room in the database, in the end."""

    seq: int
    rev: int


def user_of(device: str) -> str:
    return device.partition(".")[0]


class RecordedClient(Client):
    """A client that writes down what becomes of the frames that it gets."""

    def __init__(
        self, device: str, record: Callable[[Event], None], limit: int | None = None
    ) -> None:
        super().__init__(limit)
        self.device = device
        self._record = record

    def receive(self, frame: Frame) -> list[Frame]:
        known, pending = dict(self.cursors), set(self.pending)
        answers = super().receive(frame)
        for room in known.keys() - self.cursors.keys():
            self._record(Left(self.device, room))
        for room in self.cursors.keys() - known.keys():
            self._record(Entered(self.device, room, self.cursors[room]))
        match frame:
            case {"type": "posted", "room": room, "id": id, "seq": seq}:
                self._record(Acknowledged(self.device, room, id, seq))
            case {"type": "message", "room": room, "rev": rev} if known[room] < self.cursors[room]:
                self._record(Applied(self.device, room, rev - 1, rev, (told(frame),)))
            case {"type": "message", "room": room, "rev": rev} if rev > known[room] + 1:
                if room not in pending:
                    self._record(Skipped(self.device, room, known[room], rev))
            case {"type": "replay", "room": room, "after": after, "upto": upto}:
                reset = frame.get("reset", False)
                if reset or after <= known[room]:
                    messages = tuple(map(told, frame["messages"]))
                    self._record(Applied(self.device, room, after, upto, messages, reset))
                elif room not in pending:
                    self._record(Skipped(self.device, room, known[room], after + 1))
        return answers


def told(message: dict[str, Any]) -> Told:
    return Told(
        message["seq"],
        message["rev"],
        message["id"],
        message.get("sender"),
        message.get("body"),
    )
