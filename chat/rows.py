"""Many rows in one statement, whose text does not depend on how many they are.

Django's own has a placeholder for each value, and composing it takes longer than executing it.
PostgreSQL takes a list for each column instead, or JSON; SQLite JSON, or row after row.
"""
# ruff: noqa: S608  # tables and columns are our own

import json
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Model

Row = Sequence[Any]  # a value for each of some columns


def find(
    model: type[Model],
    columns: Sequence[str],
    rows: Collection[Row],
    read: str,
    *,
    join: str = "",
    lock: bool = False,
    skip_locked: bool = False,
) -> list[tuple[Any, ...]]:
    """Read these expressions where the columns have such values, in the order of the keys.

    `n` is the place of the values among those given; `moment` understands times. With `lock`, the
    rows are locked in that order, to be updated; SQLite locked everything when the transaction
    began.
    """
    table = model._meta.db_table
    given = _given(model, tuple(columns))
    ending = ""
    if lock and connection.features.has_select_for_update:
        of = (table,)
        ending = connection.ops.for_update_sql(no_key=True, skip_locked=skip_locked, of=of)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {read} FROM {table} JOIN {given} USING ({', '.join(columns)}) {join}"
            f" ORDER BY {table}.id {ending}",
            _lists(columns, rows),
        )
        return list(cursor.fetchall())


def insert(model: type[Model], columns: Sequence[str], rows: Collection[Row]) -> None:
    """Insert rows, in this order."""
    table, names = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(
                f"INSERT INTO {table} ({names}) VALUES ({places})", _for_sqlite(rows)
            )
            return
        # One text is made faster than lists are. The planner has to guess how many rows it holds;
        # but here is nothing to plan.
        records = [dict(zip(columns, row, strict=True)) for row in rows]
        text = json.dumps(records, default=_for_json, ensure_ascii=False)
        source = f"JSON_POPULATE_RECORDSET(NULL::{table}, %s)"
        cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {source}", [text])


def update(model: type[Model], columns: Sequence[str], rows: Collection[Row]) -> None:
    """Give rows new values; each begins with its key.

    They must have been locked in the order of their keys: an update comes to them in any order.
    """
    table, (key, *others) = model._meta.db_table, columns
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            changes = ", ".join(f"{name} = %s" for name in others)
            statement = f"UPDATE {table} SET {changes} WHERE {key} = %s"
            cursor.executemany(statement, [[*new, pk] for pk, *new in _for_sqlite(rows)])
            return
        changes = ", ".join(f"{name} = given.{name}" for name in others)
        given = _given(model, tuple(columns))
        cursor.execute(
            f"UPDATE {table} SET {changes} FROM {given} WHERE {table}.{key} = given.{key}",
            _lists(columns, rows),
        )


@cache
def _given(model: type[Model], columns: tuple[str, ...]) -> str:
    """A table for FROM with these columns, and `n`. `_lists` are its parameters."""
    if connection.vendor == "sqlite":
        values = [f"JSON_EXTRACT(value, '$[{n}]') AS {name}" for n, name in enumerate(columns)]
        return f"(SELECT key AS n, {', '.join(values)} FROM JSON_EACH(%s)) AS given"
    # Without the length of a varchar: a cast would cut what is longer, and find what it is not.
    types = [
        str(model._meta.get_field(name).db_type(connection)).partition("(")[0] for name in columns
    ]
    lists = ", ".join(f"%s::{name}[]" for name in types)
    names = ", ".join(columns)
    return (
        f"(SELECT place - 1 AS n, {names}"
        f" FROM UNNEST({lists}) WITH ORDINALITY AS list({names}, place)) AS given"
    )


def _lists(columns: Sequence[str], rows: Collection[Row]) -> list[Any]:
    if connection.vendor == "sqlite":
        return [json.dumps(_for_sqlite(rows))]
    return [[row[place] for row in rows] for place in range(len(columns))]


def _for_sqlite(rows: Collection[Row]) -> list[list[Any]]:
    """Values as Django stores them there."""

    def plain(value: Any) -> Any:
        if isinstance(value, UUID):
            return value.hex
        if isinstance(value, datetime):
            return connection.ops.adapt_datetimefield_value(value)
        return value

    return [list(map(plain, row)) for row in rows]


def _for_json(value: object) -> str:
    return rf"\x{value.hex()}" if isinstance(value, bytes) else str(value)


# Times


def now() -> str:
    """The database's time, as an expression."""
    if connection.vendor == "sqlite":
        return "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"
    return "STATEMENT_TIMESTAMP()"


def moment(value: datetime | str) -> datetime:
    """A time that was read. SQLite knows no time zones, and an expression comes as text."""
    time = datetime.fromisoformat(value) if isinstance(value, str) else value
    return time if time.tzinfo else time.replace(tzinfo=UTC)
