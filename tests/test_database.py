"""Threads of our own for the database, each with a connection of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from django.db import OperationalError, connection, connections
from psycopg_pool import PoolTimeout

from chat.database import DatabaseThreads
from chat.errors import Unavailable
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
