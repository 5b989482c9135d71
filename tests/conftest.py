"""Alice and bob share a kitchen; charlie may not see it."""

import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client, TransactionTestCase

from chat import authentication, limits, rooms, watch
from chat.consumers import ChatConsumer
from chat.limits import Limits
from chat.models import Room
from chat.worker import Worker
from tests import databases
from tests.conversation import crowd, say_much
from tests.databases import Database
from tests.failures import impatience
from tests.servers import ROOST, Server, environment, manage
from tests.stacks import Missing, PostgreSQL, Valkey

PASSWORD = "demo"

# On a busy machine anything may take its time.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


# Two stacks: SQLite and a layer in memory; PostgreSQL and Redis, by `python -m tests.stacks pytest`


def pytest_report_header() -> str:
    layer = settings.CHANNEL_LAYERS["default"]["BACKEND"].rpartition(".")[2]
    return f"stack: {connection.vendor}, {layer}"


# Files that take longest: begun last, each would be waited for alone when all others are done.
LONGEST = [
    *("test_chat", "test_workers", "test_examples", "test_supervisor", "test_end_to_end"),
    "test_accessibility",
    *("test_server", "test_announcements", "test_switchboard", "test_api_end_to_end", "test_site"),
    *("test_api_schema", "test_shutdown", "test_state_machine", "test_consumers"),
]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The second stack is for what touches a database or a layer; browsers say the same on both."""
    items.sort(key=_turn)
    if connection.vendor == "sqlite":
        return
    config.hook.pytest_deselected(items=[item for item in items if not _uses_a_stack(item)])
    items[:] = filter(_uses_a_stack, items)


def _turn(item: pytest.Item) -> int:
    """Of its file; the others stay in order, and so do the tests of each."""
    return LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST)


def _uses_a_stack(item: pytest.Item) -> bool:
    fixtures = {*getattr(item, "fixturenames", ())}
    if "chromium" in fixtures:
        return False
    stored = fixtures & {"db", "transactional_db", "database"}
    return bool(stored) or item.get_closest_marker("django_db") is not None


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite in a file: threads of their own cannot share one in memory."""
    if connection.vendor == "sqlite":
        file = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connection.settings_dict["TEST"]["NAME"] = str(file)


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """PostgreSQL drops no database to which a thread that has been forgotten is connected."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture(scope="session", autouse=True)
def quick_flush() -> Iterator[None]:
    """After a test with transactions of its own. Django's flush costs more than most tests."""
    with patch.object(TransactionTestCase, "_fixture_teardown", _empty_tables):
        yield


def _empty_tables(_: TransactionTestCase) -> None:
    """Of all but what `migrate` has filled, and flush would make anew: types and permissions."""
    kept = {ContentType._meta.db_table, Permission._meta.db_table}
    # Constraints are looked at when the transaction ends: the order does not matter.
    with transaction.atomic(), connection.cursor() as cursor:
        for table in connection.introspection.django_table_names():
            if table not in kept:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def rested(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has asked for anything over HTTP yet: users of other tests have the same keys."""
    monkeypatch.setattr(limits, "HERE", Limits())


def user(name: str) -> Any:
    return get_user_model().objects.create_user(name, password=PASSWORD)


@pytest.fixture
def alice(db: None) -> Any:
    return user("alice")


@pytest.fixture
def bob(db: None) -> Any:
    return user("bob")


@pytest.fixture
def charlie(db: None) -> Any:
    return user("charlie")


@pytest.fixture
def as_alice(client: Client, alice: Any) -> Client:
    """A browser without JavaScript in which she is logged in."""
    client.force_login(alice)
    return client


@pytest.fixture
def as_charlie(client: Client, charlie: Any) -> Client:
    client.force_login(charlie)
    return client


@pytest.fixture
def kitchen(alice: Any, bob: Any) -> Room:
    return rooms.create(alice, "Kitchen", members=[bob])


@pytest.fixture
def garden(alice: Any) -> Room:
    """A group that anybody may join."""
    return rooms.create(alice, "Garden", open=True)


@pytest.fixture
def station(alice: Any) -> Room:
    """A room like the kitchen, but with three hundred people and as many messages."""
    room = rooms.create(alice, "Station")
    crowd(room, 300)
    say_much(alice, room, 300)
    return room


@pytest.fixture
def lobby(db: None) -> Room:
    return rooms.everyone()


def token(user: Any) -> str:
    return authentication.issue_token(user)[0]


# With a worker: the database is shared between threads, hence `transactional_db`, which must come
# before the users: name it first.


@pytest.fixture
def tokens(
    transactional_db: None, alice: Any, bob: Any, charlie: Any, kitchen: Room
) -> dict[str, str]:
    """Bearer tokens of alice, bob and charlie."""
    return {user.username: token(user) for user in (alice, bob, charlie)}


@pytest.fixture
async def worker(transactional_db: None, settings: Any) -> AsyncIterator[Worker]:
    settings.CHAT_POST_RATE = 0
    async with Worker() as worker:
        yield worker


@pytest.fixture
def application(worker: Worker) -> Any:
    return serve(worker)


@pytest.fixture
async def other_worker(worker: Worker) -> AsyncIterator[Worker]:
    async with Worker() as other:
        yield other


@pytest.fixture
def elsewhere(other_worker: Worker) -> Any:
    """The same chat, served by another worker."""
    return serve(other_worker)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that look at the database ten times a second. Name it before them."""
    monkeypatch.setattr(watch, "CHECK_EVERY", 0.1)


@pytest.fixture
def hurried() -> Iterator[None]:
    """Nobody waits long for a lock. Name it before workers."""
    with impatience():
        yield


def serve(worker: Worker) -> Any:
    """The chat's consumer on a worker of one's own."""
    consumer = ChatConsumer.as_asgi()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await consumer({**scope, "worker": worker}, receive, send)

    return application


# With real servers, which have the demo's users, rooms and messages


class Daemons(NamedTuple):
    """A stack of one module's own, with the demo, whose servers tests may stop and kill."""

    home: Path
    postgresql: PostgreSQL
    valkey: Valkey
    env: dict[str, str]


@pytest.fixture(scope="module")
def daemons() -> Iterator[Daemons]:
    # Not in pytest's directory: that is closed again to whom PostgreSQL runs as.
    with tempfile.TemporaryDirectory(prefix="roost-") as directory:
        home = Path(directory)
        try:
            valkey, postgresql = Valkey(home / "valkey"), PostgreSQL(home / "postgresql")
        except Missing as missing:
            pytest.skip(str(missing))
        with valkey, postgresql:
            env = environment(home, DATABASE_URL=postgresql.url, REDIS_URL=valkey.url)
            manage(env, "migrate")
            manage(env, "demo")
            yield Daemons(home, postgresql, valkey, env)


@pytest.fixture(scope="session")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    home = tmp_path_factory.mktemp("demo")
    with databases.database(home) as database:
        env = environment(home, DATABASE_URL=database.url)
        manage(env, "migrate")
        manage(env, "demo")
        yield database


@pytest.fixture
def database(demo_database: Database, tmp_path: Path) -> Iterator[Database]:
    """The demo's, as one of this test's own."""
    with databases.database(tmp_path, demo_database) as database:
        yield database


@pytest.fixture
def server_env(database: Database, tmp_path: Path) -> dict[str, str]:
    """Of servers that share this test's database and, on the second stack, its Redis."""
    redis = os.environ.get("REDIS_URL", "")
    return environment(tmp_path, DATABASE_URL=database.url, REDIS_URL=redis)


@pytest.fixture
def command() -> Sequence[str]:
    """What starts a server, after `python`."""
    return ROOST


@pytest.fixture
def server(server_env: dict[str, str], tmp_path: Path, command: Sequence[str]) -> Iterator[Server]:
    with Server(tmp_path / "server.log", server_env, command) as server:
        yield server
    assert "Traceback" not in server.log.read_text()


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell's background job ignores SIGINT, and its children with it: not here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A page that no browser has opened is not tested, and that must not go unnoticed."""
    skipped = terminalreporter.getreports("skipped")
    if any("tests/pages/" in report.nodeid for report in skipped):
        terminalreporter.section("THE PAGE WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line("There is no Chromium here: no browser has opened the chat.")
        terminalreporter.line("On Debian and Ubuntu: apt install chromium", yellow=True)
