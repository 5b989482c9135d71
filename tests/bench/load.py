"""WebSockets as cheap as can be, so that the bench measures the server and not itself."""

import asyncio
from collections.abc import Sequence
from itertools import repeat
from typing import Any, Protocol, TypeVar

from tests.servers import PATIENCE, Server

C = TypeVar("C", bound="Connection")


class Chat(Protocol):
    """How one talks to a chat that is measured: what the n-th connection says on the wire."""

    name: str

    def request(self, n: int) -> str:
        """Its handshake."""

    def hello(self) -> list[str]:
        """Its first messages, which are answered by `synced`; perhaps none."""

    def acknowledge(self, n: int, latest: bytes) -> list[str]:
        """What it says once a second about what it has received last; perhaps nothing."""


class Counter:
    """Counts a marker in a stream that comes in pieces."""

    def __init__(self, marker: bytes) -> None:
        self._marker = marker
        self._tail = b""
        self.count = 0

    def feed(self, data: bytes) -> int:
        """How often it stood in this piece."""
        data = self._tail + data
        found = data.count(self._marker)
        self.count += found
        self._tail = data[-len(self._marker) + 1 :]
        return found


class Connection(asyncio.Protocol):
    """It only counts, in the stream, what messages contain."""

    def __init__(self) -> None:
        self.messages = Counter(b'"message"')
        self.synced = Counter(b'"synced"')
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.latest = b""
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            self.latest = data
            self.messages.feed(data)
            if not self.synced.count:
                self.synced.feed(data)
        elif b" 101 " in data:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(AssertionError(data))

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True
        self.opened.cancel()

    async def open(self, request: str) -> None:
        self._transport.write(request.encode())
        await asyncio.wait_for(self.opened, PATIENCE)

    def send(self, text: str) -> None:
        payload = text.encode()
        size = len(payload)
        head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2)
        self._transport.write(head + b"\0\0\0\0" + payload)  # a mask that changes nothing

    def pong(self, payload: bytes) -> None:
        self._transport.write(bytes([0x8A, 0x80 | len(payload)]) + b"\0\0\0\0" + payload)

    def close(self) -> None:
        self._transport.abort()


class Recorder(Connection):
    """Remembers everything, to check the order."""

    def __init__(self) -> None:
        super().__init__()
        self._stream: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._stream.append(data)

    @property
    def stream(self) -> bytes:
        return b"".join(self._stream)


async def enter(server: Server, chat: Chat, connections: Sequence[Connection]) -> None:
    """Connect them one after the other, and wait until each is live."""
    loop = asyncio.get_running_loop()
    for n, connection in enumerate(connections):
        await loop.create_connection(repeat(connection).__next__, "127.0.0.1", server.port)
        await connection.open(chat.request(n))
        for text in chat.hello():
            connection.send(text)
    async with asyncio.timeout(PATIENCE):
        while chat.hello() and not all(connection.synced.count for connection in connections):
            await asyncio.sleep(0.05)


async def acknowledge_forever(chat: Chat, connections: Sequence[Connection]) -> None:
    """Everybody once a second, not all at the same moment."""
    while True:
        for n, connection in enumerate(connections):
            for text in chat.acknowledge(n, connection.latest):
                connection.send(text)
            await asyncio.sleep(1 / len(connections))


def handshake(path: str, *headers: str) -> str:
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Version: 13",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""])
