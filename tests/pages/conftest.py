"""Real browsers that open real pages: one server and one log-in for all tests of a file.

What a test says is said in its own words, and once.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from playwright.sync_api import Browser, StorageState

from tests import databases, person
from tests.databases import Database
from tests.person import CHROMIUM, PHONE, Person, somebody
from tests.servers import Server, environment


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium")
    with person.chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def server(demo_database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("page")
    with databases.database(home, demo_database) as database:
        redis = os.environ.get("REDIS_URL", "")
        env = environment(home, DATABASE_URL=database.url, REDIS_URL=redis)
        with Server(home / "server.log", env) as server:
            yield server
    assert "Traceback" not in server.log.read_text()


Enter = Callable[..., AbstractContextManager[Person]]


@pytest.fixture(scope="module")
def a_person(chromium: Browser, server: Server) -> Enter:
    """Opens the chat as somebody, and in the end asks whether the browser had to complain."""
    logged_in: dict[str, StorageState] = {}

    @contextmanager
    def enter(name: str, **device: Any) -> Iterator[Person]:
        if name not in logged_in:
            with somebody(chromium, server.port) as newcomer:
                logged_in[name] = newcomer.log_in(name)
                assert newcomer.complaints == []
        with somebody(
            chromium, server.port, storage_state=logged_in[name], **device
        ) as somebody_else:
            somebody_else.page.goto("/")
            yield somebody_else
            assert somebody_else.complaints == []

    return enter


@pytest.fixture
def alice(a_person: Enter) -> Iterator[Person]:
    with a_person("alice") as alice:
        yield alice


@pytest.fixture
def bob(a_person: Enter) -> Iterator[Person]:
    with a_person("bob") as bob:
        yield bob


@pytest.fixture
def admin(a_person: Enter) -> Iterator[Person]:
    """Who runs the site, at the front page of the admin panel."""
    with a_person("admin") as admin:
        admin.page.goto("/admin/")
        yield admin


@pytest.fixture
def alice_on_a_phone(a_person: Enter) -> Iterator[Person]:
    with a_person("alice", **PHONE) as alice:
        yield alice
