"""A server without its database says so, and goes on by itself when it is there again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from uuid import uuid4

import pytest

from chat import serializers
from chat.authentication import by_bearer, issue_ticket
from tests.conversation import say
from tests.databases import Database
from tests.failures import locked_database, meanwhile, unseen_database
from tests.fake_browser import ASGIWire, Browser, browser
from tests.servers import Server

PATIENCE = 60.0  # seconds, for a machine that is busy with something else

USED_TO_BE_LOGGED_IN = f"sessionid={'x' * 32}"


@pytest.fixture
def token(server_env: dict[str, str], tmp_path: Path) -> str:
    """Alice's, of another server that has ended."""
    with Server(tmp_path / "before.log", server_env) as before:
        return before.token("alice")


@pytest.fixture
def roost(server_env: dict[str, str], tmp_path: Path) -> Iterator[Server]:
    """It has not been started yet."""
    roost = Server(tmp_path / "server.log", server_env)
    yield roost
    roost.__exit__()
    assert "Traceback" not in roost.log.read_text()


async def let_in(server: Server, token: str) -> Browser:
    """Connect as browsers do: again, for as long as one is told to come back."""
    async with asyncio.timeout(PATIENCE):
        while True:
            page = await Browser(await server.wire(token).connect()).open()
            if page.closed is None:
                return page
            assert page.of_type("bye")[0]["reconnect"]
            await page.close()
            await asyncio.sleep(0.5)


async def test_a_server_starts_without_its_database_and_has_it_as_soon_as_it_is_there(
    roost: Server, token: str, database: Database
):
    with database.away():
        await asyncio.to_thread(roost.start)
        for path in ("/login/", "/healthz"):
            assert (await get(roost, path))[0] == 200
        status, page = await get(roost, "/", cookie=USED_TO_BE_LOGGED_IN)
        assert status == 503
        assert b"Not available right now" in page
        async with roost.browser(token) as alice:
            assert await alice.ends() == 4000
            [error], [bye] = alice.of_type("error"), alice.of_type("bye")
            assert (error["code"], bye["reconnect"]) == ("unavailable", True)
    alice = await let_in(roost, token)
    assert (await alice.post("Here we are", room=alice.room("Lobby")))["type"] == "posted"
    await alice.close()
    assert (await get(roost, "/", cookie=USED_TO_BE_LOGGED_IN))[0] == 302


async def get(server: Server, path: str, **options: str) -> tuple[int, bytes]:
    return await asyncio.to_thread(server.request, "GET", path, **options)


async def test_who_is_connected_while_the_database_is_away_goes_on_afterwards(
    server: Server, database: Database
):
    async with (
        server.browser(server.token("alice")) as alice,
        server.browser(server.token("bob")) as bob,
    ):
        lobby, id = alice.room("Lobby"), str(uuid4())
        await alice.post("Before", room=lobby)
        with database.away():
            answer = await alice.post("Meanwhile", room=lobby, id=id)
            assert answer["code"] == "unavailable"
            assert answer["retry_after_ms"] > 0
            assert (await bob.ask("history", room=lobby))["code"] == "unavailable"
            assert (await bob.ask("ping"))["type"] == "pong"
        assert (await alice.post("Meanwhile", room=lobby, id=id))["type"] == "posted"
        await alice.post("Afterwards", room=lobby)
        await bob.sees(lobby, "Before", "Meanwhile", "Afterwards")


# A database that answers too late


async def test_what_the_database_says_while_nothing_may_be_shown_is_not_shown(
    application, worker, tokens, bob, kitchen, monkeypatch
):
    await meanwhile(say, bob, kitchen, "Seen in time")
    look, looking, go_on = serializers.history_line, Event(), Event()

    def look_late(*args: Any) -> str:
        line = look(*args)
        looking.set()
        assert go_on.wait(20)
        return line

    async with browser(application, tokens["bob"]) as page:
        monkeypatch.setattr(serializers, "history_line", look_late)
        asking = asyncio.create_task(page.ask("history", room=kitchen.pk))
        assert await asyncio.to_thread(looking.wait, 20)
        with unseen_database():
            worker.switchboard.go_blind()
            go_on.set()
            refused = await asking
        assert (refused["type"], refused["code"]) == ("error", "unavailable")
        assert refused["retry_after_ms"] > 0


# A lock that somebody holds for too long

WRITES: dict[str, dict[str, Any]] = {
    "post": {"id": "00000000-0000-4000-8000-000000000001", "body": "Hello"},
    "edit": {"seq": 1, "body": "Goodbye"},
    "delete": {"seq": 1},
    "read": {"seq": 1},
    "leave": {},
    "open": {"to": "charlie"},
    "join": {},
}


async def test_while_the_database_is_locked_whatever_writes_is_unavailable_and_no_more_than_that(
    hurried, application, tokens, bob, kitchen
):
    await meanwhile(say, bob, kitchen, "Locked out")
    async with browser(application, tokens["bob"]) as page:
        with locked_database():
            for kind, fields in WRITES.items():
                where = {} if kind == "open" else {"room": kitchen.pk}
                error = await page.ask(kind, **where, **fields)
                assert (error["type"], error["code"]) == ("error", "unavailable"), kind
                assert error["retry_after_ms"] > 0
            assert (await page.ask("history", room=kitchen.pk))["type"] == "history"
        for kind in ("edit", "leave"):
            assert (await page.ask(kind, room=kitchen.pk, **WRITES[kind]))["type"] == "ok"


async def test_while_the_database_is_locked_a_ticket_lets_nobody_in_but_is_not_used_up(
    hurried, application, tokens
):
    ticket = await meanwhile(lambda: issue_ticket(by_bearer(f"Bearer {tokens['alice']}")))
    with locked_database():
        page = await by_ticket(application, ticket)
        assert await page.ends() == 4000
        assert page.of_type("error")[0]["code"] == "unavailable"
        await page.close()
    page = await by_ticket(application, ticket)
    assert page.of_type("welcome")[0]["user"]["username"] == "alice"
    await page.close()


async def by_ticket(application: Any, ticket: str) -> Browser:
    return await Browser(await ASGIWire(application, query=f"ticket={ticket}").connect()).open()
