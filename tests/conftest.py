"""Alice and bob share a kitchen; charlie may not see it."""

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.contrib.auth import get_user_model
from django.db import connection

from chat import authentication, rooms, watch
from chat.consumers import ChatConsumer
from chat.models import Room
from chat.worker import Worker
from tests.conversation import crowd, say_much
from tests.servers import Server, environment, manage

PASSWORD = "demo"

# On a busy machine anything may take its time.
hypothesis.settings.register_profile(
    "patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("patient")


@pytest.fixture(scope="session")
def django_db_modify_db_settings(tmp_path_factory: pytest.TempPathFactory) -> None:
    """SQLite in a file: threads of their own cannot share one in memory."""
    if connection.vendor == "sqlite":
        file = tmp_path_factory.mktemp("database") / "test.sqlite3"
        connection.settings_dict["TEST"]["NAME"] = str(file)


@pytest.fixture(autouse=True)
def quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


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
def kitchen(alice: Any, bob: Any) -> Room:
    return rooms.create(alice, "Kitchen", members=[bob])


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


def serve(worker: Worker) -> Any:
    """The chat's consumer on a worker of one's own."""
    consumer = ChatConsumer.as_asgi()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await consumer({**scope, "worker": worker}, receive, send)

    return application


# With real servers, which have the demo's users, rooms and messages


@pytest.fixture(scope="session")
def demo_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("demo")
    manage(environment(home), "migrate")
    manage(environment(home), "demo")
    return home / "db.sqlite3"


@pytest.fixture
def server_env(demo_database: Path, tmp_path: Path) -> dict[str, str]:
    """Of servers that share a database of this test's own."""
    shutil.copy(demo_database, tmp_path)
    return environment(tmp_path)


@pytest.fixture
def server(server_env: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "server.log", server_env) as server:
        yield server
    assert "Traceback" not in server.log.read_text()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A page that no browser has opened is not tested, and that must not go unnoticed."""
    skipped = terminalreporter.getreports("skipped")
    if any("test_page.py" in report.nodeid for report in skipped):
        terminalreporter.section("THE PAGE WAS NOT TESTED", sep="!", red=True, bold=True)
        terminalreporter.line("There is no Chromium here: no browser has opened the chat.")
        terminalreporter.line("On Debian and Ubuntu: apt install chromium", yellow=True)
