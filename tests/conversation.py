"""What tests say in one line: somebody posts, reads on, or all do it at the same moment."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier
from typing import Any, TypeVar
from unittest.mock import patch
from uuid import UUID, uuid4

from django.db import connection, connections
from django.db.backends.utils import CursorWrapper
from django.test.utils import CaptureQueriesContext

from chat import archive, conf, messaging, users
from chat.archive import Cursor, Page
from chat.errors import ChatError
from chat.messaging import Draft, Posted
from chat.models import Epoch, Membership, Message, Room

T = TypeVar("T")


def draft(sender: Any, room: Room, body: str = "Hello", client_id: UUID | None = None) -> Draft:
    return Draft(sender, room.pk, client_id or uuid4(), body)


def post(draft: Draft) -> Posted:
    """Post one draft; its error is raised."""
    [outcome] = messaging.post([draft])
    if isinstance(outcome, ChatError):
        raise outcome
    return outcome


def say(sender: Any, room: Room, *bodies: str) -> list[Message]:
    """Post these bodies in one batch, of which none may fail."""
    outcomes = messaging.post([draft(sender, room, body) for body in bodies])
    return [outcome.message for outcome in outcomes if isinstance(outcome, Posted)]


def say_much(sender: Any, room: Room, count: int) -> list[Message]:
    return say(sender, room, *map(str, range(1, count + 1)))


def stored(room: Room) -> list[Message]:
    return list(Message.objects.filter(room=room).order_by("seq"))


def bodies(messages: Sequence[Message]) -> list[str]:
    return [message.body for message in messages]


def seqs(messages: Sequence[Message]) -> list[int]:
    return [message.seq for message in messages]


def revs(messages: Sequence[Message]) -> list[int]:
    return [message.rev for message in messages]


def head(room: Room) -> int:
    return Room.objects.get(pk=room.pk).rev


def seat_of(user: Any, room: Room) -> Membership:
    return Membership.objects.get(room=room, user=user)


def promote(user: Any, room: Room, role: str = Membership.Role.MODERATOR) -> None:
    Membership.objects.filter(room=room, user=user).update(role=role)


def deactivate(somebody: Any) -> None:
    somebody.is_active = False
    somebody.save(update_fields=["is_active"])


def read_on(room: Room, cursor: Cursor | None = None, size: int = conf.PAGE) -> list[Page]:
    """Page after page of a room, up to its head."""
    cursor = cursor or Cursor(0)
    pages: list[Page] = []
    while not pages or not pages[-1].complete:
        [page] = archive.replay({room.pk: cursor}, size)
        pages.append(page)
        cursor = page.next
    return pages


class Reader:
    """Keeps a room as a client does: it applies pages, and refuses one that does not follow."""

    def __init__(self, room: Room) -> None:
        self.cursor = Cursor(0)
        self.latest: dict[int, Message] = {}  # by seq
        self._room = room

    def read_a_page(self, size: int = conf.PAGE) -> Page:
        [page] = archive.replay({self._room.pk: self.cursor}, size)
        if page.reset:
            self.latest.clear()
        else:
            assert page.after == self.cursor.rev, "a hole"
        assert revs(page.messages) == sorted(revs(page.messages))
        self.latest |= {message.seq: message for message in page.messages}
        self.cursor = page.next
        return page

    def read_all(self, size: int = conf.PAGE) -> None:
        while not self.read_a_page(size).complete:
            pass

    @property
    def bodies(self) -> list[str]:
        return [message.body for _, message in sorted(self.latest.items())]


def crowd(room: Room, size: int) -> None:
    """Fill a room with this many strangers."""
    model = type(users.named("alice"))
    people = model.objects.bulk_create(model(username=f"guest{n}") for n in range(size))
    Membership.objects.bulk_create(Membership(room=room, user=person) for person in people)


def queries(job: Callable[[], object]) -> int:
    """How many queries a job takes."""
    with CaptureQueriesContext(connection) as captured:
        job()
    return len(captured)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Whatever any thread asks the database meanwhile.

    Transactions are not counted, nor the epoch: each worker asks for it once, whenever it comes to.
    """
    asked: list[str] = []

    def note(execute: Any) -> Any:
        def noted(self: CursorWrapper, sql: str, params: Any = None) -> Any:
            if not sql.startswith("BEGIN") and Epoch._meta.db_table not in sql:
                asked.append(sql)
            return execute(self, sql, params)

        return noted

    with (
        patch.object(CursorWrapper, "execute", note(CursorWrapper.execute)),
        patch.object(CursorWrapper, "executemany", note(CursorWrapper.executemany)),
    ):
        yield asked


def at_once(*jobs: Callable[[], T]) -> list[T]:
    """Do each on a thread with a connection of its own, all at the same moment."""
    start = Barrier(len(jobs))

    def do(job: Callable[[], T]) -> T:
        start.wait()
        try:
            return job()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(jobs)) as threads:
        return list(threads.map(do, jobs))
