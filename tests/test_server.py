"""The server as a process of its own, with real clients and rude ones."""

import asyncio
import inspect
import os
import socket
import ssl
import struct
import subprocess
import sys
import time
from ast import literal_eval
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from daphne.server import Server as DaphneServer
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from project.server import CommandLine
from project.websocket import MESSAGE_TOO_BIG, text_frame
from tests.asgi_apps import CHUNK
from tests.asgi_servers import (
    CLOSE,
    MIB,
    PATIENCE,
    PING,
    PONG,
    RESERVED,
    ROOT,
    SERVER,
    TEXT,
    RudeClient,
    Running,
    closed,
    hear,
    hear_event,
    hear_until_closed,
    served,
    starting,
)
from tests.servers import environment


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with served(tmp_path_factory.mktemp("hardened") / "log") as running:
        yield running


FRAMES = 1_000  # of one message: as many as it really may have come in no less than 14 seconds

IMPATIENT = (
    "from project import server, websocket;"
    "server.WebSocketProtocol.closeHandshakeTimeout = 1;"
    f"websocket.FRAMES_OF_MESSAGE = {FRAMES};"
    "server.CommandLine.entrypoint()"
)


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("impatient") / "log"
    options = ("--ping-interval", "1", "--ping-timeout", "2", "--application-close-timeout", "1")
    command = (sys.executable, "-c", IMPATIENT)
    with served(log, "--port", "0", *options, command=command) as running:
        yield running


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


async def test_a_proxy_that_may_have_been_forgotten_is_told_of_once(tmp_path):
    with served(tmp_path / "log") as running:
        await running.ask("/websocket_scope")
        assert "TRUSTED_PROXIES" not in (tmp_path / "log").read_text()
        running.http(FORWARDED)
        await running.ask("/websocket_scope", additional_headers=FORWARDED)
    told = [
        line for line in (tmp_path / "log").read_text().splitlines() if "TRUSTED_PROXIES" in line
    ]
    assert len(told) == 1
    assert "127.0.0.1 says for whom it speaks" in told[0]


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


@pytest.mark.parametrize("limit", ["--websocket-max-message-size", "--websocket-max-frame-size"])
async def test_how_big_a_message_and_a_frame_may_be_is_an_option(limit, tmp_path):
    with served(tmp_path / "log", "--port", "0", limit, "1000") as running:
        async with running.connect("/echo") as ws:
            await ws.send("x" * 1000)
            assert (await hear_event(ws))["text"] == "x" * 1000
            await ws.send("x" * 1001)
            assert (await closed(ws))[0] == MESSAGE_TOO_BIG


# Pings


def test_whoever_is_gone_is_noticed_within_35_seconds_and_nobody_is_sent_away_for_staying():
    options = CommandLine().parser.parse_args(["application"])
    checked_every = 2
    assert "reactor.callLater(2, self.timeout_checker)" in inspect.getsource(DaphneServer)
    assert options.ping_interval + checked_every + options.ping_timeout <= 35
    assert options.websocket_timeout == -1


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
        before = memory(hardened)
        with suppress(ConnectionError):  # in the end it is cut off
            for _ in range(60):
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


def test_a_body_reaches_it_also_from_clients_that_would_rather_speak_http2(frugal):
    headers = {"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c", "HTTP2-Settings": ""}
    assert post(frugal, 1000, headers=headers) == (200, b"1000")


def test_a_body_that_is_announced_as_too_large_is_refused(frugal):
    assert post(frugal, 1001)[0] == 413


def test_a_body_that_grows_too_large_is_refused(frugal):
    assert (
        post(frugal, 1001, encode_chunked=True, headers={"Transfer-Encoding": "chunked"})[0] == 413
    )


def test_who_is_refused_is_not_told_to_go_on(frugal):
    head = (
        b"POST /body_size HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Length: 1001\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", frugal.port), timeout=PATIENCE) as client:
        client.sendall(head)
        with client.makefile("rb") as answer:
            said = answer.read()
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in said


def test_an_answer_that_fails_half_way_is_cut_off_and_nothing_else_is(hardened):
    for _ in range(2):
        connection = HTTPConnection("127.0.0.1", hardened.port, timeout=PATIENCE)
        connection.request("GET", "/fail_half_way")
        with pytest.raises((HTTPException, ConnectionError)):
            connection.getresponse().read()
        connection.close()


def test_answers_to_what_was_asked_ahead_wait_for_their_reader(hardened):
    before = memory(hardened)
    asked = b"GET /much HTTP/1.1\r\nHost: localhost\r\n\r\n" * 200
    with socket.create_connection(("127.0.0.1", hardened.port), timeout=PATIENCE) as client:
        client.sendall(asked)
        time.sleep(2)
        assert memory(hardened) - before < 20 * MIB


@pytest.mark.parametrize(
    "header",
    ["Content-Length: 6", "Daphne-Root-Path: /\xfc", "Sec-WebSocket-Protocol: \xfc"],
)
def test_a_handshake_that_makes_no_sense_is_refused_and_nothing_to_worry_about(header, frugal):
    handshake = (
        "GET /echo HTTP/1.1",
        "Host: localhost",
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        header,
    )
    ping = b"\x89\x80\0\0\0\0"
    with socket.create_connection(("127.0.0.1", frugal.port), timeout=PATIENCE) as client:
        client.sendall("\r\n".join((*handshake, "", "")).encode("latin-1") + ping)
        assert client.recv(1_000).startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in frugal.log.read_text()


async def test_a_message_in_more_frames_than_it_needs_is_refused(impatient):
    with RudeClient(impatient, "/echo") as client:
        client.socket.sendall(b"\x01\x80\0\0\0\0" + b"\0\x80\0\0\0\0" * (FRAMES + 2))
        opcode, payload = next(frame for frame in iter(client.read, None) if frame[0] != PING)
        assert (opcode, int.from_bytes(payload[:2])) == (CLOSE, MESSAGE_TOO_BIG)


async def test_a_client_that_goes_while_it_is_not_read_is_noticed(impatient):
    with RudeClient(impatient, "/never_listen?gone") as client:
        client.socket.settimeout(0.5)
        with suppress(TimeoutError):
            for _ in range(200):
                client.socket.sendall(b"\x81\xfe\x27\x10" + bytes(4) + b"x" * 10_000)
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    async with asyncio.timeout(PATIENCE):
        while "WSDISCONNECT /never_listen" not in impatient.log.read_text():
            await asyncio.sleep(0.1)


# Where it listens


async def test_it_listens_on_a_file_for_everybody_whom_its_directory_lets_in(tmp_path):
    path = tmp_path / "socket"
    for _ in range(2):  # a file that an earlier server left is no obstacle
        with starting(tmp_path / "log", "--unix-socket", str(path)) as running:
            async with asyncio.timeout(PATIENCE), connect_to_file(path) as ws:
                await ws.send("hello")
                assert (await hear_event(ws))["text"] == "hello"
            assert path.stat().st_mode & 0o777 == 0o666
            running.process.terminate()
            assert await asyncio.to_thread(running.process.wait, PATIENCE) == 0


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
