"""The log: who each line is about, on one line, and nothing that is nobody's business."""

import asyncio
import json
import logging
import os
import re
from io import StringIO
from uuid import uuid4

import pytest
from structlog.contextvars import bound_contextvars

from chat.close_codes import CloseCode
from chat.tasks import Tasks
from project import logs
from tests.conftest import PASSWORD
from tests.fake_browser import NetworkWire, TextPage, browser, text_page
from tests.servers import Server

logger = logging.getLogger("chat.tests")
HOSTILE = "alice\r\n2026-01-01 ERROR\x1b[31m \u202eroot"


@pytest.fixture(params=logs.FORMATS)
def kind(request):
    return request.param


@pytest.fixture
def lines(kind):
    """What is logged meanwhile, as an operator reads it."""
    stream = StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(kind))
    logging.getLogger().addHandler(handler)
    yield lambda: stream.getvalue().removesuffix("\n").split("\n")
    logging.getLogger().removeHandler(handler)


def fields(line):
    """Of either format, as far as it tells."""
    if line.startswith("{"):
        return json.loads(line)
    return dict(re.findall(r"(\w+)=(\S+)", line))


# One line, and nobody's but ours


def test_a_line_says_when_and_where_and_what(lines, kind):
    logger.warning("It is %d o'clock", 12)
    [line] = lines()
    assert re.search(r"^\W*(time\W+)?\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line)
    for part in ("WARNING", "chat.tests", "It is 12 o'clock"):
        assert part in line
    assert int(fields(line)["process"]) == os.getpid()


def test_nobody_makes_up_a_line(lines):
    logger.warning("Not found: %s", HOSTILE, extra={"client": HOSTILE})
    [line] = lines()
    assert line.isprintable()
    assert "\\u001b" in line or "\\x1b" in line


def test_what_failed_is_told_and_set_in(lines, kind):
    try:
        raise ValueError(HOSTILE)
    except ValueError:
        logger.exception("It failed")
    first, *traceback = lines()
    if kind == "json":
        assert not traceback
        assert "Traceback" in json.loads(first)["exception"]
    else:
        assert all(line.startswith("    ") for line in traceback)
        assert "Traceback" in traceback[0]
        assert "ValueError: alice" in "".join(traceback)
    assert "\x1b" not in "".join(lines())


def test_a_name_does_not_look_like_two_fields(lines, kind):
    with bound_contextvars(user="alice connection=1"):
        logger.info("Hello")
    [line] = lines()
    if kind == "text":
        assert 'user="alice connection=1"' in line


# Whose


async def test_a_connection_is_told_when_it_comes_and_goes(
    application, tokens, worker, lines, kind
):
    agent = {"user-agent": "Fire\x1b[31mfox/" + "9" * 500}
    async with browser(application, tokens["alice"], headers=agent) as alice:
        await alice.post("Tea?", room=alice.room("Kitchen"))
        [socket] = worker.switchboard.sockets()
        await worker.drain()
        await alice.ends()
    opened, closed = [line for line in lines() if "chat.visits" in line]
    for line in (opened, closed):
        told = fields(line)
        assert (told["connection"], told["worker"]) == (socket.key, worker.key)
        assert told["user"] == "alice"
        assert line.isprintable()
    assert "Opened: chat.v1.json" in opened
    assert "9" * 50 in opened
    assert "9" * 100 not in opened
    assert f"Closed: {CloseCode.RESTART:d}" in closed
    if kind == "json":
        assert fields(closed)["code"] == CloseCode.RESTART
        assert fields(closed)["seconds"] > 0
        assert fields(opened)["dialect"] == "chat.v1.json"


async def test_whoever_is_not_let_in_has_no_name(application, worker, lines):
    async with text_page(application, "nonsense") as page:
        await page.next()
        await page.ends()
    [closed] = [line for line in lines() if "chat.visits" in line]
    assert f"Closed: {CloseCode.LOGGED_OUT:d}" in closed
    assert "connection" not in fields(closed)


async def test_a_line_on_behalf_of_a_connection_is_its_own_whoever_caused_it(
    application, tokens, worker, lines, monkeypatch
):
    """Alice's post makes bob's writer work, and it is bob whose connection fails."""
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]),
    ):
        [hers, his] = sorted(worker.switchboard.sockets(), key=lambda socket: socket.username)
        told = logging.getLogger("chat.tests")

        async def send(event):
            told.warning("Sends")

        monkeypatch.setattr(his, "_send", send)
        await alice.post("Tea?", room=alice.room("Kitchen"))
        async with asyncio.timeout(10):
            while not (sends := [line for line in lines() if "Sends" in line]):
                await asyncio.sleep(0.01)
    assert fields(sends[0])["connection"] == his.key != hers.key
    assert fields(sends[0])["user"] == "bob"


async def test_what_a_worker_does_is_not_said_to_be_a_connections(
    application, tokens, worker, lines
):
    async def say():
        logger.warning("On a thread of the worker's")

    async with browser(application, tokens["alice"]):
        await worker.watch._tasks.start(say())
    [line] = [line for line in lines() if "On a thread" in line]
    assert fields(line)["worker"] == worker.key
    assert "connection" not in fields(line)


async def test_tasks_know_what_their_owner_knew_whoever_starts_them(lines):
    async def say():
        logger.warning("At work")

    with bound_contextvars(worker="Xq3"):
        tasks = Tasks()
    with bound_contextvars(worker="9fK", connection="7bA"):
        await tasks.start(say())
    [line] = lines()
    assert fields(line)["worker"] == "Xq3"
    assert "connection" not in fields(line)


async def test_sites_that_format_their_own_lines_can_read_ours(application, tokens, worker, caplog):
    with caplog.at_level(logging.INFO):
        async with text_page(application, tokens["alice"]):
            pass
    told = [record.getMessage() for record in caplog.records if record.name == "chat.visits"]
    assert [line.partition(":")[0] for line in told] == ["Opened", "Closed"]


# And nothing else


@pytest.mark.parametrize("kind", logs.FORMATS)
async def test_no_log_tells_what_was_said_or_how_somebody_gets_in(server_env, tmp_path, kind):
    secrets = []
    env = server_env | {"LOG_FORMAT": kind}
    with Server(tmp_path / "log", env, ("manage.py", "serve")) as server:
        secrets.append(token := server.token("alice"))
        secrets.append(ticket := server.post("/api/ticket", {}, token)["ticket"])
        secrets.append(body := f"secret {uuid4().hex}")
        secrets.append(PASSWORD + "-wrong")
        server.request("POST", "/api/token", {"username": "alice", "password": PASSWORD + "-wrong"})
        server.request("GET", f"/nowhere?ticket={ticket}", cookie=f"sessionid={token}")
        server.request("POST", "/login/", {"username": "alice", "password": PASSWORD + "-wrong"})
        async with server.browser(token) as page:
            await page.post(body, to="bob")
            await page.ask("post", room="nowhere", id=str(uuid4()), body=body)
            await page.send({"type": "nonsense", "body": body})
        wire = NetworkWire(f"ws://127.0.0.1:{server.port}/ws/?ticket={ticket}", subprotocols=[])
        page = TextPage(await wire.connect())
        await page.send(f"bob|{body}")
        await page.send(f"nobody {body}|{body}")
        await page.next()
        await wire.close()
        server.stop()
    log = (tmp_path / "log").read_text()
    assert "Opened: chat.v1.json" in log
    assert [line for line in log.splitlines() for secret in secrets if secret in line] == []
    if kind == "json":
        assert all(json.loads(line)["level"] for line in log.splitlines())
    else:
        assert '"GET /nowhere" 404' in log
