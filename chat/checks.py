"""What Django's `check` says about settings with which the chat could not keep its promises.

What makes a site unsafe, though the chat would work, is in `deployment.py`. No message shows what
may hold a secret.
"""

import logging
import re
import sys
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CRITICAL, CheckMessage, Error, Warning, register
from django.db import connection
from django.utils.module_loading import import_string

from . import conf, deployment, origins

logger = logging.getLogger(__name__)

SESSION_ENGINES = (
    "django.contrib.sessions.backends.db",
    "django.contrib.sessions.backends.cached_db",
)
PER_SECOND = "It counts posts per second and user; 0 means no limit."
PEOPLE = "Count those who share an address, as in an office; 0 means no limit by address."
SECONDS = "It counts seconds of silence; 15 suit most proxies."
DAYS = "It counts days after which manage.py purge lets go of messages; 0: never."
PROCESSES = "Count the worker processes of all machines."
MACHINES = "Count the machines that workers run on."
NUMBERS = (
    ("chat.E002", "CHAT_POST_RATE", conf.post_rate, 0, 1_000_000, PER_SECOND),
    ("chat.E003", "CHAT_HEARTBEAT", conf.heartbeat, 0.01, 3_600, SECONDS),
    ("chat.E004", "CHAT_WORKERS", conf.workers, 1, 10_000, PROCESSES),
    ("chat.E016", "CHAT_PEOPLE_PER_ADDRESS", conf.people_per_address, 0, 1_000_000, PEOPLE),
    ("chat.E019", "CHAT_KEEP_DAYS", conf.keep_days, 0, 36_500, DAYS),
    ("chat.E005", "CHAT_MACHINES", conf.machines, 1, 10_000, MACHINES),
)
SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
}
IN_MEMORY_LAYER = "channels.layers.InMemoryChannelLayer"
REDIS_LAYER = "channels_redis.pubsub.RedisPubSubChannelLayer"


def insist() -> None:
    """Before anybody connects: exit with a line for whatever is wrong, or log what is doubtful.

    Wrong is what `manage.py check` calls an error, and with DEBUG off whatever is critical.
    """
    found = [(message, message.level >= CRITICAL) for message in check_deployment()]
    found += [(message, message.is_serious()) for message in check_settings()]
    audible = [(message, wrong) for message, wrong in found if not message.is_silenced()]
    if refusals := [_line(message) for message, wrong in audible if wrong]:
        sys.exit("\n".join(refusals))
    for message, _ in audible:
        logger.log(message.level, _line(message))


def _line(message: CheckMessage) -> str:
    return f"{message.msg} {message.hint} ({message.id})"


@register("chat")
def check_settings(**_: Any) -> list[CheckMessage]:
    return [
        *_sessions(),
        *_numbers(),
        *_signup(),
        *_origins(),
        *_networks(),
        *_database(),
        *_layer(),
    ]


@register("chat", deploy=True)
def check_deployment(**_: Any) -> list[CheckMessage]:
    return list(deployment.dangers())


def _sessions() -> Iterator[CheckMessage]:
    if settings.SESSION_ENGINE not in SESSION_ENGINES:
        yield Error(
            "The chat needs sessions in the database: a connection ends with its session's row.",
            hint=f"Set SESSION_ENGINE to one of {', '.join(SESSION_ENGINES)}.",
            id="chat.E001",
        )


def _numbers() -> Iterator[CheckMessage]:
    for id, name, read, lowest, highest, hint in NUMBERS:
        try:
            fits = lowest <= read() <= highest
        except (TypeError, ValueError):
            fits = False
        if not fits:
            yield Error(
                f"{name} is no number from {lowest} to {highest:,}.",
                hint=hint,
                id=id,
            )


def _workers() -> tuple[int, int]:
    """How many, and on how many machines; if that makes no sense, which is told elsewhere, one."""
    try:
        return max(conf.workers(), conf.machines()), conf.machines()
    except TypeError:
        return 1, 1


def _signup() -> Iterator[CheckMessage]:
    if not isinstance(getattr(settings, "CHAT_OPEN_SIGNUP", True), bool):
        yield Error(
            "CHAT_OPEN_SIGNUP is neither True nor False.",  # and the text "False" would be true
            hint="Set it to False if strangers must not make themselves an account.",
            id="chat.E006",
        )


def _origins() -> Iterator[CheckMessage]:
    listed = getattr(settings, "CHAT_ALLOWED_ORIGINS", [])
    if isinstance(listed, str):
        yield Error(
            "CHAT_ALLOWED_ORIGINS is one text instead of a list of them.",
            hint='Put it into brackets: ["https://chat.example.org"].',
            id="chat.E007",
        )
        return
    for origin in map(str, listed):
        if origins.parse(origin) is None or "*" in origin or not origin.isascii():
            yield Error(
                f"{origin.rpartition('@')[2]!r} in CHAT_ALLOWED_ORIGINS is no origin.",
                hint="Write a scheme, a host and perhaps a port, and nothing behind, not even a"
                " slash: https://chat.example.org or http://127.0.0.1:9000.",
                id="chat.E008",
            )


def _networks() -> Iterator[CheckMessage]:
    try:
        if isinstance(listed := getattr(settings, "CHAT_METRICS_FROM", []), str):
            raise TypeError
        for network in listed:
            ip_network(network, strict=False)
    except (TypeError, ValueError):
        yield Error(
            "CHAT_METRICS_FROM is no list of addresses and networks.",
            hint='Write ["127.0.0.1", "10.0.0.0/8"], or leave it out: then who is near may read'
            " /metrics.",
            id="chat.E018",
        )


def _database() -> Iterator[CheckMessage]:
    match connection.vendor:
        case "sqlite":
            yield from _sqlite(connection.settings_dict)
        case "postgresql":
            yield from _postgresql(connection.settings_dict)
        case _:
            yield Error(
                "The chat runs on SQLite or PostgreSQL, and its promises are tested on no other"
                " database.",
                hint="Set the default database's ENGINE to django.db.backends.postgresql.",
                id="chat.E009",
            )
    if connection.settings_dict.get("ATOMIC_REQUESTS"):
        yield Error(
            "ATOMIC_REQUESTS breaks asynchronous views, and the chat has some.",
            hint="Set it to False: the chat opens transactions where it needs them.",
            id="chat.E015",
        )


def _sqlite(database: dict[str, Any]) -> Iterator[CheckMessage]:
    if str(database["NAME"]) == ":memory:":
        yield Error(
            "The database is in memory: each thread has another one, and all end with the process.",
            hint="Name a file: DATABASES['default']['NAME'], or DATABASE_URL=sqlite:////path/to/file.",
            id="chat.E010",
        )
        return
    yield from _sqlite_options(database.get("OPTIONS", {}))
    workers, machines = _workers()
    if machines > 1:
        yield Error(
            "Several machines cannot share an SQLite file.",
            hint="Use PostgreSQL, DATABASE_URL=postgres://user:password@host/name, or one machine.",
            id="chat.E012",
        )
    elif workers > 1:
        yield Warning(
            "Several workers share an SQLite file: they write one after the other, on one machine.",
            hint="That is fine to try it; PostgreSQL is meant for more than one worker.",
            id="chat.W002",
        )


def _sqlite_options(options: dict[str, Any]) -> Iterator[CheckMessage]:
    command = str(options.get("init_command", "")).lower()
    pragmas = dict(re.findall(r"pragma\s+(?:main\.)?(\w+)\s*[=(]\s*[\"']?(\w+)", command))
    synchronous = pragmas.get("synchronous")
    if synchronous in ("off", "normal", "0", "1") or pragmas.get("journal_mode") in (
        "off",
        "memory",
    ):
        yield Error(
            "SQLite is told not to wait for the disk: messages that were acknowledged can be lost.",
            hint='Write "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL" as init_command.',
            id="chat.E011",
        )
    elif not (
        str(options.get("transaction_mode")).upper() in ("IMMEDIATE", "EXCLUSIVE")
        and pragmas.get("journal_mode") == "wal"
        and synchronous in ("full", "extra", "2", "3")
    ):
        yield Warning(
            "SQLite is not set up for people who write at the same time.",
            hint=f'Set DATABASES["default"]["OPTIONS"] = {SQLITE_OPTIONS}.',
            id="chat.W001",
        )


def _postgresql(database: dict[str, Any]) -> Iterator[CheckMessage]:
    options = database.get("OPTIONS", {})
    if database.get("CONN_MAX_AGE") != 0:
        if options.get("pool"):
            yield Error(
                "CONN_MAX_AGE and a pool exclude each other: Django would refuse to connect.",
                hint="Set CONN_MAX_AGE to 0: the pool keeps connections open.",
                id="chat.E013",
            )
        else:
            yield Warning(
                "Under ASGI persistent connections leak until PostgreSQL has none left.",
                hint='Set CONN_MAX_AGE to 0 and DATABASES["default"]["OPTIONS"]["pool"] to True.',
                id="chat.W003",
            )
    if re.search(r"synchronous_commit\s*=\s*(off|false|no|0)\b", str(options.get("options", ""))):
        yield Warning(
            "PostgreSQL is told not to wait for the disk: messages that were acknowledged can be"
            " lost when it crashes.",
            hint="Leave synchronous_commit out of the OPTIONS, unless you accept that.",
            id="chat.W004",
        )


def _layer() -> Iterator[CheckMessage]:
    workers, _ = _workers()
    if workers == 1:
        return
    layer = getattr(settings, "CHANNEL_LAYERS", {}).get("default")
    if not layer:
        yield Warning(
            "Several workers without a channel layer see each other's messages a second late.",
            hint=f"Configure {REDIS_LAYER} in CHANNEL_LAYERS (here: set REDIS_URL).",
            id="chat.W005",
        )
    elif IN_MEMORY_LAYER in _kinds(layer["BACKEND"]):
        yield Error(
            "The channel layer is in the memory of one process, and there are several workers.",
            hint=f"Configure {REDIS_LAYER} in CHANNEL_LAYERS (here: set REDIS_URL).",
            id="chat.E014",
        )


def _kinds(backend: str) -> set[str]:
    """The class and what it is made of."""
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in import_string(backend).__mro__}
