"""A client that says one thing as fast as it can; for bench/nuisances.py, in its own process.

It reads, or the server would soon stop listening to it; and when it is put out it comes back.
"""

import json
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import islice, repeat
from threading import Thread

from tests.bench import roost

BUFFER = 256 * 1024  # bytes that are handed over at once
BACK_AFTER = 1.0  # seconds; sooner than a client should
PATIENCE = 10.0

PING = '{"type":"ping"}'


def posts(room: str) -> Iterator[str]:
    while True:
        yield roost.post(room, "x")


def retries(room: str) -> Iterator[str]:
    return repeat(roost.post(room, "x", str(uuid.uuid4())))


KINDS: dict[str, Callable[[str], Iterator[str]]] = {
    "pings": lambda _: repeat(PING),
    "pings, 60 KB of them at once": lambda _: repeat("\n".join([PING] * 3_750)),
    "pings of 60 KB": lambda _: repeat(json.dumps({"type": "ping", "of": "x" * 60_000})),
    "posts": posts,
    "one post, again and again": retries,
    "garbage": lambda _: repeat("{" * 100),
    "garbage of 60 KB": lambda _: repeat("{" * 60_000),
}


def main(kind: str, port: str, token: str, room: str) -> None:
    messages = KINDS[kind](room)
    sample = frame(next(messages))
    said = b"".join(map(frame, islice(messages, max(1, BUFFER // len(sample)))))
    print("begins", flush=True)
    while True:
        with socket.create_connection(("127.0.0.1", int(port)), PATIENCE) as connection:
            connection.sendall(roost.handshake(token).encode())
            connection.recv(4096)
            connection.sendall(frame(roost.hello()))
            connection.settimeout(None)
            reader = Thread(target=read, args=[connection], daemon=True)
            reader.start()
            say(connection, said)
        time.sleep(BACK_AFTER)


def say(connection: socket.socket, said: bytes) -> None:
    try:
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


def frame(text: str) -> bytes:
    """With a mask that changes nothing."""
    payload = text.encode()
    if len(payload) < 126:
        head = bytes([0x81, 0x80 | len(payload)])
    else:
        head = b"\x81\xfe" + len(payload).to_bytes(2)
    return head + b"\0\0\0\0" + payload


if __name__ == "__main__":
    main(*sys.argv[1:])
