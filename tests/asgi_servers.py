"""The server as a process of its own, with tiny applications behind it, and clients for it."""

import asyncio
import json
import os
import re
import secrets
import socket
import ssl
import subprocess
import sys
import time
from ast import literal_eval
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

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
def starting(
    log: Path, *options: str, command: tuple[str, ...] = SERVER, **env: str
) -> Iterator[Running]:
    """A server that need not listen yet."""
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
        yield Running(process, 0, token, log)
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


@contextmanager
def served(log: Path, *options: str, **how: Any) -> Iterator[Running]:
    """A server that listens."""
    with starting(log, *options, **how) as running:
        yield replace(running, port=port_in(log, running.process))


def port_in(log: Path, process: subprocess.Popen[bytes]) -> int:
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if listening := re.search(r"Listening on TCP address 127.0.0.1:(\d+)\n", log.read_text()):
            return int(listening[1])
        time.sleep(0.05)
    raise AssertionError(log.read_text())


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
