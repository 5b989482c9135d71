"""A room as this worker shows it: who is in it here, its head, and what was shown last.

It decides nothing: which socket is live, and what is to be healed, is up to the switchboard.
"""

from collections import deque
from dataclasses import dataclass, field

from .access import Face
from .announcements import Batch
from .sockets import Socket

RECENT_BYTES = 256 * 1024  # of its last batches, to meet a head that moves on
EARLY = 100  # batches that may wait for what they follow on; others are read

UNKNOWN = -1  # head of a room in which nobody has been live yet


@dataclass(eq=False, slots=True)
class RoomHere:
    """A room that has sockets on this worker."""

    sockets: set[Socket] = field(default_factory=set)
    live: set[Socket] = field(default_factory=set)
    head: int = UNKNOWN  # last rev fanned out here
    stored: int = UNKNOWN  # last rev that is stored, as far as we know from more than hearsay
    face: Face | None = None  # what all sockets here were told; None: perhaps not the same
    early: dict[int, Batch] = field(default_factory=dict)  # announced before what they follow on
    recent: deque[Batch] = field(default_factory=deque)  # the last ones, up to the head
    recent_bytes: int = 0

    def follow(self, batch: Batch) -> None:
        """The batch has been fanned out: it is the head now."""
        if batch.after != self.head:
            self._begin_at(batch.after)
        self.head = batch.upto
        self.recent.append(batch)
        self.recent_bytes += batch.size
        while self.recent_bytes > RECENT_BYTES:
            self.recent_bytes -= self.recent.popleft().size

    def meet(self, head: int) -> None:
        """The head is known from the database."""
        self.stored = max(head, self.stored)
        self._begin_at(head)

    def forget(self) -> None:
        """The head is not known any more, and what was announced is not to be believed."""
        self._begin_at(UNKNOWN)
        self.early.clear()

    def _begin_at(self, head: int) -> None:
        self.head = head
        self.recent.clear()
        self.recent_bytes = 0

    def wait_for(self, batch: Batch) -> None:
        """Keep what was announced before what it follows on."""
        self.early = {after: early for after, early in self.early.items() if after >= self.head}
        if len(self.early) < EARLY:
            self.early[batch.after] = batch

    def contradicts(self, batch: Batch) -> bool:
        """Whether something else was announced for the same revs: one of the two is made up."""
        for known in self.recent:
            after, upto = max(known.after, batch.after), min(known.upto, batch.upto)
            if after < upto and known.told(after, upto) != batch.told(after, upto):
                return True
        return False

    def since(self, rev: int) -> list[Batch]:
        """The batches that lead from `rev` to the head; none if they are not all remembered."""
        starts = [batch.after for batch in self.recent]
        return list(self.recent)[starts.index(rev) :] if rev in starts else []
