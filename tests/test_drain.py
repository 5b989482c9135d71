"""A worker that ends: everybody is answered, told when to come back, and finds what there was."""

import asyncio
import json
import socket
import time
import uuid
from contextlib import AsyncExitStack
from functools import partial
from http.client import HTTPConnection
from unittest.mock import patch

import pytest
from django.db.migrations.executor import MigrationExecutor

from chat import health, messaging, switchboard, worker
from chat.close_codes import CloseCode
from chat.models import Membership
from chat.worker import WithWorker, Worker
from tests.conftest import serve
from tests.failures import meanwhile, until
from tests.fake_browser import browser, text_page

RESTART = CloseCode.RESTART


async def test_everybody_is_told_when_to_come_back_not_all_at_once(
    transactional_db, tokens, monkeypatch
):
    monkeypatch.setattr(switchboard, "RETURNS", 1)  # a second
    async with Worker() as ending, AsyncExitStack() as stack:
        page = partial(browser, serve(ending), tokens["alice"])
        pages = [await stack.enter_async_context(page()) for _ in range(5)]
        await ending.drain()
        byes = [await page.says_goodbye() for page in pages]
    assert {bye["code"] for bye in byes} == {RESTART}
    assert all(bye["reconnect"] for bye in byes)
    waits = [bye["retry_after_ms"] for bye in byes]
    assert len(set(waits)) > 1
    assert all(0 <= wait < 5_000 for wait in waits)


async def test_the_page_of_ten_lines_is_closed_with_the_same_code(transactional_db, tokens):
    async with Worker() as ending, text_page(serve(ending), tokens["alice"]) as page:
        await until(lambda: ending.switchboard.sockets())
        await ending.drain()
        assert await page.ends() == RESTART


async def test_what_was_said_before_is_answered_before_the_goodbye(
    transactional_db, tokens, kitchen, monkeypatch
):
    slowly(monkeypatch, messaging, "post")
    async with Worker() as ending, browser(serve(ending), tokens["alice"]) as alice:
        ids = [str(uuid.uuid4()) for _ in range(20)]
        said = [{"type": "post", "room": kitchen.pk, "id": id, "body": id} for id in ids]
        await alice.send(*said)
        await until(lambda: any(s.owes_an_answer for s in ending.switchboard.sockets()))
        await ending.drain()
        assert await alice.ends() == RESTART
        assert [posted["id"] for posted in alice.of_type("posted")] == ids
        assert alice.frames[-1]["type"] == "bye"


async def test_an_edit_is_answered_before_the_goodbye(
    transactional_db, tokens, kitchen, monkeypatch
):
    slowly(monkeypatch, messaging, "edit")
    async with Worker() as ending, browser(serve(ending), tokens["alice"]) as alice:
        seq = (await alice.post("Tea?", room=kitchen.pk))["seq"]
        edit = {"type": "edit", "ref": "edit", "room": kitchen.pk, "seq": seq, "body": "Coffee?"}
        await alice.send(edit)
        await until(lambda: any(s.owes_an_answer for s in ending.switchboard.sockets()))
        await ending.drain()
        assert await alice.ends() == RESTART
        assert [ok["ref"] for ok in alice.of_type("ok")] == ["edit"]


def slowly(monkeypatch, module, verb):
    """What takes the database a while."""
    real = getattr(module, verb)

    def slow(*args, **options):
        time.sleep(0.3)
        return real(*args, **options)

    monkeypatch.setattr(module, verb, slow)


async def test_what_nobody_answers_does_not_hold_up_the_end(
    transactional_db, tokens, kitchen, monkeypatch
):
    monkeypatch.setattr(worker, "LAST_ANSWERS", 0.1)
    slowly(monkeypatch, messaging, "post")
    async with Worker() as ending, browser(serve(ending), tokens["alice"]) as alice:
        said = {"type": "post", "room": kitchen.pk, "id": str(uuid.uuid4()), "body": "Tea?"}
        await alice.send(said)
        await until(lambda: any(s.owes_an_answer for s in ending.switchboard.sockets()))
        await ending.drain()
        assert await alice.ends() == RESTART
    async with Worker() as next_one, browser(serve(next_one), tokens["alice"]) as alice:
        answer = await alice.ask("post", **{k: said[k] for k in ("room", "id", "body")})
        assert answer["type"] == "posted"
        assert alice.client.bodies(kitchen.pk) == ["Tea?"]


async def test_what_comes_after_the_signal_is_left_to_another_worker(
    transactional_db, tokens, kitchen, monkeypatch
):
    slowly(monkeypatch, messaging, "post")
    async with Worker() as ending, browser(serve(ending), tokens["alice"]) as alice:
        post = {"type": "post", "room": kitchen.pk}
        await alice.send({**post, "id": str(uuid.uuid4()), "body": "before"})
        await until(lambda: any(s.owes_an_answer for s in ending.switchboard.sockets()))
        draining = asyncio.create_task(ending.drain())
        await asyncio.sleep(0)
        await alice.send({**post, "id": str(uuid.uuid4()), "body": "after"})
        await draining
        assert await alice.ends() == RESTART
    async with Worker() as next_one, browser(serve(next_one), tokens["alice"]) as alice:
        assert alice.client.bodies(kitchen.pk) == ["before"]


async def test_a_line_that_comes_too_late_is_not_dropped_without_a_word(
    transactional_db, tokens, kitchen, monkeypatch
):
    slowly(monkeypatch, messaging, "post")
    async with Worker() as ending, text_page(serve(ending), tokens["alice"]) as page:
        await page.send("Kitchen|before")
        await until(lambda: any(s.owes_an_answer for s in ending.switchboard.sockets()))
        draining = asyncio.create_task(ending.drain())
        await asyncio.sleep(0)
        await page.send("Kitchen|after")
        await draining
        assert await page.ends() == RESTART
        assert [line for line in page.lines if line.startswith("!unavailable|")]


async def test_whoever_comes_too_late_is_sent_on(transactional_db, tokens):
    async with Worker() as ending:
        await ending.drain()
        async with browser(serve(ending), tokens["alice"], resume=False) as alice:
            bye = await alice.says_goodbye()
            assert (bye["code"], bye["reconnect"]) == (RESTART, True)
            assert 0 <= bye["retry_after_ms"] <= 1_000
            [error] = alice.of_type("error")
            assert error["code"] == "unavailable"


async def test_what_had_arrived_is_noted_before_the_end(transactional_db, tokens, kitchen, bob):
    async with Worker() as ending, browser(serve(ending), tokens["bob"]) as page:
        rev = (await page.post("Here", room=kitchen.pk))["rev"]
        await page.sees(kitchen.pk, "Here")
        await until(lambda: ending.cursors._deliveries)  # it has said what has arrived
        await ending.drain()
        await page.ends()
    noted = await meanwhile(Membership.objects.get, room=kitchen, user=bob)
    assert noted.delivered_rev == rev


# ASGI's lifespan


async def test_the_server_begins_and_ends_the_worker(transactional_db, tokens, kitchen):
    to, told = asyncio.Queue(), asyncio.Queue()
    application = WithWorker(chat_alone)
    living = asyncio.create_task(application({"type": "lifespan"}, to.get, told.put))
    await to.put({"type": "lifespan.startup"})
    assert await told.get() == {"type": "lifespan.startup.complete"}
    async with browser(application, tokens["alice"]) as alice:
        await to.put({"type": "lifespan.shutdown"})
        assert (await alice.says_goodbye())["code"] == RESTART
        assert await told.get() == {"type": "lifespan.shutdown.complete"}
        await living
        async with browser(application, tokens["alice"], resume=False) as late:
            assert (await late.says_goodbye())["code"] == RESTART


async def test_a_worker_whose_tables_are_missing_says_so_in_one_line(transactional_db, caplog):
    health._missing.cache_clear()
    to, told = asyncio.Queue(), asyncio.Queue()
    with patch.object(MigrationExecutor, "migration_plan", return_value=[("chat", "0007")] * 2):
        living = asyncio.create_task(WithWorker(chat_alone)({"type": "lifespan"}, to.get, told.put))
        await to.put({"type": "lifespan.startup"})
        await told.get()
        await until(lambda: "2 to be applied: manage.py migrate" in caplog.text)
        await to.put({"type": "lifespan.shutdown"})
        await living
    assert [record for record in caplog.records if record.exc_info] == []
    health._missing.cache_clear()
    assert await health.PARTS["migrations"].answer() == health.FINE


async def chat_alone(scope, receive, send):
    await serve(scope["worker"])(scope, receive, send)


# The whole server


async def test_a_server_that_is_told_to_end_tells_everybody_and_ends(server):
    async with (
        server.browser(server.token("alice")) as alice,
        server.browser(server.token("bob")) as bob,
        server.text_page(server.token("charlie")) as charlie,
    ):
        await alice.post("Good night", room=alice.room("Kitchen"))
        await bob.sees(bob.room("Kitchen"), "Good night")
        ending = asyncio.create_task(asyncio.to_thread(server.stop))
        for page in (alice, bob):
            assert (await page.says_goodbye())["code"] == RESTART
        assert await charlie.ends() == RESTART
        assert await ending == 0


async def test_balancers_hear_of_the_end_over_connections_that_are_open(server):
    connection = HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        assert readiness(connection) == (200, None)
        with silent_client(server):
            ending = asyncio.create_task(asyncio.to_thread(server.stop))
            while (ready := readiness(connection))[0] == 200:
                assert not ending.done()
                await asyncio.sleep(0.02)
            assert ready == (503, "is about to end")
        assert await ending == 0
    finally:
        connection.close()


def readiness(connection: HTTPConnection) -> tuple[int, str | None]:
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    return answer.status, json.load(answer).get("worker")


def silent_client(server):
    """It reads nothing, also no goodbye, until it goes."""
    client = socket.create_connection(("127.0.0.1", server.port))
    lines = (
        "GET /ws/ HTTP/1.1",
        "Host: 127.0.0.1",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        f"Authorization: Bearer {server.token('alice')}",
    )
    client.sendall("\r\n".join((*lines, "", "")).encode())
    assert b" 101 " in client.recv(1_000)
    return client


@pytest.mark.timeout(60)
async def test_a_client_that_does_not_answer_the_goodbye_does_not_hold_up_the_end(server):
    with silent_client(server):
        began = time.monotonic()
        assert await asyncio.to_thread(server.stop) == 0
        assert time.monotonic() - began < 10
