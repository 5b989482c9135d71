"""Nothing else going on: from one browser's post to another's screen."""

import sqlite3
import time
import uuid
from collections.abc import Callable
from contextlib import closing

import psycopg
import uvloop

from tests.bench.stack import Stack
from tests.bench.stock import BODY, ROUNDS
from tests.bench.table import percentile, show
from tests.client import Frame
from tests.servers import Server

POSTS = 200


def measure(stack: Stack) -> None:
    commits = [_commit_times(stack) for _ in range(ROUNDS)]
    with stack.server() as server:
        times = [uvloop.run(_latencies(stack, server)) for _ in range(ROUNDS)]
    print("\n  Idle: from one browser's post to another's screen, ms")
    show("a commit alone, p50", [percentile(t, 50) for t in commits], 1e-3, 2)
    show("post to delivered, p50", [percentile(t, 50) for t in times], 1e-3, 2)
    show("post to delivered, p95", [percentile(t, 95) for t in times], 1e-3, 2)


def _commit_times(stack: Stack) -> list[float]:
    """Of single rows in this database, as durable as ours, in seconds."""
    if stack.database is None:
        file = stack.home / "commits.sqlite3"
        with closing(sqlite3.connect(file, isolation_level=None)) as database:
            database.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL")
            return _timed(database.execute)
    with psycopg.connect(stack.database.url, autocommit=True) as database:
        return _timed(database.execute)


def _timed(execute: Callable[[str], object]) -> list[float]:
    execute("CREATE TABLE IF NOT EXISTS commits (body text)")
    times = []
    for _ in range(POSTS):
        began = time.perf_counter()
        execute(f"INSERT INTO commits VALUES ('{BODY}')")
        times.append(time.perf_counter() - began)
    return times


async def _latencies(stack: Stack, server: Server) -> list[float]:
    """From alice's post to bob's socket, in seconds."""
    times = []
    stock = stack.stock
    async with server.browser(stock.alice) as alice, server.browser(stock.bob) as bob:
        lobby = alice.room("Lobby")
        for n in range(POSTS):
            began = time.perf_counter()
            await alice.send(_post(lobby, f"{n}"))
            await bob.sees(lobby, f"{n}")
            times.append(time.perf_counter() - began)
    return times


def _post(room: str, body: str) -> Frame:
    return {"type": "post", "room": room, "id": str(uuid.uuid4()), "body": body}
