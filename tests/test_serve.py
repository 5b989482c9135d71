"""`manage.py serve`: one worker, wherever it is told to listen, with what the settings say."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from project.server import CommandLine
from tests.servers import PATIENCE, ROOT, Server, environment

SERVE = ("manage.py", "serve")


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Runs the command with these options."""
    processes = []

    def start(*options: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, *SERVE, *options],
            cwd=ROOT,
            env=environment(tmp_path),
            stderr=subprocess.PIPE,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=PATIENCE)


def healthz(connect: Callable[[], socket.socket], process: subprocess.Popen[bytes]) -> bytes:
    """What it answers as soon as it answers."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None
        assert time.monotonic() < deadline
        with closing(http.client.HTTPConnection("localhost", timeout=PATIENCE)) as connection:
            try:
                connection.sock = connect()
            except OSError:
                time.sleep(0.05)
                continue
            connection.request("GET", "/healthz")
            return connection.getresponse().read()


def test_it_serves_on_a_port(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    process = start("--port", str(address[1]))
    assert healthz(lambda: socket.create_connection(address), process) == b"ok"


def test_it_serves_on_a_unix_socket(start, tmp_path):
    path = os.path.relpath(tmp_path / "socket", ROOT)
    process = start("--unix-socket", path)

    def connect():
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(os.path.relpath(tmp_path / "socket"))
        return connection

    assert healthz(connect, process) == b"ok"
    process.terminate()
    assert process.wait(PATIENCE) == 0
    assert not (tmp_path / "socket").exists()  # or a proxy would believe that somebody is there


def test_it_serves_on_a_descriptor(tmp_path):
    with Server(tmp_path / "log", environment(tmp_path), SERVE) as server:
        assert server.request("GET", "/healthz") == (200, b"ok")
        assert server.stop() == 0


def test_a_socket_that_only_has_an_address_is_listened_on(tmp_path):
    server = Server(tmp_path / "log", environment(tmp_path), SERVE)
    server._listener.close()
    server._listener = socket.socket()
    server._listener.bind(("127.0.0.1", 0))
    server.port = server._listener.getsockname()[1]
    with server:
        assert server.request("GET", "/healthz") == (200, b"ok")


def test_it_listens_in_one_place_only():
    with pytest.raises(CommandError, match="not allowed with"):
        call_command("serve", "--port", "8001", "--fd", "3")


# What the settings say


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Callable[[], object]:
    """What the server is told, once it has understood it."""
    said: list[list[str]] = []
    monkeypatch.setattr(CommandLine, "run", lambda self, args: said.append(args))

    def told() -> object:
        call_command("serve")
        return CommandLine().parser.parse_args(said[0])

    return told


def test_the_limits_are_those_of_the_settings(told, settings):
    settings.WEBSOCKET_MESSAGE_BYTES = 1_000
    settings.WEBSOCKET_FRAME_BYTES = 500
    settings.MAX_CONNECTIONS = 700
    settings.MAX_CONNECTIONS_PER_ADDRESS = 70
    settings.DRAIN_SECONDS = 2.5
    options = told()
    assert options.websocket_max_message_size == 1_000
    assert options.websocket_max_frame_size == 500
    assert options.max_connections == 700
    assert options.max_connections_per_address == 70
    assert options.drain_timeout == 2.5


def test_no_proxy_is_believed_unless_it_is_named(told):
    assert not told().proxy_headers


def test_a_proxy_that_is_named_is_believed(told, settings):
    settings.TRUSTED_PROXIES = ["127.0.0.1/32", "10.0.0.0/8"]
    options = told()
    assert options.proxy_headers
    assert [str(network) for network in options.trusted_proxies] == settings.TRUSTED_PROXIES


def test_the_application_is_that_of_the_settings(told):
    options = told()
    assert options.application == "project.asgi:application"
    assert (options.host, options.port) == ("127.0.0.1", 8000)


def test_a_port_that_is_taken_ends_it_in_one_line(start):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = start("--port", str(listener.getsockname()[1]))
        _, error = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert len(error.splitlines()) == 1


def test_a_signal_ends_it_well(tmp_path):
    with Server(tmp_path / "log", environment(tmp_path), SERVE) as server:
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(PATIENCE) == 0
