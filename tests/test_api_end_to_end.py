"""Real servers: what is done over HTTP, by a command or in the admin is seen where people look."""

import asyncio
import http.client
import json
import re
import sqlite3
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.cookiejar import CookieJar
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, build_opener

import psycopg

from tests.databases import Database, SQLiteFile
from tests.fake_browser import Browser
from tests.servers import Server, manage

PROMISED = 2.0  # seconds
SLACK = 6.0  # for a machine that is busy with something else


@contextmanager
def soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < PROMISED + SLACK


def draft(body: str) -> dict[str, str]:
    return {"id": str(uuid.uuid4()), "body": body}


async def say(server: Server, token: str, room: str, body: dict[str, str]) -> tuple[int, Any]:
    path = f"/api/rooms/{room}/messages"
    status, answer = await asyncio.to_thread(server.request, "POST", path, body, token)
    return status, json.loads(answer)


# How much


async def test_what_one_says_over_http_counts_for_ones_connections_too(server_env, tmp_path):
    env = server_env | {"CHAT_POST_RATE": "0.01"}  # one at once, then one every hundred seconds
    with Server(tmp_path / "log", env) as server:
        token = server.token("alice")
        async with server.browser(token) as page:
            room = page.room("Kitchen")
            assert (await say(server, token, room, draft("one")))[0] == 201
            assert (await page.post("two", room=room))["code"] == "rate_limited"
            assert (await say(server, token, room, draft("three")))[0] == 429


# Headers alone


def test_who_looks_at_headers_is_sent_no_body_and_can_go_on_asking(server):
    headers = {"Authorization": f"Bearer {server.token('alice')}"}
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as connection:
        answers = []
        for method in ("HEAD", "GET", "HEAD", "GET"):
            connection.request(method, "/api/rooms", headers=headers)
            answer = connection.getresponse()
            answers.append((answer.status, answer.getheader("Content-Length"), answer.read()))
    looked, read = answers[0], answers[1]
    assert looked == (200, str(len(read[2])), b"")
    assert answers[2:] == [looked, read]


# Seen by who is connected


async def test_bob_sees_what_alice_posts_over_http(server):
    token = server.token("alice")
    async with server.browser(server.token("bob")) as bob:
        kitchen = bob.room("Kitchen")
        status, posted = await say(server, token, kitchen, draft("Over HTTP"))
        with soon():
            await bob.sees(kitchen, "Over HTTP")
        assert status == 201
        message = bob.client.messages[kitchen][posted["seq"]]
        assert (message["sender"], message["rev"]) == ("alice", posted["rev"])


async def test_bob_sees_it_on_another_server(server, server_env, tmp_path):
    token = server.token("alice")
    with Server(tmp_path / "other.log", server_env) as other:
        async with other.browser(token) as alice, other.browser(other.token("bob")) as bob:
            kitchen = bob.room("Kitchen")
            for n in range(5):
                await say(server, token, kitchen, draft(str(n)))
            await alice.post("and one over a connection", room=kitchen)
            with soon():
                await bob.sees(kitchen, *"01234", "and one over a connection")


async def test_whoever_was_away_finds_it_once(server):
    bob_token, message = server.token("bob"), draft("While you were away")
    async with server.browser(bob_token) as bob:
        client, kitchen = bob.client, bob.room("Kitchen")
    for _ in range(3):
        await say(server, server.token("alice"), kitchen, message)
    async with server.browser(bob_token, client=client) as bob:
        await bob.sees(kitchen, "While you were away")
        assert bob.client.bodies(kitchen).count("While you were away") == 1


async def test_a_room_made_over_http_appears_with_what_is_said_there(server):
    token = server.token("alice")
    async with server.browser(server.token("bob")) as bob:
        room = await asyncio.to_thread(
            server.post, "/api/rooms", {"name": "Garden", "members": ["bob"]}, token
        )
        with soon():
            await bob.until(lambda: room["room"] in bob.client.rooms)
        direct = await asyncio.to_thread(server.post, "/api/direct", {"to": "bob"}, token)
        for where in (room["room"], direct["room"]):
            await say(server, token, where, draft(f"In {where}"))
            with soon():
                await bob.sees(where, f"In {where}")


async def test_bob_sees_what_a_command_posts(server, server_env):
    code = """
from uuid import uuid4
from chat import messaging, rooms, users
from chat.models import Room
alice = users.named("alice")
kitchen = Room.objects.get(name="Kitchen").pk
messaging.post([messaging.Draft(alice, kitchen, uuid4(), "By a command")])
messaging.edit(alice, kitchen, 1, "Edited by a command")
"""
    async with server.browser(server.token("bob")) as bob:
        kitchen = bob.room("Kitchen")
        await asyncio.to_thread(manage, server_env, "shell", "-c", code)
        with soon():
            await bob.sees(kitchen, "By a command")
            await bob.until(lambda: any(is_edit(m) for m in messages(bob, kitchen)))


def messages(page: Browser, room: str) -> list[Any]:
    replayed = [m for f in page.of_type("replay") if f["room"] == room for m in f["messages"]]
    return [*page.of_type("message"), *replayed]


def is_edit(message: Any) -> bool:
    return message.get("body") == "Edited by a command" and "edited_at" in message


async def test_bob_sees_what_is_done_in_the_admin(server, database):
    [[seat]] = database.query(
        "SELECT m.id FROM chat_membership m JOIN chat_room r ON r.id = m.room_id"
        " JOIN auth_user u ON u.id = m.user_id WHERE r.name = 'Kitchen' AND u.username = 'bob'"
    )
    async with server.browser(server.token("bob")) as bob:
        kitchen = bob.room("Kitchen")
        await asyncio.to_thread(in_the_admin, server, f"chat/membership/{seat}/delete/", post="yes")
        with soon():
            await bob.until(lambda: kitchen not in bob.client.rooms)
    path = f"/api/rooms/{kitchen}/messages"
    status, _ = await asyncio.to_thread(server.request, "GET", path, None, server.token("bob"))
    assert status == 404


def in_the_admin(server: Server, path: str, **fields: str) -> None:
    """Submit a form there."""
    browser = build_opener(HTTPCookieProcessor(CookieJar()))

    def submit(address: str, **fields: str) -> str:
        url = f"http://127.0.0.1:{server.port}/admin/{address}"
        with browser.open(url) as page:
            found = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
        assert found is not None
        form = urlencode({"csrfmiddlewaretoken": found[1], **fields}).encode()
        with browser.open(url, form) as page:
            return str(page.url)

    assert "login" not in submit("login/?next=/admin/", username="admin", password="admin")
    assert not submit(path, **fields).endswith(path)


# Kept, and in nobody's way


async def test_what_was_answered_survives_the_server(server):
    token, message = server.token("alice"), draft("Stored")
    async with server.browser(token) as alice:
        kitchen = alice.room("Kitchen")
    _, posted = await say(server, token, kitchen, message)
    server.kill()
    await asyncio.to_thread(server.start)
    assert await say(server, token, kitchen, message) == (200, posted)


@contextmanager
def writing(database: Database) -> Iterator[None]:
    """Somebody else writes, and does not come to an end: nothing can be posted."""
    if isinstance(database, SQLiteFile):
        with closing(sqlite3.connect(database.file, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
    else:
        with psycopg.connect(database.url) as other:
            other.execute("LOCK TABLE chat_message IN EXCLUSIVE MODE")
            yield
            other.rollback()


async def test_requests_that_wait_hold_up_neither_each_other_nor_connections(server, database):
    token = server.token("alice")
    async with server.browser(token) as alice:
        kitchen = alice.room("Kitchen")
        drafts = [draft(str(n)) for n in range(5)]  # fewer than PostgreSQL's pool lends
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(len(drafts) + 1) as threads:

            def ask(method: str, path: str, body: Any = None) -> asyncio.Future[Any]:
                return loop.run_in_executor(threads, server.request, method, path, body, token)

            with writing(database):
                waiting = [ask("POST", f"/api/rooms/{kitchen}/messages", d) for d in drafts]
                await asyncio.sleep(0.5)
                page = ask("GET", f"/api/rooms/{kitchen}/messages")
                first, _ = await asyncio.wait({page, *waiting}, return_when=asyncio.FIRST_COMPLETED)
                assert first == {page}
                assert page.result()[0] == 200
                assert (await alice.ask("ping"))["type"] == "pong"
                assert not any(answer.done() for answer in waiting)
            statuses = {status for status, _ in await asyncio.gather(*waiting)}
        assert statuses <= {201, 503}
        for message in drafts:
            assert (await say(server, token, kitchen, message))[0] in (200, 201)
        said = [message["body"] for message in drafts]
        await alice.until(lambda: {*said} <= {*alice.client.bodies(kitchen)})
        assert sorted(b for b in alice.client.bodies(kitchen) if b in said) == sorted(said)
