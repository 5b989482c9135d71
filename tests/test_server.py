"""The server as a process of its own, with real clients and rude ones."""

import asyncio
import inspect
import json
import os
import re
import secrets
import signal
import socket
import ssl
import subprocess
import sys
import time
from ast import literal_eval
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.protocol import PreparedMessage
from autobahn.websocket.protocol import WebSocketProtocol as WebSocketProtocolBase
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from daphne import cli, http_protocol, server, ws_protocol
from twisted.internet.abstract import FileDescriptor
from twisted.internet.tcp import Connection as TCPConnection
from twisted.internet.tcp import Port as TCPPort
from twisted.internet.unix import Port as UnixPort
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.web import http
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from project.listener import Listener, is_loopback
from project.server import RESTARTING
from project.websocket import MESSAGE_TOO_BIG, text_frame
from tests.asgi_apps import CHUNK
from tests.servers import environment

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20
MIB = 1 << 20

SERVER = (sys.executable, "-m", "project.server")


@dataclass(frozen=True)
class Running:
    """A server, and ways to ask it."""

    process: subprocess.Popen[bytes]
    port: int
    token: str
    log: Path
    tls: ssl.SSLContext | None = None

    def connect(self, path: str, **options: Any) -> connect:
        url = f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}{path}"
        return connect(url, ssl=self.tls, open_timeout=PATIENCE, proxy=None, **options)

    async def ask(self, path: str, **options: Any) -> dict[str, Any]:
        async with self.connect(path, **options) as ws:
            answer: dict[str, Any] = json.loads(await hear(ws))
            return answer

    async def noticed(self, key: str, fact: str) -> Any:
        """What an application noticed, once it has."""
        async with asyncio.timeout(PATIENCE):
            while True:
                facts = await self.ask(f"/report?{key}")
                if fact in facts:
                    return facts[fact]
                await asyncio.sleep(0.05)

    async def suspended(self, key: str) -> int:
        """How many chunks the flood got rid of, once it gets rid of none any more."""
        chunks, before = 0, -1
        async with asyncio.timeout(PATIENCE):
            while chunks == 0 or chunks != before:
                await asyncio.sleep(0.3)
                chunks, before = await self.noticed(key, "chunks"), chunks
        return chunks

    def http(self, headers: dict[str, str], path: str = "/") -> dict[str, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        connection.request("GET", path, headers=headers)
        answer: dict[str, Any] = json.load(connection.getresponse())
        connection.close()
        return answer


@contextmanager
def served(
    log: Path, *options: str, command: tuple[str, ...] = SERVER, **env: str
) -> Iterator[Running]:
    token = secrets.token_hex(8)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, *(options or ("--port", "0")), "tests.asgi_apps:application"],
            cwd=ROOT,
            env=os.environ | {"TOKEN": token} | env,
            stdout=output,
            stderr=output,
        )
    try:
        yield Running(process, port_in(log, process), token, log)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


def port_in(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if listening := re.search(r"Listening on TCP address 127.0.0.1:(\d+)\n", log.read_text()):
            return int(listening[1])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with served(tmp_path_factory.mktemp("hardened") / "log") as running:
        yield running


IMPATIENT = (
    "from project import server;"
    "server.WebSocketProtocol.closeHandshakeTimeout = 1;"
    "server.CommandLine.entrypoint()"
)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("impatient") / "log"
    options = ("--ping-interval", "1", "--ping-timeout", "2", "--application-close-timeout", "1")
    command = (sys.executable, "-c", IMPATIENT)
    with served(log, "--port", "0", *options, command=command) as running:
        yield running


async def hear(ws: ClientConnection) -> str:
    async with asyncio.timeout(PATIENCE):
        return await ws.recv(decode=True)


async def hear_event(ws: ClientConnection) -> dict[str, Any]:
    event: dict[str, Any] = literal_eval(await hear(ws))
    return event


async def closed(ws: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(PATIENCE):
        await ws.wait_closed()
    return ws.close_code, ws.close_reason


async def hear_until_closed(ws: ClientConnection) -> list[str]:
    messages = []
    with suppress(ConnectionClosed):
        while True:
            messages.append(await hear(ws))
    return messages


class RudeClient:
    """A client that does nothing by itself: it neither reads nor answers a ping."""

    def __init__(self, running: Running, path: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE)
        request = (
            f"GET {path} HTTP/1.1",
            "Host: localhost",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        self.socket.sendall("\r\n".join((*request, "", "")).encode())
        self.file = self.socket.makefile("rb")
        while self.file.readline().strip():
            pass

    def __enter__(self) -> "RudeClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()

    def send(self, opcode: int, payload: bytes = b"") -> None:
        self.socket.sendall(bytes([0x80 | opcode, 0x80 | len(payload)]) + bytes(4) + payload)

    def read(self) -> tuple[int, bytes]:
        """Opcode and payload of a short frame."""
        first, length = self.file.read(2)
        return first & 0x0F, self.file.read(length)

    def wait_until_dropped(self) -> None:
        with suppress(ConnectionError):
            while self.file.read(1):
                pass


TEXT, RESERVED, CLOSE, PING, PONG = 1, 3, 8, 9, 10


# Serving


async def test_it_is_the_server_that_was_started(hardened):
    assert (await hardened.ask("/websocket_scope"))["token"] == hardened.token


async def test_it_runs_on_asyncios_own_loop(hardened):
    """Not on uvloop, even where it is installed: of reset connections it keeps descriptors."""
    assert (await hardened.ask("/websocket_scope"))["loop"].startswith("asyncio.")


async def test_what_is_there_from_the_start_is_not_searched_for_garbage(hardened):
    assert (await hardened.ask("/websocket_scope"))["frozen"] > 10_000


def test_a_taken_port_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [*SERVER, "--port", str(port), "tests.asgi_apps:application"]
        ended = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
    assert ended.returncode == 1
    assert ended.stdout == ""
    [line] = ended.stderr.splitlines()
    assert str(port) in line
    assert f"PORT={port + 1}" in line


def test_a_port_that_cannot_be_is_one_line():
    command = [*SERVER, "--port", "80000", "tests.asgi_apps:application"]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert "80000" in line


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_once_the_applications_have_cleaned_up(number, tmp_path):
    with served(tmp_path / "log") as running:
        async with running.connect("/clean_up?0") as one, running.connect("/clean_up?5") as two:
            await hear(one)
            await hear(two)
            running.process.send_signal(number)
            assert await asyncio.to_thread(running.process.wait, PATIENCE) == 0
        assert running.log.read_text().count("cleaned up") == 2


async def test_what_fails_at_the_very_end_is_logged(tmp_path):
    with served(tmp_path / "log") as running:
        async with running.connect("/fail_to_clean_up") as ws:
            await hear(ws)
            running.process.terminate()
            assert await asyncio.to_thread(running.process.wait, PATIENCE) == 0
        assert running.log.read_text().count("RuntimeError: at the very end") == 1


# The end


async def test_nobody_is_accepted_any_more_once_a_signal_has_come(tmp_path):
    with served(tmp_path / "log", LIFESPAN="endless_shutdown") as running:
        running.process.terminate()
        await until_logged(running, "hanging")
        with pytest.raises(ConnectionRefusedError):
            await running.connect("/echo")


async def test_who_waits_to_be_accepted_is_not_cut_off(tmp_path):
    with served(tmp_path / "log") as running:
        running.process.send_signal(signal.SIGSTOP)
        asking = asyncio.create_task(asyncio.to_thread(running.http, {}))
        await asyncio.sleep(0.3)  # it is in the queue of the kernel
        running.process.terminate()
        running.process.send_signal(signal.SIGCONT)
        assert (await asking)["scheme"] == "http"
        assert await ended(running) == 0


async def test_a_request_is_answered_before_the_end(tmp_path):
    with served(tmp_path / "log") as running:
        asking = asyncio.create_task(asyncio.to_thread(running.http, {}, "/slow_answer"))
        await until_logged(running, "asked")
        running.process.terminate()
        assert (await asking)["scheme"] == "http"
        assert await ended(running) == 0


async def test_a_websocket_is_told_that_the_server_restarts(tmp_path):
    with served(tmp_path / "log") as running:
        async with running.connect("/echo") as ws:
            running.process.terminate()
            assert await closed(ws) == (RESTARTING, "server restarting")
        assert await ended(running) == 0


async def test_who_does_not_read_its_goodbye_does_not_hold_up_the_end(tmp_path):
    options = ("--port", "0", "--drain-timeout", "1")
    with served(tmp_path / "log", *options) as running, RudeClient(running, "/flood?end"):
        await running.suspended("end")
        running.process.terminate()
        assert await ended(running) == 0


async def test_an_application_is_told_of_the_beginning_and_the_end(tmp_path):
    with served(tmp_path / "log", LIFESPAN="told") as running:
        assert await asyncio.to_thread(running.http, {})
        assert "startup is over" in running.log.read_text()
        running.process.terminate()
        assert await ended(running) == 0
        assert "shutdown is over" in running.log.read_text()


def test_an_application_that_cannot_start_is_not_served(tmp_path):
    with (
        pytest.raises(AssertionError, match="Nothing is there"),
        served(tmp_path / "log", LIFESPAN="startup_failed"),
    ):
        pass


async def test_whatever_hangs_the_end_comes(tmp_path):
    options = ("--port", "0", "--drain-timeout", "1")
    with served(tmp_path / "log", *options, LIFESPAN="endless_shutdown") as running:
        running.process.terminate()
        assert await ended(running) == 0
        assert "Not everything has ended in 1 seconds" in running.log.read_text()


async def test_a_second_signal_ends_the_process_at_once(tmp_path):
    with served(tmp_path / "log", LIFESPAN="endless_shutdown") as running:
        running.process.terminate()
        await until_logged(running, "hanging")
        running.process.terminate()
        assert await ended(running) == 1


async def test_whoever_started_it_is_told_when_it_accepts_and_when_it_ends(tmp_path):
    """systemd, or what starts several workers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        with served(tmp_path / "log", NOTIFY_SOCKET=str(tmp_path / "notify")) as running:
            assert await asyncio.to_thread(manager.recv, 100) == b"READY=1"
            assert await asyncio.to_thread(running.http, {})
            running.process.terminate()
            assert await asyncio.to_thread(manager.recv, 100) == b"STOPPING=1"


async def ended(running: Running) -> int:
    """The exit code, well before anybody loses patience."""
    return await asyncio.to_thread(running.process.wait, 10)


async def until_logged(running: Running, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while text not in running.log.read_text():
            await asyncio.sleep(0.02)


# The scope


async def test_the_scheme_is_ws(hardened):
    assert (await hardened.ask("/websocket_scope"))["scheme"] == "ws"


async def test_pings_are_advertised(hardened):
    assert (await hardened.ask("/websocket_scope"))["extensions"] == {"websocket.ping": {}}


FORWARDED = {
    "X-Forwarded-For": "198.51.100.66, 203.0.113.7",
    "X-Forwarded-Proto": "https",
    "Daphne-Root-Path": "/elsewhere",
}


async def test_a_client_is_not_believed_to_be_forwarded(hardened):
    scope = await hardened.ask("/websocket_scope", additional_headers=FORWARDED)
    assert (scope["client"][0], scope["scheme"], scope["root_path"]) == ("127.0.0.1", "ws", "")


def test_a_client_is_not_believed_to_be_forwarded_over_http(hardened):
    scope = hardened.http(FORWARDED)
    assert (scope["client"][0], scope["scheme"], scope["root_path"]) == ("127.0.0.1", "http", "")


def test_a_form_is_left_to_the_application(hardened):
    """Twisted would read it on the event loop, and refuse this one."""
    connection = HTTPConnection("127.0.0.1", hardened.port, timeout=PATIENCE)
    connection.request("POST", "/", b"no parts", {"Content-Type": "multipart/form-data"})
    assert connection.getresponse().status == 200
    connection.close()


async def test_a_proxy_is_believed_what_it_added_itself(tmp_path):
    with served(tmp_path / "log", "--port", "0", "--proxy-headers") as running:
        scope = await running.ask("/websocket_scope", additional_headers=FORWARDED)
        assert (scope["client"][0], scope["scheme"]) == ("203.0.113.7", "wss")
        assert scope["root_path"] == "/elsewhere"
        scope = running.http(FORWARDED)
        assert (scope["client"][0], scope["scheme"]) == ("203.0.113.7", "https")
        assert scope["root_path"] == "/elsewhere"


async def test_a_proxy_that_nobody_named_is_a_client_like_others(tmp_path):
    options = ("--port", "0", "--proxy-headers", "--trusted-proxies", "192.0.2.0/24,::1")
    with served(tmp_path / "log", *options) as running:
        scope = await running.ask("/websocket_scope", additional_headers=FORWARDED)
        assert (scope["client"][0], scope["scheme"], scope["root_path"]) == ("127.0.0.1", "ws", "")
        scope = running.http(FORWARDED)
        assert (scope["client"][0], scope["scheme"], scope["root_path"]) == (
            "127.0.0.1",
            "http",
            "",
        )


# Messages


async def test_empty_text_reaches_the_application(hardened):
    async with hardened.connect("/echo") as ws:
        await ws.send("")
        assert await hear_event(ws) == {"type": "websocket.receive", "text": ""}


async def test_empty_bytes_reach_the_application(hardened):
    async with hardened.connect("/echo") as ws:
        await ws.send(b"")
        assert await hear_event(ws) == {"type": "websocket.receive", "bytes": b""}


async def test_empty_messages_reach_the_client(hardened):
    async with hardened.connect("/empty") as ws:
        assert [await ws.recv(), await ws.recv()] == ["", b""]


async def test_a_message_cannot_be_text_and_bytes(hardened):
    async with hardened.connect("/both") as ws:
        assert await hear(ws) == "websocket.send takes either text or bytes"


async def test_a_message_that_is_too_big_is_answered_with_a_code(hardened):
    async with hardened.connect("/echo") as ws:
        with suppress(ConnectionClosed):
            await ws.send("x" * (MIB + 1))
        assert (await closed(ws))[0] == MESSAGE_TOO_BIG


# Pings


async def test_a_pong_comes_back_as_an_event(hardened):
    async with hardened.connect("/ping?one,two") as ws:
        assert await hear_event(ws) == {"type": "websocket.pong", "bytes": b"one"}
        assert await hear_event(ws) == {"type": "websocket.pong", "bytes": b"two"}


async def test_an_empty_ping_comes_back_too(hardened):
    async with hardened.connect("/ping") as ws:
        assert await hear_event(ws) == {"type": "websocket.pong", "bytes": b""}


async def test_a_pong_that_nobody_asked_for_is_no_event(hardened):
    async with hardened.connect("/echo") as ws:
        await ws.pong(b"unasked")
        await ws.send("next")
        assert await hear_event(ws) == {"type": "websocket.receive", "text": "next"}


def test_a_pong_answers_the_pings_before_it(hardened):
    with RudeClient(hardened, "/ping?one,two") as client:
        assert [client.read(), client.read()] == [(PING, b"one"), (PING, b"two")]
        for payload in (b"two", b"one"):
            client.send(PONG, payload)
        client.send(TEXT, b"next")
        assert [literal_eval(client.read()[1].decode()) for _ in range(2)] == [
            {"type": "websocket.pong", "bytes": b"two"},
            {"type": "websocket.receive", "text": "next"},
        ]


def test_the_keep_alive_goes_on_and_is_no_event(impatient):
    with RudeClient(impatient, "/echo") as client:
        opcode, payload = client.read()
        assert opcode == PING
        client.send(PONG, payload)
        client.send(TEXT, b"next")
        event = {"type": "websocket.receive", "text": "next"}
        assert literal_eval(client.read()[1].decode()) == event
        assert client.read()[0] == PING
        client.wait_until_dropped()  # having left that one unanswered


# Closing


async def test_a_close_carries_code_and_reason(hardened):
    async with hardened.connect("/close") as ws:
        assert await closed(ws) == (4503, "kicked")


async def test_a_finished_application_closes_the_socket(hardened):
    async with hardened.connect("/finish") as ws:
        assert (await closed(ws))[0] == 1000


async def test_an_application_that_finishes_without_accepting_has_refused(hardened):
    with pytest.raises(InvalidStatus, match="403"):
        await hardened.connect("/finish_unaccepted")


async def test_a_cancelled_application_closes_the_socket(hardened):
    async with hardened.connect("/cancel_itself") as ws:
        assert (await closed(ws))[0] == 1011


async def test_a_failing_application_closes_the_socket_and_is_logged_once(hardened):
    async with hardened.connect("/fail") as ws:
        assert (await closed(ws))[0] == 1011
    assert hardened.log.read_text().count("RuntimeError: on purpose") == 1


async def test_an_application_is_told_when_it_accepts_what_was_not_offered(hardened):
    async with hardened.connect("/accept_unoffered") as ws:
        assert "did not offer" in await hear(ws)


# Back-pressure


async def test_send_is_done_at_once_while_there_is_room(hardened):
    async with hardened.connect("/send_at_once") as ws:
        assert await hear_until_closed(ws) == ["at once", "it was"]


async def test_send_waits_while_the_reader_does_not_read(hardened):
    async with hardened.connect("/flood?waits") as ws:
        ws.transport.pause_reading()
        assert await hardened.suspended("waits") * len(CHUNK) < 8 * MIB
        ws.transport.abort()


async def test_send_returns_when_the_reader_goes_away(hardened):
    async with hardened.connect("/flood?away") as ws:
        ws.transport.pause_reading()
        await hardened.suspended("away")
        ws.transport.abort()
        assert await hardened.noticed("away", "ended") == "websocket.disconnect"


async def test_send_returns_when_the_client_breaks_the_rules(hardened):
    with RudeClient(hardened, "/flood?rules") as client:
        await hardened.suspended("rules")
        client.send(RESERVED)
        assert await hardened.noticed("rules", "ended") == "websocket.disconnect"


async def test_messages_wait_their_turn_and_a_cancelled_one_is_not_sent(hardened):
    assert await what_comes_in_turn(hardened) == ["one", "three", "four"]


async def what_comes_in_turn(running: Running) -> list[str]:
    async with running.connect("/in_turn?turn") as ws:
        ws.transport.pause_reading()
        await running.noticed("turn", "full")
        ws.transport.resume_reading()
        return [message for message in await hear_until_closed(ws) if message != CHUNK]


async def test_closing_does_not_wait_for_the_reader(hardened):
    async with hardened.connect("/close_a_slow_reader?slow") as ws:
        ws.transport.pause_reading()
        await hardened.noticed("slow", "closed")
        ws.transport.resume_reading()
        assert set(await hear_until_closed(ws)) == {CHUNK}
        assert await closed(ws) == (4002, "too slow")


async def test_who_says_goodbye_but_does_not_read_is_cut_off(impatient):
    with RudeClient(impatient, "/flood?goodbye") as client:
        await impatient.suspended("goodbye")
        client.send(CLOSE)
        assert await impatient.noticed("goodbye", "ended") == "websocket.disconnect"


async def test_who_only_sends_does_not_hold_up_the_others(impatient):
    async with impatient.connect("/send_after_the_end") as ws:
        await hear(ws)
        ws.transport.abort()
    assert (await impatient.ask("/websocket_scope"))["token"] == impatient.token


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux to see the memory")
async def test_a_reader_that_does_not_read_costs_no_memory(hardened):
    with RudeClient(hardened, "/flood?first"):
        await hardened.suspended("first")
    before = memory(hardened)
    with RudeClient(hardened, "/flood?second"):
        await hardened.suspended("second")
        assert memory(hardened) - before < 2 * MIB


def memory(running: Running) -> int:
    """Resident bytes."""
    pages = Path(f"/proc/{running.process.pid}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


async def test_a_client_that_floods_is_not_read_until_the_application_listens(hardened):
    """All that it says waits in the network, and nothing of it is lost."""
    chunk, said = "y" * 60_000, 0
    async with hardened.connect("/never_listen?flood", ping_interval=None) as ws:
        before = memory(hardened)
        with suppress(TimeoutError):
            while said < 200 * MIB:
                async with asyncio.timeout(2):
                    await ws.send(chunk)
                said += len(chunk)
        assert said < 50 * MIB
        assert memory(hardened) - before < 2 * MIB
        async with hardened.connect("/listen"):
            pass
        await ws.send("the last one")
        assert await hardened.noticed("flood", "all") >= said


async def test_tiny_messages_are_not_taken_out_of_the_network_either(hardened):
    with RudeClient(hardened, "/never_listen?tiny") as client:
        before = memory(hardened)
        flood = b"\x81\x80\0\0\0\0" * 20_000
        client.socket.settimeout(1)
        with suppress(TimeoutError):
            for _ in range(200):
                client.socket.sendall(flood)
        assert memory(hardened) - before < 2 * MIB


async def test_pings_of_who_does_not_read_cost_no_memory(hardened):
    with RudeClient(hardened, "/echo") as client:
        ping = b"\x89\xfd\0\0\0\0" + b"p" * 125
        client.socket.settimeout(1)
        with suppress(TimeoutError):
            for _ in range(100):
                client.socket.sendall(ping * 500)
        before = memory(hardened)
        with suppress(TimeoutError):
            for _ in range(400):
                client.socket.sendall(ping * 500)
        assert memory(hardened) - before < 2 * MIB


async def test_all_receivers_of_a_message_share_its_frame():
    assert text_frame("to everybody") is text_frame("to " + "everybody")


# Requests


def post(running: Running, size: int, **options: Any) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
    try:
        connection.request("POST", "/body_size", b"x" * size, **options)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def frugal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    options = ("--port", "0", "--http-max-body", "1000")
    with served(tmp_path_factory.mktemp("frugal") / "log", *options) as running:
        yield running


def test_a_body_reaches_the_application(frugal):
    assert post(frugal, 1000) == (200, b"1000")


def test_a_body_that_is_announced_as_too_large_is_refused(frugal):
    assert post(frugal, 1001)[0] == 413


def test_a_body_that_grows_too_large_is_refused(frugal):
    assert (
        post(frugal, 1001, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})[0] == 413
    )


# Where it listens


async def test_it_listens_on_a_file(tmp_path):
    path = tmp_path / "socket"
    for _ in range(2):  # a file that an earlier server left is no obstacle
        log = tmp_path / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*SERVER, "--unix-socket", str(path), "tests.asgi_apps:application"],
                cwd=ROOT,
                env=os.environ | {"TOKEN": secrets.token_hex(8)},
                stdout=output,
                stderr=output,
            )
        try:
            async with asyncio.timeout(PATIENCE), connect_to_file(path) as ws:
                await ws.send("hello")
                assert (await hear_event(ws))["text"] == "hello"
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


@asynccontextmanager
async def connect_to_file(path: Path) -> AsyncIterator[ClientConnection]:
    while True:
        with suppress(OSError):
            ws = await unix_connect(str(path), "ws://localhost/echo")
            break
        await asyncio.sleep(0.05)
    async with ws:
        yield ws


def test_it_does_not_take_the_place_of_a_file_that_is_none_of_its(tmp_path):
    path = tmp_path / "letter"
    path.write_text("Dear Bob")
    command = [*SERVER, "--unix-socket", str(path), "tests.asgi_apps:application"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert (ended.returncode, path.read_text()) == (1, "Dear Bob")
    [line] = ended.stderr.splitlines()
    assert str(path) in line


def test_a_descriptor_that_does_not_listen_is_one_line():
    command = [*SERVER, "--fd", "0", "tests.asgi_apps:application"]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert ended.returncode == 1
    [line] = ended.stderr.splitlines()
    assert line.startswith("Descriptor 0 is no socket")


# TLS


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("encrypted")
    key, certificate = self_signed(folder)
    endpoint = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    with served(folder / "log", "--endpoint", endpoint) as running:
        yield replace(running, tls=context)


def self_signed(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "key.pem").write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / "certificate.pem").write_bytes(certificate.public_bytes(encoding))
    return folder / "key.pem", folder / "certificate.pem"


async def test_the_scheme_is_wss_over_tls(encrypted):
    assert (await encrypted.ask("/websocket_scope"))["scheme"] == "wss"


async def test_messages_wait_their_turn_over_tls(encrypted):
    assert await what_comes_in_turn(encrypted) == ["one", "three", "four"]


async def test_a_close_carries_code_and_reason_over_tls(encrypted):
    async with encrypted.connect("/close") as ws:
        assert await closed(ws) == (4503, "kicked")


# Whom it listens for


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_only_this_machine_can_connect_there(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "chat.example.org"])
def test_others_can_connect_there(host):
    assert not is_loopback(host)


def test_a_socket_that_we_are_given_tells_its_host(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert Listener(listener).host == "127.0.0.1"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert Listener(listener).host == ""


def test_a_site_for_developers_is_for_this_machine_alone(tmp_path):
    """Otherwise everybody nearby could log in as admin with the password admin."""
    process = subprocess.run(
        [*SERVER, "--port", "0", "--bind", "0.0.0.0", "project.asgi:application"],
        cwd=ROOT,
        env=environment(tmp_path),
        timeout=PATIENCE,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    [line] = process.stderr.splitlines()
    assert line.startswith("DEBUG is on")


# What we lean on in Daphne, autobahn and Twisted: if one of these fails after an upgrade, read
# project/server.py beside their new code.


@pytest.mark.parametrize(
    ("hook", "parameters"),
    [
        (cli.CommandLineInterface.run, ["self", "args"]),
        (http_protocol.HTTPFactory.buildProtocol, ["self", "addr"]),
        (http_protocol.WebRequest.__init__, ["self", "args", "kwargs"]),
        (http.Request.__init__, ["self", "channel", "queued", "parsePOSTFormSubmission"]),
        (http.Request.gotLength, ["self", "length"]),
        (http.Request.handleContentChunk, ["self", "data"]),
        (http_protocol.WebRequest.process, ["self"]),
        (server.Server.create_application, ["self", "protocol", "scope"]),
        (server.Server.handle_reply, ["self", "protocol", "message"]),
        (server.Server.listen_success, ["self", "port"]),
        (server.Server.stop, ["self"]),
        (server.Server.kill_all_applications, ["self"]),
        (ws_protocol.WebSocketProtocol.check_timeouts, ["self"]),
        (ws_protocol.WebSocketProtocol.handle_exception, ["self", "exception"]),
        (ws_protocol.WebSocketProtocol.handle_reply, ["self", "message"]),
        (ws_protocol.WebSocketProtocol.serverAccept, ["self", "subprotocol"]),
        (ws_protocol.WebSocketProtocol.serverReject, ["self"]),
        (PreparedMessage.__init__, ["self", "payload", "isBinary", "applyMask", "doNotCompress"]),
        (WebSocketServerProtocol._cancelAutoPingTimeoutCall, ["self"]),
        (WebSocketServerProtocol._dataReceived, ["self", "data"]),
        (WebSocketServerProtocol.consumeData, ["self"]),
        (WebSocketServerProtocol.processData, ["self"]),
        (WebSocketServerProtocol.onMessage, ["self", "payload", "isBinary"]),
        (WebSocketServerProtocol.onPing, ["self", "payload"]),
        (WebSocketServerProtocol.connectionLost, ["self", "reason"]),
        (WebSocketServerProtocol.connectionMade, ["self"]),
        (WebSocketServerProtocol.dropConnection, ["self", "abort"]),
        (WebSocketServerProtocol.onPong, ["self", "payload"]),
        (WebSocketServerProtocol.sendClose, ["self", "code", "reason"]),
        (WebSocketServerProtocol.sendPing, ["self", "payload"]),
        (
            WebSocketServerProtocol._max_message_size_exceeded,
            ["self", "msg_size", "max_msg_size", "reason"],
        ),
        (TCPPort._fromListeningDescriptor, ["reactor", "fd", "addressFamily", "factory"]),
        (TCPPort.doRead, ["self"]),
        (UnixPort._fromListeningDescriptor, ["reactor", "fd", "factory"]),
        (TCPConnection.writeSomeData, ["self", "data"]),
        (TCPConnection.registerProducer, ["self", "producer", "streaming"]),
        (TLSMemoryBIOProtocol.registerProducer, ["self", "producer", "streaming"]),
    ],
    ids=lambda value: getattr(value, "__qualname__", ""),
)
def test_a_hook_is_still_there(hook, parameters):
    assert list(inspect.signature(hook).parameters) == parameters


def test_daphne_still_says_when_its_factories_are_made():
    source = inspect.getsource(server.Server.run)
    assert source.index("self.ws_factory =") < source.index("self.ready_callable()")
    assert source.index("self.ready_callable()") < source.index("reactor.run(")


def test_daphne_still_takes_what_we_say_otherwise():
    parameters = inspect.signature(server.Server.__init__).parameters
    headers = [f"proxy_forwarded_{header}_header" for header in ("address", "port", "proto")]
    assert {"signal_handlers", "ready_callable", "endpoints", *headers} <= parameters.keys()


def test_daphne_still_keeps_an_application_where_we_look_for_it():
    source = inspect.getsource(server.Server.create_application)
    assert 'self.connections[protocol]["application_instance"] =' in source


def test_twisted_still_keeps_what_it_has_to_write_where_we_look_for_it():
    connection = FileDescriptor(reactor=object())
    assert (connection._tempDataBuffer, connection.dataBuffer) == ([], b"")
    assert not connection.connected
    assert not connection.disconnecting


def test_twisted_still_accepts_as_many_as_a_port_says():
    assert "range(numAccepts)" in inspect.getsource(TCPPort.doRead)
    assert "numAccepts = self.numberAccepts" in inspect.getsource(TCPPort.doRead)


def test_a_queue_still_lets_a_class_see_what_goes_in_and_out():
    assert "self._put(" in inspect.getsource(asyncio.Queue.put_nowait)
    assert "self._get(" in inspect.getsource(asyncio.Queue.get_nowait)


def test_autobahn_still_lets_a_class_set_its_closing_timeout():
    assert "closeHandshakeTimeout" in WebSocketServerProtocol.CONFIG_ATTRS


def test_autobahn_still_copies_the_options_that_it_names_and_no_others():
    source = inspect.getsource(WebSocketProtocolBase._connectionMade)
    assert "for configAttr in self.CONFIG_ATTRS:" in source
    factory = ws_protocol.WebSocketFactory(None)
    assert all(hasattr(factory, name) for name in WebSocketServerProtocol.CONFIG_ATTRS)


def test_autobahn_still_gives_up_its_producer_before_it_closes():
    source = inspect.getsource(WebSocketServerProtocol.dropConnection)
    assert source.index("self.unregisterProducer()") < source.index("self._closeConnection(")


def test_twisted_still_pauses_at_64_kib():
    assert TCPConnection.bufferSize == 1 << 16
