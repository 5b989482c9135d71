"""A listening socket that lets in as many as there are places for, and tells the others at once."""

import errno
import socket
from contextlib import suppress
from typing import Any

from .places import Places

REFUSAL = b"HTTP/1.1 %s\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
REFUSED_AT_ONCE = 64  # until those who are in have their turn

# As long as somebody waits, the event loop would ask again at once, and learn the same.
SHORTAGE = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class Door(socket.socket):
    """It takes the place of the listening socket that it is made of."""

    def __init__(self, listener: socket.socket, places: Places) -> None:
        super().__init__(listener.family, listener.type, listener.proto, fileno=listener.detach())
        self.setblocking(False)
        self.is_stuck = False  # nobody can be let in for now; who waits, waits in the kernel
        self._places = places

    def accept(self) -> tuple[socket.socket, Any]:
        for _ in range(REFUSED_AT_ONCE):
            connection, peer = self._next()
            household = self._places.household(peer)
            if (status := self._places.refusal(household)) is None:
                return Guest(connection, self._places, household), peer
            refuse(connection, status)
        raise BlockingIOError(errno.EAGAIN, "those who are in first")

    def _next(self) -> tuple[socket.socket, Any]:
        try:
            return super().accept()
        except OSError as error:
            if error.errno not in SHORTAGE:
                raise
            self.is_stuck = True
            self._places.say_refused(f"there are no descriptors ({error.strerror})")
            raise BlockingIOError(errno.EAGAIN, "later") from error


class Guest(socket.socket):
    """A connection that has a place until it is closed."""

    __slots__ = ("_household", "_places")

    def __init__(self, connection: socket.socket, places: Places, household: str | None) -> None:
        family, kind, protocol = connection.family, connection.type, connection.proto
        super().__init__(family, kind, protocol, fileno=connection.detach())
        self._places = places
        self._household = household
        places.take(household)

    def close(self) -> None:
        if self.fileno() != -1:
            self._places.give_back(self._household)
        super().close()


def refuse(connection: socket.socket, status: bytes) -> None:
    with connection, suppress(OSError):
        connection.setblocking(False)
        connection.send(REFUSAL % status)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65_536)  # what nobody has read would make of the end a reset
