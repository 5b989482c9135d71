"""Group commit: what waits is stored together, in order, and whoever waits is always answered."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Event
from types import SimpleNamespace
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.db import OperationalError, connection, transaction

from chat import database, journal, messaging, rooms
from chat.errors import ChatError, Empty, IdConflict, NotFound, StorageFull, Unavailable
from chat.journal import Journal
from chat.messaging import Draft, Posted, RoomBusy
from chat.models import Message, Room
from tests.conversation import bodies, draft, stored
from tests.failures import locked_database

pytestmark = pytest.mark.django_db(transaction=True)
postgresql_only = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite cannot tell who holds a row"
)
sqlite_only = pytest.mark.skipif(
    connection.vendor != "sqlite", reason="PostgreSQL has no such limit"
)

really_post = messaging.post


def ignore(_messages: Sequence[Message]) -> None:
    pass


async def answers(postings: Sequence[asyncio.Future[Posted]]) -> list[int | type[ChatError]]:
    """The places that were given, or the errors that were told."""
    async with asyncio.timeout(15):
        outcomes = await asyncio.gather(*postings, return_exceptions=True)
    return [o.message.seq if isinstance(o, Posted) else type(o) for o in outcomes]


async def said_in(room: Room) -> list[str]:
    return await database_sync_to_async(lambda: bodies(stored(room)))()


class HeldPost:
    """Stands in for `messaging.post`: remembers its batches, and stores them when it is let go."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.begun = Event()
        self.let_go = Event()

    def __call__(self, drafts: Sequence[Draft], *, wait: bool = True) -> Any:
        self.batches.append([draft.body for draft in drafts])
        self.begun.set()
        assert self.let_go.wait(20), "nobody let go"
        return really_post(drafts, wait=wait)

    async def is_at_it(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, 20), "nothing was posted"


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldPost]:
    held = HeldPost()
    monkeypatch.setattr(messaging, "post", held)
    yield held
    held.let_go.set()


# Together, and in order


async def test_a_draft_is_stored_and_answered(alice, kitchen):
    async with Journal(ignore) as journal:
        posted = await journal.post(draft(alice, kitchen, "Hello"))
    assert (posted.message.seq, posted.new) == (1, True)
    assert await said_in(kitchen) == ["Hello"]


async def test_what_waits_is_stored_together(alice, kitchen, held):
    async with Journal(ignore) as journal:
        first = journal.post(draft(alice, kitchen, "0"))
        await held.is_at_it()
        others = [journal.post(draft(alice, kitchen, str(n))) for n in range(1, 10)]
        held.let_go.set()
        assert await answers([first, *others]) == list(range(1, 11))
    assert held.batches == [["0"], [str(n) for n in range(1, 10)]]


async def test_nothing_is_answered_before_it_is_stored(alice, kitchen, held):
    async with Journal(ignore) as journal:
        posting = journal.post(draft(alice, kitchen))
        await held.is_at_it()
        assert not posting.done()
        assert await said_in(kitchen) == []
        held.let_go.set()
        await posting
        assert await said_in(kitchen) == ["Hello"]


async def test_a_batch_has_an_end(alice, kitchen, held, monkeypatch):
    monkeypatch.setattr(journal, "BATCH", 4)
    async with Journal(ignore) as writer:
        first = writer.post(draft(alice, kitchen))
        await held.is_at_it()
        others = [writer.post(draft(alice, kitchen)) for _ in range(10)]
        held.let_go.set()
        await answers([first, *others])
    assert list(map(len, held.batches)) == [1, 4, 4, 2]


async def test_each_room_keeps_the_order_in_which_its_drafts_were_handed_in(
    alice, bob, kitchen, lobby
):
    async with Journal(ignore) as journal:
        postings = []
        for n in range(60):
            postings.append(
                journal.post(draft((alice, bob)[n % 2], (kitchen, lobby)[n % 3 > 0], str(n)))
            )
            if n % 7 == 0:
                await asyncio.sleep(0)
        await answers(postings)
    for room, numbers in ((kitchen, range(0, 60, 3)), (lobby, (n for n in range(60) if n % 3))):
        assert await said_in(room) == [str(n) for n in numbers]


async def test_each_draft_is_answered_by_its_own_outcome(alice, charlie, kitchen, held):
    used = draft(alice, kitchen, "used")
    async with Journal(ignore) as journal:
        first = journal.post(used)
        await held.is_at_it()
        drafts = [
            draft(charlie, kitchen),
            draft(alice, kitchen, "one"),
            draft(alice, kitchen, " "),
            used,
            draft(alice, kitchen, "other", used.client_id),
            draft(alice, kitchen, "two"),
        ]
        others = [journal.post(one) for one in drafts]
        held.let_go.set()
        assert await answers([first, *others]) == [1, NotFound, 2, Empty, 1, IdConflict, 3]
    assert await said_in(kitchen) == ["used", "one", "two"]


# Published before it is answered


async def test_new_messages_are_published_before_their_senders_are_answered(alice, kitchen):
    published: list[str] = []
    async with Journal(lambda messages: published.extend(bodies(messages))) as journal:
        await journal.post(draft(alice, kitchen, "Hello"))
        assert published == ["Hello"]


async def test_a_retry_is_not_published_again(alice, kitchen):
    published: list[str] = []
    once = draft(alice, kitchen)
    async with Journal(lambda messages: published.extend(bodies(messages))) as journal:
        await journal.post(once)
        await journal.post(once)
    assert published == ["Hello"]


async def test_a_failure_to_publish_keeps_nobody_from_being_answered(alice, kitchen, caplog):
    def fail(_messages: object) -> None:
        raise RuntimeError("on purpose")

    async with Journal(fail) as journal:
        postings = [journal.post(draft(alice, kitchen)) for _ in range(3)]
        assert await answers(postings) == [1, 2, 3]
    assert "Cannot publish" in caplog.text


# When it cannot be stored


async def test_a_full_queue_takes_no_more(alice, kitchen, held, monkeypatch):
    monkeypatch.setattr(journal, "QUEUE", 3)
    async with Journal(ignore) as writer:
        postings = [writer.post(draft(alice, kitchen))]
        await held.is_at_it()
        postings += [writer.post(draft(alice, kitchen)) for _ in range(2)]
        with pytest.raises(Unavailable) as refused:
            await writer.post(draft(alice, kitchen))
        assert refused.value.retry_after_ms == 1_000
        held.let_go.set()
        assert await answers(postings) == [1, 2, 3]
        assert await answers([writer.post(draft(alice, kitchen))]) == [4]


async def test_while_the_database_is_locked_it_is_unavailable_and_then_again_available(
    hurried, alice, kitchen
):
    once = draft(alice, kitchen)
    async with Journal(ignore) as journal:
        with locked_database():
            with pytest.raises(Unavailable) as told:
                await journal.post(once)
            assert told.value.retry_after_ms == 1_000
            with pytest.raises(Unavailable):
                await journal.run(messaging.edit, alice, kitchen.pk, 1, "Hello")
        assert await answers([journal.post(once)]) == [1]


async def test_a_short_lock_is_waited_for(alice, kitchen):
    async with Journal(ignore) as journal:
        with locked_database():
            posting = journal.post(draft(alice, kitchen))
            await asyncio.wait({posting}, timeout=0.2)
            assert not posting.done()
        assert await answers([posting]) == [1]


async def test_whoever_waits_too_long_is_told_and_may_ask_again(alice, kitchen, held, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.2)
    stuck, waiting = draft(alice, kitchen, "one"), draft(alice, kitchen, "two")
    async with Journal(ignore) as writer:
        postings = [writer.post(stuck)]
        await held.is_at_it()
        postings.append(writer.post(waiting))
        assert await answers(postings) == [Unavailable, Unavailable]
        monkeypatch.setattr(database, "PATIENCE", 8.0)
        held.let_go.set()
        assert await answers([writer.post(waiting), writer.post(stuck)]) == [2, 1]
    assert await said_in(kitchen) == ["one", "two"]


def fails(error: Exception, times: int = 1) -> Callable[..., Any]:
    """A `messaging.post` that fails so many times."""
    failures = iter([error] * times)

    def post(drafts: Sequence[Draft], *, wait: bool = True) -> Any:
        for failure in failures:
            raise failure
        return really_post(drafts, wait=wait)

    return post


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OperationalError("database or disk is full"), StorageFull),
        (OperationalError("database is locked"), Unavailable),
        (OperationalError("the connection is closed"), Unavailable),
        (ZeroDivisionError("a bug"), ChatError),
    ],
    ids=str,
)
async def test_a_failure_is_told_and_the_next_batch_is_stored(
    alice, kitchen, monkeypatch, error, told
):
    monkeypatch.setattr(messaging, "post", fails(error))
    once = draft(alice, kitchen)
    async with Journal(ignore) as journal:
        assert await answers([journal.post(once)] * 2) == [told, told]
        assert await answers([journal.post(once)]) == [1]


@sqlite_only
async def test_a_disk_that_is_full_is_told_and_recovered_from(alice, kitchen):
    def fill_the_disk() -> None:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM")
            [pages] = cursor.execute("PRAGMA page_count").fetchone()
            cursor.execute(f"PRAGMA max_page_count = {pages}")

    long = [draft(alice, kitchen, "x" * 4000) for _ in range(10)]
    async with Journal(ignore) as journal:
        await journal.run(fill_the_disk)
        assert set(await answers([journal.post(one) for one in long])) == {StorageFull}
        assert await said_in(kitchen) == []
        # The limit was that of the connection, which has been closed: there is room again.
        assert await answers([journal.post(one) for one in long]) == list(range(1, 11))


# A room that another transaction holds


class StuckRoom:
    """Stands in for `messaging.post` while another transaction holds one of the rooms."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.freed = Event()

    def __call__(self, drafts: Sequence[Draft], *, wait: bool = True) -> Any:
        if wait:
            assert self.freed.wait(20), "nobody freed the room"
        free = self.freed.is_set()
        placed = iter(really_post([d for d in drafts if free or not self._holds(d)]))
        return [next(placed) if free or not self._holds(d) else RoomBusy() for d in drafts]

    def _holds(self, draft: Draft) -> bool:
        return draft.room_id == self._room.pk


@pytest.fixture
def stuck(kitchen: Room, monkeypatch: pytest.MonkeyPatch) -> Iterator[StuckRoom]:
    """Somebody holds the kitchen. Only PostgreSQL can tell, and has threads for it."""
    stuck = StuckRoom(kitchen)
    monkeypatch.setattr(messaging, "post", stuck)
    monkeypatch.setattr(journal, "connection", SimpleNamespace(vendor="postgresql"))
    yield stuck
    stuck.freed.set()


async def test_a_stuck_room_does_not_hold_up_the_others(alice, kitchen, lobby, stuck):
    async with Journal(ignore) as journal:
        waiting = journal.post(draft(alice, kitchen, "stuck"))
        for n in range(1, 4):
            assert await answers([journal.post(draft(alice, lobby))]) == [n]
        assert not waiting.done()
        stuck.freed.set()
        assert await answers([waiting]) == [1]


async def test_a_stuck_room_keeps_its_order(alice, kitchen, lobby, stuck):
    async with Journal(ignore) as journal:
        postings = []
        for n in range(12):
            postings.append(journal.post(draft(alice, kitchen, str(n))))
            if n % 4 == 0:
                await journal.post(draft(alice, lobby))
        stuck.freed.set()
        assert await answers(postings) == list(range(1, 13))
        assert await answers([journal.post(draft(alice, kitchen, "12"))]) == [13]
    assert await said_in(kitchen) == [str(n) for n in range(13)]


async def test_a_stuck_room_keeps_its_order_while_more_waits_than_a_batch_takes(
    alice, kitchen, lobby, stuck, monkeypatch
):
    monkeypatch.setattr(journal, "BATCH", 1)
    async with Journal(ignore) as writer:
        first = writer.post(draft(alice, kitchen, "first"))
        elsewhere = [writer.post(draft(alice, lobby)) for _ in range(3)]
        second = writer.post(draft(alice, kitchen, "second"))
        await elsewhere[0]
        third = writer.post(draft(alice, kitchen, "third"))
        await answers(elsewhere)
        stuck.freed.set()
        assert await answers([first, second, third]) == [1, 2, 3]


async def test_whoever_waits_too_long_for_a_stuck_room_is_told(
    alice, kitchen, lobby, stuck, monkeypatch
):
    monkeypatch.setattr(database, "PATIENCE", 0.3)
    once = draft(alice, kitchen)
    async with Journal(ignore) as writer:
        in_vain = [writer.post(once)]
        await writer.post(draft(alice, lobby))
        in_vain.append(writer.post(once))
        assert await answers(in_vain) == [Unavailable, Unavailable]
        monkeypatch.setattr(database, "PATIENCE", 8.0)
        stuck.freed.set()
        assert await answers([writer.post(once)]) == [1]


# The same with a lock that somebody really holds


@contextmanager
def held_rooms(*held: Room) -> Iterator[None]:
    """Another transaction has these rooms, and does not come to an end."""
    locked, let_go = Event(), Event()

    def hold() -> None:
        with closing(connection), transaction.atomic():
            list(Room.objects.select_for_update().filter(pk__in=[room.pk for room in held]))
            locked.set()
            let_go.wait(20)

    with ThreadPoolExecutor(1) as other:
        holding = other.submit(hold)
        try:
            assert locked.wait(5)
            yield
        finally:
            let_go.set()
            holding.result()


@postgresql_only
async def test_a_room_that_is_held_waits_in_its_order_and_the_others_go_on(alice, kitchen, lobby):
    async with Journal(ignore) as journal:
        with held_rooms(kitchen):
            waiting = [journal.post(draft(alice, kitchen, str(n))) for n in range(5)]
            for n in range(1, 6):
                assert await answers([journal.post(draft(alice, lobby))]) == [n]
                waiting.append(journal.post(draft(alice, kitchen, str(n + 4))))
            assert not any(posting.done() for posting in waiting)
        assert await answers(waiting) == list(range(1, 11))
        assert await answers([journal.post(draft(alice, kitchen, "10"))]) == [11]
    assert await said_in(kitchen) == [str(n) for n in range(11)]


@postgresql_only
async def test_who_waits_for_a_held_room_is_told_and_the_others_go_on(
    hurried, alice, kitchen, lobby
):
    once = draft(alice, kitchen)
    async with Journal(ignore) as journal:
        with held_rooms(kitchen):
            for n in (1, 2):
                waiting = journal.post(once)
                assert await answers([journal.post(draft(alice, lobby))]) == [n]
                assert await answers([waiting]) == [Unavailable]
        assert await answers([journal.post(once)]) == [1]


@postgresql_only
async def test_more_rooms_may_be_held_than_there_are_threads_for_them(alice, kitchen, lobby):
    stuck = await database_sync_to_async(
        lambda: [rooms.create(alice, f"Room {n}") for n in range(2 * journal.SIDE_THREADS)]
    )()
    async with Journal(ignore) as writer:
        with held_rooms(*stuck):
            waiting = [writer.post(draft(alice, room)) for room in stuck]
            assert await answers([writer.post(draft(alice, lobby))]) == [1]
            assert await answers([writer.post(draft(alice, kitchen))]) == [1]
        assert await answers(waiting) == [1] * len(stuck)


# Other verbs


async def test_other_verbs_are_run_as_they_are(alice, kitchen):
    async with Journal(ignore) as journal:
        await journal.post(draft(alice, kitchen, "Hello"))
        message = await journal.run(messaging.edit, alice, kitchen.pk, 1, body="Goodbye")
        assert (message.body, message.rev) == ("Goodbye", 2)
        with pytest.raises(NotFound):
            await journal.run(messaging.delete, alice, kitchen.pk, 2)


async def test_a_verb_that_hangs_is_unavailable_after_a_while(monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    done = Event()
    async with Journal(ignore) as writer:
        with pytest.raises(Unavailable):
            await writer.run(done.wait, 20)
        done.set()


async def test_a_verb_that_the_database_refuses_is_unavailable():
    def fail() -> None:
        raise OperationalError("the connection is closed")

    async with Journal(ignore) as journal:
        with pytest.raises(Unavailable):
            await journal.run(fail)


# The end


async def test_what_waits_is_stored_before_the_journal_ends(alice, kitchen):
    async with Journal(ignore) as journal:
        postings = [journal.post(draft(alice, kitchen, str(n))) for n in range(20)]
    assert await answers(postings) == list(range(1, 21))


async def test_whoever_still_waits_when_the_journal_ends_is_told(alice, kitchen, held, monkeypatch):
    async with Journal(ignore) as writer:
        postings = [writer.post(draft(alice, kitchen))]
        await held.is_at_it()
        postings.append(writer.post(draft(alice, kitchen)))
        monkeypatch.setattr(database, "PATIENCE", 0.1)
        asyncio.get_running_loop().call_later(0.3, held.let_go.set)
    assert await answers(postings) == [Unavailable, Unavailable]


async def test_whoever_does_not_wait_for_the_answer_disturbs_nobody(alice, kitchen, held):
    async with Journal(ignore) as journal:
        gone, there = (journal.post(draft(alice, kitchen, body)) for body in ("gone", "there"))
        gone.cancel()
        held.let_go.set()
        assert await answers([there]) == [2]
    assert await said_in(kitchen) == ["gone", "there"]
