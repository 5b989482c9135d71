"""What a process tells whoever started it, as systemd's sd_notify(3) says it; and who is told."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import CLOCK_MONOTONIC, clock_gettime_ns

READY, STOPPING = "READY=1", "STOPPING=1"


def notify(state: str) -> None:
    """Tell whoever started us, if they asked to be told."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.connect(address.replace("@", "\0", 1) if address[0] == "@" else address)
            manager.send(state.encode())


def reloading() -> str:
    """From now on, and until the next READY."""
    return f"RELOADING=1\nMONOTONIC_USEC={clock_gettime_ns(CLOCK_MONOTONIC) // 1_000}"


@contextmanager
def notices() -> Iterator[tuple[socket.socket, str]]:
    """Where a process that we start can tell us; and that address, for its NOTIFY_SOCKET."""
    with (
        tempfile.TemporaryDirectory(prefix="roost-") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox,
    ):
        inbox.setblocking(False)
        inbox.bind(address := f"{directory}/notices")
        yield inbox, address


async def is_told(inbox: socket.socket) -> None:
    """Return when the process says that it is ready."""
    while READY.encode() not in await asyncio.get_running_loop().sock_recv(inbox, 4096):
        pass
