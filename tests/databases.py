"""Databases for real servers: each test has one of its own, on the stack that the tests run on.

A file of SQLite or, if DATABASE_URL names a PostgreSQL, a database there. Each is a copy of
another, which nobody may be using meanwhile.
"""

import os
import secrets
import shutil
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg


class Database(ABC):
    """What servers are told as DATABASE_URL, and what an operator does to it."""

    url: str

    @abstractmethod
    def query(self, statement: str) -> list[Any]:
        """The rows that one statement brings."""

    @abstractmethod
    def away(self) -> AbstractContextManager[None]:
        """Meanwhile nobody can connect, and whoever was connected is cut off."""

    @abstractmethod
    def back_up(self) -> Self:
        """A copy; servers may be using the original, but must not write to it."""

    @abstractmethod
    def restore(self, backup: Self) -> None:
        """Let a backup take the place of the original, while servers are using it."""


class SQLiteFile(Database):
    def __init__(self, file: Path) -> None:
        file.parent.mkdir(exist_ok=True)
        self.file = file
        self.url = f"sqlite:///{file}"

    def query(self, statement: str) -> list[Any]:
        with closing(sqlite3.connect(self.file)) as connection:
            return connection.execute(statement).fetchall()

    @contextmanager
    def away(self) -> Iterator[None]:
        there = self.file.parent
        elsewhere = there.rename(there.with_name("elsewhere"))
        try:
            yield
        finally:
            elsewhere.rename(there)

    def back_up(self) -> Self:
        backup = type(self)(self.file.with_name("backup.sqlite3"))
        self.query(f"VACUUM INTO '{backup.file}'")
        return backup

    def restore(self, backup: Self) -> None:
        for beside in ("-wal", "-shm"):
            Path(f"{self.file}{beside}").unlink(missing_ok=True)
        backup.file.replace(self.file)


class PostgreSQLDatabase(Database):
    def __init__(self, server: str, name: str) -> None:
        self.name = name
        self.url = urlsplit(server)._replace(path=f"/{name}").geturl()
        self._server = server

    def query(self, statement: str) -> list[Any]:
        return _execute(self.url, statement)

    @contextmanager
    def away(self) -> Iterator[None]:
        self._administer(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS false")
        self._administer(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            f" WHERE datname = '{self.name}'"
        )
        try:
            yield
        finally:
            self._administer(f"ALTER DATABASE {self.name} ALLOW_CONNECTIONS true")

    def back_up(self) -> Self:
        backup = type(self)(self._server, f"{self.name}_backup")
        with self.away():  # what somebody is connected to cannot be copied
            backup.create(self.name)
        return backup

    def restore(self, backup: Self) -> None:
        self.drop()
        self._administer(f"ALTER DATABASE {backup.name} RENAME TO {self.name}")

    def create(self, template: str) -> None:
        self._administer(f"CREATE DATABASE {self.name} TEMPLATE {template}")

    def drop(self) -> None:
        self._administer(f"DROP DATABASE {self.name} WITH (FORCE)")

    def _administer(self, statement: str) -> None:
        _execute(self._server, statement)


def _execute(url: str, statement: str) -> list[Any]:
    """Outside of any transaction."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


@contextmanager
def database(home: Path, like: Database | None = None) -> Iterator[Database]:
    """A database that is empty, or a copy; it ends with the context, whoever is using it."""
    server = os.environ.get("DATABASE_URL", "")
    if not server.startswith("postgres"):
        file = SQLiteFile(home / "database" / "db.sqlite3")
        if isinstance(like, SQLiteFile):
            shutil.copy(like.file, file.file)
        yield file
        return
    ours = PostgreSQLDatabase(server, f"roost_{secrets.token_hex(6)}")
    ours.create(like.name if isinstance(like, PostgreSQLDatabase) else "template1")
    try:
        yield ours
    finally:
        ours.drop()
