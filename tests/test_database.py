"""Threads of our own for the database, each with a connection of its own."""

import asyncio
import gc
import threading
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from django.db import (
    Error,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
    connections,
    transaction,
)
from psycopg_pool import PoolTimeout

from chat import database
from chat.database import DatabaseThreads
from chat.errors import ChatError, Unavailable
from chat.models import Room
from tests.failures import meanwhile

pytestmark = pytest.mark.django_db(transaction=True)
postgresql_only = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has neither a server nor a pool"
)


@pytest.fixture
async def threads() -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads("test", 1)
    yield threads
    await threads.close()


def session() -> object:
    """The connection to the database itself, below Django's."""
    connection.ensure_connection()
    return connection.connection


def backend() -> int:
    """The process that serves this thread's connection."""
    with connection.cursor() as cursor:
        return int(cursor.execute("SELECT pg_backend_pid()").fetchone()[0])


def terminate(pid: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


async def test_a_thread_keeps_its_connection(threads):
    assert await threads.run(session) is await threads.run(session)


async def test_a_thread_that_was_failed_by_the_database_connects_anew(threads):
    def fail() -> None:
        session()
        raise OperationalError("the connection is closed")

    before = await threads.run(session)
    with pytest.raises(Unavailable):
        await threads.query(fail)
    assert await threads.run(session) is not before


async def test_no_connection_is_left_open():
    threads = DatabaseThreads("test", 3)
    meet = asyncio.Barrier(3)
    loop = asyncio.get_running_loop()

    def open_one() -> object:
        asyncio.run_coroutine_threadsafe(meet.wait(), loop).result(5)  # each on a thread of its own
        return connections["default"], session()

    opened = await asyncio.gather(*(threads.run(open_one) for _ in range(3)))
    assert len({id(own) for _, own in opened}) == 3
    await threads.close()
    assert [wrapper.connection for wrapper, _ in opened] == [None] * 3


@pytest.mark.parametrize("late", [None, OperationalError("the server was stopped")], ids=str)
async def test_whoever_asks_a_database_that_hangs_is_told_and_the_next_are_answered(
    threads, monkeypatch, late
):
    go_on, begun = threading.Event(), []
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, told: complaints.append(told))

    def hang() -> None:
        begun.append("hanging")
        assert go_on.wait(20)
        if late is not None:
            raise late

    monkeypatch.setattr(database, "PATIENCE", 0.3)
    for function in (hang, lambda: begun.append("behind it")):
        with pytest.raises(Unavailable) as told:
            await threads.query(function)
        assert told.value.retry_after_ms > 0
    monkeypatch.setattr(database, "PATIENCE", 20.0)
    await asyncio.sleep(0.01)  # asyncio hands a cancellation on in its next round
    go_on.set()
    assert await threads.query(Room.objects.count) == 0
    assert begun == ["hanging"]  # what nobody waits for is not begun any more
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


async def test_a_long_line_of_waiting_is_no_outage(threads, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.5)
    waiting = [threads.query(time.sleep, 0.1) for _ in range(12)]
    assert await asyncio.gather(*waiting) == [None] * 12


async def test_only_what_may_work_the_next_time_is_called_unavailable(threads, caplog, monkeypatch):
    def fail(error: Error) -> None:
        raise error

    for error in (
        OperationalError("locked"),
        IntegrityError("the sender has been deleted"),
    ):
        with pytest.raises(Unavailable):
            await threads.query(fail, error)
    monkeypatch.setattr(database._mistaken, "_told_at", None)
    caplog.clear()
    with pytest.raises(ChatError) as told:
        await threads.query(fail, ProgrammingError("there is no such column"))
    assert told.value.code == "internal"
    assert "Traceback" in caplog.text


async def test_missing_tables_are_told_in_one_line(threads, caplog, monkeypatch):
    def ask(what: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute(what)

    for asked in ("SELECT 1 FROM nowhere", "SELECT colour FROM chat_room"):
        monkeypatch.setattr(database._outdated, "_told_at", None)
        caplog.clear()
        with pytest.raises(ChatError):
            await threads.query(ask, asked)
        [line] = caplog.text.splitlines()
        assert "manage.py migrate" in line


async def test_a_function_that_runs_out_of_time_by_itself_is_no_outage(threads):
    def fail() -> None:
        raise TimeoutError("a bug")

    with pytest.raises(TimeoutError, match="a bug"):
        await threads.query(fail)


@postgresql_only
async def test_pages_that_have_taken_the_whole_pool_leave_it_its_connection(threads):
    taken = []
    connection.pool.open()
    try:
        with suppress(PoolTimeout):
            while True:
                taken.append(connection.pool.getconn(timeout=0.5))
        assert await threads.query(Room.objects.count) == 0
    finally:
        for of_a_page in taken:
            connection.pool.putconn(of_a_page)


@postgresql_only
async def test_a_thread_does_not_fail_because_the_server_has_restarted_meanwhile(threads):
    before = await threads.run(backend)
    other = DatabaseThreads("other", 1)
    await other.run(terminate, before)
    await other.close()
    assert await threads.query(backend) != before


@postgresql_only
async def test_nothing_may_hang_longer_than_a_client_waits(threads):
    def limits() -> dict[str, object]:
        names = "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"
        with connection.cursor() as cursor:
            server = {name: cursor.execute(f"SHOW {name}").fetchone()[0] for name in names}
        return server | connection.connection.info.get_parameters()

    for limits_there in (await threads.run(limits), await meanwhile(limits)):
        assert limits_there["statement_timeout"] == "10s"
        assert limits_there["lock_timeout"] == "3s"
        assert limits_there["idle_in_transaction_session_timeout"] == "10s"
        assert limits_there["connect_timeout"] == "5"
        assert limits_there["tcp_user_timeout"] == "9000"


@postgresql_only
async def test_a_transaction_that_stood_still_and_was_ended_is_an_outage(threads):
    def stand_still() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 50")
            time.sleep(0.5)
            cursor.execute("SELECT 1")

    with pytest.raises(Unavailable):
        await threads.query(stand_still)
    assert await threads.query(Room.objects.count) == 0


@postgresql_only
async def test_a_database_that_may_only_be_read_is_an_outage(threads):
    def write() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION READ ONLY")
            Room.objects.create(name="Tea")

    with pytest.raises(Unavailable):
        await threads.query(write)
