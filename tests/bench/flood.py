"""A client that says one thing as fast as it can; for bench/nuisances.py, in its own process.

It reads, or the server would soon stop listening to it; and when it is put out it comes back.
"""

import json
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import chain, islice, repeat
from threading import Thread

from tests.bench import roost

BUFFER = 256 * 1024  # bytes that are handed over at once
BACK_AFTER = 1.0  # seconds; sooner than a client should
PATIENCE = 10.0

PING = '{"type":"ping"}'
TEXT, START, NEXT, CONTROL_PING = 0x81, 0x01, 0x00, 0x89


def frame(payload: str, head: int = TEXT) -> bytes:
    """Of WebSocket, with a mask that changes nothing."""
    data = payload.encode()
    size = bytes([128 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    return bytes([head]) + size + b"\0\0\0\0" + data


def posts(room: str) -> Iterator[bytes]:
    while True:
        yield frame(roost.post(room, "x"))


def retries(room: str) -> Iterator[bytes]:
    return repeat(frame(roost.post(room, "x", str(uuid.uuid4()))))


def fragments(_room: str) -> Iterator[bytes]:
    """One message that does not end, and does not grow either."""
    return chain([frame("", START)], repeat(frame("", NEXT)))


KINDS: dict[str, Callable[[str], Iterator[bytes]]] = {
    "pings": lambda _: repeat(frame(PING)),
    "pings, 60 KB of them at once": lambda _: repeat(frame("\n".join([PING] * 3_750))),
    "pings of 60 KB": lambda _: repeat(frame(json.dumps({"type": "ping", "of": "x" * 60_000}))),
    "posts": posts,
    "one post, again and again": retries,
    "garbage": lambda _: repeat(frame("{" * 100)),
    "garbage of 60 KB": lambda _: repeat(frame("{" * 60_000)),
    "WebSocket's own pings": lambda _: repeat(frame("", CONTROL_PING)),
    "empty fragments": fragments,
}


def main(kind: str, port: str, token: str, room: str) -> None:
    frames = KINDS[kind](room)
    first = next(frames)
    said = b"".join(islice(frames, max(1, BUFFER // len(first))))
    print("begins", flush=True)
    while True:
        with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as connection:
            connection.sendall(roost.handshake(token).encode())
            connection.recv(4096)
            connection.sendall(frame(roost.hello()))
            connection.settimeout(None)
            reader = Thread(target=read, args=[connection], daemon=True)
            reader.start()
            say(connection, first, said)
        time.sleep(BACK_AFTER)


def say(connection: socket.socket, first: bytes, said: bytes) -> None:
    try:
        connection.sendall(first)
        while True:
            connection.sendall(said)
    except OSError:
        return


def read(connection: socket.socket) -> None:
    try:
        while (data := connection.recv(1 << 20)) and b'"bye"' not in data:
            pass
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
