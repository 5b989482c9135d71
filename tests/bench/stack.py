"""What the chat runs on while it is measured, and how much of the machine each part takes."""

import os
import secrets
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.bench.stock import Stock, stocked
from tests.servers import ROOST, Server, environment, manage
from tests.stacks import PostgreSQL, Valkey


@dataclass(frozen=True)
class Stack:
    """A database that has been stocked, and perhaps a channel layer between processes."""

    name: str
    home: Path
    env: dict[str, str]
    stock: Stock
    database: PostgreSQL | None = None
    layer: Valkey | None = None

    def server(self, command: Sequence[str] = ROOST) -> Server:
        return Server(self.home / "log", self.env, command)

    def stopwatch(self, server: Server) -> "Stopwatch":
        """Started now, over the server, the daemons and ourselves."""
        parts = {"server": server, "PostgreSQL": self.database, "Valkey": self.layer}
        processes = {name: part.process for name, part in parts.items() if part}
        return Stopwatch({name: process.pid for name, process in processes.items() if process})

    def counted(self, statement: str) -> dict[str, int]:
        """What the database itself counts, whoever stored it."""
        assert self.database is not None
        return dict(self.database.execute(statement, "roost"))


@contextmanager
def sqlite(home: Path) -> Iterator[Stack]:
    """One process on SQLite, with the in-memory layer."""
    home.mkdir()
    env = _prepared(environment(home))
    yield Stack("SQLite, in-memory layer", home, env, stocked(env))


@contextmanager
def production(home: Path) -> Iterator[Stack]:
    """One process on PostgreSQL, with Valkey."""
    with PostgreSQL(home / "postgresql") as database, Valkey(home / "valkey") as layer:
        [[fsync]] = database.execute("SHOW fsync")
        env = _prepared(environment(home, DATABASE_URL=database.url, REDIS_URL=layer.url))
        name = f"PostgreSQL (fsync {fsync}), Valkey"
        yield Stack(name, home, env, stocked(env), database, layer)


def _prepared(env: dict[str, str]) -> dict[str, str]:
    """As in production: with DEBUG on, Django remembers thousands of queries."""
    secret = {"SECRET_KEY": secrets.token_hex(32), "ALLOWED_HOSTS": "127.0.0.1"}
    env = env | secret | {"DEBUG": "0", "LOG_LEVEL": "CRITICAL"}
    manage(env, "migrate", "--verbosity", "0")
    return env


class Stopwatch:
    """Counts seconds, and the processor time that these processes and we use meanwhile."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = pids
        self._used = self._read()
        self._began = time.perf_counter()

    def stop(self) -> tuple[float, dict[str, float]]:
        """The seconds that it took, and how many cores each was busy on."""
        took = time.perf_counter() - self._began
        used = self._read()
        return took, {name: (used[name] - self._used[name]) / took for name in used}

    def _read(self) -> dict[str, float]:
        ticks: dict[int, int] = {}
        children: dict[int, list[int]] = defaultdict(list)
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                fields = stat.read_text().rpartition(")")[2].split()
                pid = int(stat.parent.name)
                ticks[pid] = sum(map(int, fields[11:15]))  # its own, and of children that ended
                children[int(fields[1])].append(pid)

        def used(pid: int) -> int:
            return ticks[pid] + sum(map(used, children[pid]))

        second = os.sysconf("SC_CLK_TCK")
        theirs = {name: used(pid) / second for name, pid in self._pids.items()}
        return theirs | {"load generator": time.process_time()}
