"""The database: whether it answers, keeps what it is given, and has room for all workers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error, NotSupportedError, connection
from django.utils import timezone

from .. import conf
from ..complaints import in_words
from ..health import missing_migrations
from ..journal import SIDE_THREADS
from ..rows import moment
from ..rows import now as database_time
from ..switchboard import READERS
from ..watch import THREADS
from .findings import Finding, doubtful, number, ok, wrong
from .network import obstacle

OWN_CONNECTIONS = 1 + SIDE_THREADS + READERS + THREADS  # of a worker; the first is the journal's
LATE, TOO_LATE = 2.0, 30.0  # seconds between the clocks
MEANINGS = (  # of what PostgreSQL says when somebody connects, where it says it in English
    ("password authentication failed", "it refuses the user's name or password"),
    ("no password supplied", "it asks for a password"),
    ("does not exist", "it knows no such database, or no such user"),
    ("too many", "all of its connections are taken"),
    ("remaining connection slots", "all of its connections are taken"),
    ("no pg_hba.conf entry", "it lets nobody in from here (pg_hba.conf)"),
    ("timeout expired", "it takes connections and answers nothing"),
    ("starting up", "it is starting"),
    ("shutting down", "it is shutting down"),
    ("recovery mode", "it is recovering from a crash"),
    ("unsupported startup parameter", "PgBouncer does not know what we ask for at first"),
    ("ssl", "the two cannot agree on TLS"),
)
REMEDIES = {
    "it refuses the user's name or password": "Correct DATABASE_URL; in a password @ is written"
    " %40, / %2F, : %3A.",
    "it knows no such database, or no such user": "Make it (CREATE DATABASE …, CREATE ROLE …), or"
    " correct DATABASE_URL.",
    "all of its connections are taken": "Raise max_connections, or run fewer workers.",
    "PgBouncer does not know what we ask for at first": "Set ignore_startup_parameters = options"
    " in pgbouncer.ini.",
}
START = "Start it, or correct DATABASE_URL. Until then nothing is stored or shown."
TIMEOUTS = ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")


# Whether it answers


def reach() -> Iterator[Finding]:
    """One finding: the database, or why there is none."""
    if connection.vendor == "sqlite" and not Path(address()).exists():
        yield wrong(f"There is no {address()}.", "Run manage.py migrate, or correct DATABASE_URL.")
        return
    try:
        obstacles = [why for host, port in _servers() if (why := obstacle(host, port))]
        if obstacles and len(obstacles) == len(_servers()):
            yield wrong(f"{address()} cannot be reached: {'; '.join(obstacles)}.", START)
            return
        connection.ensure_connection()
    except NotSupportedError as error:
        yield wrong(f"{address()} is too old: {error}", "Upgrade it.")
    except Error as error:
        meaning = _meaning(error)
        yield wrong(f"{address()} does not let us in: {meaning}.", REMEDIES.get(meaning, START))
    else:
        version = ".".join(map(str, connection.get_database_version()))
        name = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}.get(
            connection.vendor, connection.vendor
        )
        yield ok(f"{name} {version} at {address()}.")


def address() -> str:
    """As an operator knows it; without a password."""
    database = connection.settings_dict
    if connection.vendor == "sqlite":
        return str(database["NAME"])
    host = database["HOST"] or "this machine's socket"
    return f"{host}:{database['PORT'] or 5432}/{database['NAME']}"


def _servers() -> list[tuple[str, int]]:
    """Where a network leads to them; libpq takes several, and tries one after the other."""
    database = connection.settings_dict
    hosts = str(database["HOST"] or "").split(",")
    ports = str(database["PORT"] or 5432).split(",")
    if connection.vendor != "postgresql":
        return []
    ports = ports * len(hosts) if len(ports) == 1 else ports
    return [
        (host, int(port))
        for host, port in zip(hosts, ports, strict=False)
        if host and not host.startswith("/")
    ]


def _meaning(error: Error) -> str:
    said = str(error).lower()
    return next((meaning for words, meaning in MEANINGS if words in said), in_words(error))


# What it is like


def look() -> Iterator[Finding]:
    if connection.vendor == "postgresql":
        yield from _postgresql()
    else:
        yield from _sqlite()


def compare_migrations() -> Iterator[Finding]:
    if missing := missing_migrations():
        yield wrong(
            f"{number(missing, 'migration')} to be applied: tables are not what this code expects.",
            "Run manage.py migrate.",
        )
    else:
        yield ok("All migrations are applied.")


def _sqlite() -> Iterator[Finding]:
    journal_mode, synchronous = _ask("PRAGMA journal_mode"), int(_ask("PRAGMA synchronous"))
    told = f"journal_mode is {journal_mode}, synchronous {synchronous}"
    if synchronous < 2 or journal_mode in ("off", "memory"):
        remedy = "Write PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL as init_command."
        yield wrong(f"{told}: a power cut can lose what was acknowledged.", remedy)
    elif journal_mode != "wal":
        remedy = "Put the file on a local disk: a network file system takes no WAL."
        yield doubtful(f"{told}: whoever reads waits for whoever writes.", remedy)
    else:
        yield ok(f"{told}: what is acknowledged is on disk.")


def _postgresql() -> Iterator[Finding]:
    yield _durability()
    yield _room()
    yield _clock()
    behind_pgbouncer = _is_behind_pgbouncer()
    if off := [name for name in TIMEOUTS if _ask(f"SHOW {name}") == "0"]:
        yield doubtful(
            f"No {', '.join(off)}: whatever hangs holds up others for ever.",
            "Set them by ALTER ROLE … SET …: PgBouncer drops what DATABASE_URL says of them."
            if behind_pgbouncer
            else "Set them in DATABASE_URL as project/settings.py does, or by ALTER ROLE … SET ….",
        )
    if behind_pgbouncer and not connection.settings_dict["DISABLE_SERVER_SIDE_CURSORS"]:
        yield doubtful(
            "PgBouncer, or something like it, is between: in transaction mode cursors get lost.",
            "Add ?disable_server_side_cursors=true to DATABASE_URL.",
        )


def _durability() -> Finding:
    told = {name: _ask(f"SHOW {name}") for name in ("fsync", "full_page_writes")}
    told["synchronous_commit"] = _ask("SHOW synchronous_commit")
    off = [name for name, value in told.items() if value == "off"]
    if "fsync" in off:
        return wrong(
            "fsync is off: a power cut can destroy the whole database.",
            "Take it out of postgresql.conf.",
        )
    if off:
        return doubtful(
            f"{' and '.join(off)} off: a crash of its machine can lose what was acknowledged.",
            "Switch on in postgresql.conf, or for our role, unless you accept that.",
        )
    return ok("fsync, full_page_writes and synchronous_commit are on.")


def _room() -> Finding:
    """For connections. A worker opens most of its own only when it has much to do."""
    most = int(_ask("SHOW max_connections")) - int(_ask("SHOW superuser_reserved_connections"))
    limit = int(_ask("SELECT rolconnlimit FROM pg_roles WHERE rolname = CURRENT_USER"))
    most = min(most, limit) if limit >= 0 else most
    taken = int(_ask("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
    workers, each = conf.workers(), OWN_CONNECTIONS + _pool()
    needed = workers * each
    told = (
        f"{number(workers, 'worker')} may need {needed} connections ({each} each);"
        f" {most} are to be had, {taken} taken now."
    )
    if needed <= most:
        return ok(told)
    remedy = f"Set max_connections to {needed + 20} at least, or put PgBouncer between."
    return (wrong if workers * OWN_CONNECTIONS > most else doubtful)(told, remedy)


def _pool() -> int:
    pool = settings.DATABASES["default"].get("OPTIONS", {}).get("pool")
    return int(pool.get("max_size") or pool.get("min_size") or 4) if isinstance(pool, dict) else 4


def _clock() -> Finding:
    before = datetime.now(UTC)
    theirs = moment(_ask(f"SELECT {database_time()}"))
    after = datetime.now(UTC)
    seconds = abs((theirs - before - (after - before) / 2).total_seconds())
    told = f"Its clock and this machine's are {seconds:.1f} seconds apart."
    remedy = "Keep time on both by NTP (timedatectl set-ntp true)."
    if seconds > TOO_LATE:
        return wrong(told, remedy)
    return doubtful(told, remedy) if seconds > LATE else ok(told)


def _is_behind_pgbouncer() -> bool:
    """Whoever is between tells a process of its own, not the one that answers."""
    told = getattr(getattr(connection.connection, "info", None), "backend_pid", None)
    return told not in (None, int(_ask("SELECT pg_backend_pid()")))


def _ask(statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        [value] = cursor.fetchone()
    return value


# All of it


def read_all() -> Iterator[Finding]:
    """Whether what is stored can still be read, and heads are what their messages say."""
    if connection.vendor == "sqlite":
        began = timezone.now()
        said = str(_ask("PRAGMA quick_check(1)"))
        took = (timezone.now() - began).total_seconds()
        if said != "ok":
            yield wrong(f"The file is damaged: {said}", "Restore a backup: docs/operations.md.")
        else:
            yield ok(f"The file is sound (read in {took:.0f} s).")
    untrue = int(
        _ask(
            "SELECT count(*) FROM chat_room r LEFT JOIN (SELECT room_id, max(rev) AS rev,"
            " max(seq) AS seq FROM chat_message GROUP BY room_id) m ON m.room_id = r.id"
            " WHERE coalesce(m.rev, 0) > r.rev OR coalesce(m.seq, 0) > r.seq"
        )
    )
    if untrue:
        yield wrong(
            f"{number(untrue, 'room')} with messages beyond the head: nobody would see them.",
            "Restore a backup: docs/operations.md.",
        )
    else:
        yield ok("No message lies beyond the head of its room.")
