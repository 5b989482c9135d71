"""Real servers, real sockets, a database on disk: what users are promised, whatever is killed."""

import asyncio
import signal
import socket
import uuid
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from django.db import connection
from websockets.exceptions import InvalidStatus, WebSocketException

from chat.doctor import site
from tests.checker import findings
from tests.client import Frame
from tests.fake_browser import Browser, Closed, Interrupted, NetworkWire, Refused
from tests.history import Event, Head, RecordedClient, Row, Sent, Settled
from tests.servers import ROOST, UVICORN, Server

PATIENCE = 60.0  # seconds, for a machine that is busy with something else

SERVERS = {"daphne": ROOST, "uvicorn": UVICORN}
if connection.vendor != "sqlite":
    del SERVERS["uvicorn"]  # servers are compared on one stack, stacks on one server


@pytest.fixture(params=SERVERS.values(), ids=SERVERS.keys())
def command(request: pytest.FixtureRequest) -> Any:
    """Each test runs on all: nobody is promised what only our own server can do."""
    return request.param


def test_the_doctor_finds_nothing_wrong_from_outside(server):
    found = [*site.look(f"http://127.0.0.1:{server.port}")]
    assert [finding.verdict for finding in found] == ["ok", "ok", "ok"]


async def test_two_people_chat(server):
    async with (
        server.browser(server.token("alice")) as alice,
        server.browser(server.token("bob")) as bob,
    ):
        kitchen = alice.room("Kitchen")
        await alice.post("Tea?", room=kitchen)
        await bob.sees(kitchen, "Tea?")
        await bob.post("Yes, please!", room=kitchen)
        await alice.sees(kitchen, "Tea?", "Yes, please!")


async def test_bob_finds_once_and_in_order_what_came_while_he_was_away(server):
    token = server.token("bob")
    async with server.browser(token) as bob:
        client = bob.client
        direct, lobby = bob.room("alice"), bob.room("Lobby")
    await whoever_was_away_gets(server, "bob")
    async with server.browser(token, client=client) as bob:
        await bob.sees(direct, "one", "two", "three")
        await bob.sees(lobby, "to all")
        # Demo data ends with words of his in the one, and of others in the other room.
        assert (client.unread(direct), client.unread(lobby)) == (3, 2)
    async with server.browser(token) as new_device:
        assert new_device.client.unread(direct) == 3
    for room, bodies in ((direct, ["one", "two", "three"]), (lobby, ["to all"])):
        assert [body for body in client.bodies(room) if body in bodies] == bodies


async def whoever_was_away_gets(server: Server, name: str) -> None:
    async with server.browser(server.token("alice")) as alice:
        for body in ("one", "two", "three"):
            await alice.post(body, to=name)
        await alice.post("to all", room=alice.room("Lobby"))


async def test_a_new_device_gets_what_no_other_has_got(server):
    await whoever_was_away_gets(server, "charlie")
    async with server.browser(server.token("charlie")) as charlie:
        await charlie.sees(charlie.room("alice"), "one", "two", "three")
        await charlie.sees(charlie.room("Lobby"), "to all")


async def test_the_page_of_ten_lines_gets_what_it_missed_once_and_in_order(server):
    token = server.token("charlie")
    async with server.browser(server.token("alice")) as alice, server.text_page(token) as charlie:
        for _ in range(4):  # what the demo says in the lobby
            await charlie.next()
        await charlie.send("bob|Seen")  # which tells so where the server cannot show us pongs
        await alice.until(lambda: any(f["user"] == "charlie" for f in alice.of_type("receipt")))
    await whoever_was_away_gets(server, "charlie")
    async with server.text_page(token) as charlie:
        lines = [(await charlie.next()).split("|")[1:] for _ in range(4)]
        assert await charlie.nothing_more()
    assert [line for line in lines if line[1] == "alice"] == [
        ["alice", "alice", "one"],
        ["alice", "alice", "two"],
        ["alice", "alice", "three"],
    ]
    assert ["alice", "Lobby", "to all"] in lines


async def test_the_page_of_ten_lines_talks_to_one_and_to_all(server):
    async with (
        server.browser(server.token("bob")) as bob,
        server.text_page(server.token("charlie")) as charlie,
    ):
        await charlie.send("bob|Only for you")
        await charlie.send("|and this too")
        await charlie.send("Hello, everybody")
        await bob.sees(bob.room("Lobby"), "Hello, everybody")
        await bob.until(lambda: "charlie" in peers(bob))
        await bob.sees(bob.room("charlie"), "Only for you", "and this too")


def peers(page: Browser) -> set[str]:
    return {room["peer"] for room in page.client.rooms.values() if "peer" in room}


async def test_two_servers_that_share_only_the_database_hear_each_other(
    server, server_env, tmp_path
):
    with Server(tmp_path / "other.log", server_env) as other:
        async with (
            server.browser(server.token("alice")) as alice,
            other.browser(other.token("bob")) as bob,
        ):
            kitchen = alice.room("Kitchen")
            for speaker, listener in ((alice, bob), (bob, alice)):
                await speaker.post("Anybody there?", room=kitchen)
                await listener.sees(kitchen, "Anybody there?")
                await speaker.post("Good.", room=kitchen)
                await listener.sees(kitchen, "Good.")


async def test_a_server_that_is_asked_to_end_does(server, command):
    async with server.browser(server.token("alice")) as alice:
        await alice.post("Good night", room=alice.room("Kitchen"))
        code = await asyncio.to_thread(server.stop)
        assert code == (-signal.SIGTERM if command is UVICORN else 0)  # that is uvicorn's way
        await alice.until(lambda: alice.closed)


async def test_a_path_that_does_not_exist_is_refused_and_nothing_to_worry_about(server):
    """Or whoever tries addresses fills the log with tracebacks."""
    wire = NetworkWire(f"ws://127.0.0.1:{server.port}/wp-admin/")
    with pytest.raises(Refused) as refused:
        await wire.connect()
    assert isinstance(refused.value.__cause__, InvalidStatus)
    assert refused.value.__cause__.response.status_code == 403


async def test_whoever_never_reads_hurts_nobody_else(server):
    """Ten of them, and 8 MB for each, which is more than the kernel buffers."""
    silent_token = server.token("charlie")
    async with (
        AsyncExitStack() as stack,
        server.browser(server.token("alice")) as alice,
        server.browser(server.token("bob")) as bob,
    ):
        for _ in range(10):
            wire = await server.wire(silent_token, sock=with_little_room(server.port)).connect()
            stack.callback(wire.cut)
            await wire.send('{"type": "resume"}')
        lobby = alice.room("Lobby")
        before = server.memory()
        for n in range(200):
            posts = [post(lobby, f"{n}.{k} " + "x" * 3_900) for k in range(10)]
            await alice.send(*posts)
            await bob.sees(lobby, *(frame["body"] for frame in posts))
        assert server.memory() - before < 40 << 20  # 80 MB are waiting for them


def with_little_room(port: int) -> socket.socket:
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    connection.connect(("127.0.0.1", port))
    return connection


def post(room: str, body: str) -> Frame:
    return {"type": "post", "room": room, "id": str(uuid.uuid4()), "body": body}


# kill -9

ROUNDS = 3
DRAFTS = 120  # of each device, a few at a time
AT_ONCE = 5


async def test_nothing_acknowledged_is_lost_or_doubled_when_the_server_is_killed(server):
    history: list[Event] = []
    tokens = {name: server.token(name) for name in ("alice", "bob", "charlie")}
    labels = ("alice.1", "alice.2", "bob.1", "charlie.1")
    clients = [RecordedClient(label, history.append) for label in labels]
    posted: set[str] = set()
    async with server.browser(tokens["alice"]) as alice:
        room = alice.room("Lobby")
        history += [
            Sent(f"{row.sender}.0", 0, room, row.id, str(row.body))
            for row in await everything(alice, room)
        ]
    demo = len(history)

    async def kill_again_and_again() -> None:
        for n in range(1, ROUNDS + 1):
            while len(posted) < n * len(clients) * DRAFTS // (ROUNDS + 1):
                await asyncio.sleep(0.001)
            server.kill()
            await asyncio.to_thread(server.start)

    async with asyncio.timeout(PATIENCE * 1.5), asyncio.TaskGroup() as group:
        group.create_task(kill_again_and_again())
        for client in clients:
            token = tokens[client.device.partition(".")[0]]
            group.create_task(insist(server, token, client, room, history.append, posted))

    async with AsyncExitStack() as stack:
        for client in clients:
            token = tokens[client.device.partition(".")[0]]
            await stack.enter_async_context(server.browser(token, client=client))
        history += [Settled(client.device) for client in clients]
        rows = await everything(
            await stack.enter_async_context(server.browser(tokens["alice"])), room
        )
    there = [event for event in history if getattr(event, "room", room) == room]
    # Nobody edits, so the head has the last place's number.
    heads = {room: Head(len(rows), len(rows))}
    assert findings(there, rows, heads) == []
    assert len(rows) - demo == len(posted) == len(clients) * DRAFTS


async def insist(
    server: Server,
    token: str,
    client: RecordedClient,
    room: str,
    record: Callable[[Event], None],
    posted: set[str],
) -> None:
    """Post everything to everybody; whatever is not answered again, with the same id."""
    drafts = deque(post(room, f"{client.device} {n}") for n in range(DRAFTS))
    connection = 0
    while drafts:
        connection += 1
        try:
            async with server.browser(token, client=client) as page:
                while drafts:
                    batch = [drafts[n] for n in range(min(AT_ONCE, len(drafts)))]
                    for draft in batch:
                        record(Sent(client.device, connection, room, draft["id"], draft["body"]))
                    await page.send(*batch)
                    for draft in batch:
                        await stored(page, draft["id"])
                        posted.add(draft["id"])
                        drafts.popleft()
        except (Closed, Interrupted, OSError, WebSocketException):
            await asyncio.sleep(0.02)


async def stored(page: Browser, id: str) -> None:
    await page.until(lambda: any(frame["id"] == id for frame in page.of_type("posted")))


async def everything(page: Browser, room: str) -> list[Row]:
    """All messages of a room in which nobody edits, as history tells them."""
    rows: list[Row] = []
    more = True
    while more:
        answer = await page.ask("history", room=room, after=len(rows))
        for said in answer["messages"]:
            numbers = said["seq"], said["rev"], said["rev"]
            rows.append(Row(room, *numbers, said["sender"], said["id"], said.get("body")))
        more = answer["more_after"]
    return rows


async def test_a_backup_put_in_the_place_of_the_database_is_what_counts_from_then_on(
    server, database
):
    async with server.browser(server.token("alice")) as alice:
        backup = await asyncio.to_thread(database.back_up)
        kitchen = alice.room("Kitchen")
        assert (await alice.post("not in the backup", room=kitchen))["type"] == "posted"
        await asyncio.to_thread(database.restore, backup)
        await alice.until(lambda: alice.of_type("bye"))
        assert alice.of_type("bye")[0]["code"] == 4012
    async with server.browser(server.token("alice")) as alice:
        await alice.post("after the backup", room=kitchen)
        query = "SELECT body FROM chat_message ORDER BY id DESC LIMIT 1"
        assert database.query(query) == [("after the backup",)]
