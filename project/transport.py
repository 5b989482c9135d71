"""Twisted's ports and connections as the server wants them."""

import socket
from typing import Any

from twisted.internet import tcp, unix

from .door import Door

# Milliseconds that a peer may take to acknowledge anything, or to make room for more: of one that
# is gone while we wait for it to read, nothing else would tell. Linux; accepted sockets inherit it.
# Longer than applications may want to wait, and to be heard when they give up.
GONE_AFTER = 60_000

ACCEPTED_AT_ONCE = 32  # connections, of a flood
STUCK_FOR = 1.0  # seconds until we look whether there are descriptors again


class WritingAtOnce:
    """Of a connection: what the kernel takes. Twisted would first wait to be told of room for it.

    That costs two system calls more for each write, and a turn of the event loop.
    """

    def write(self: Any, data: bytes) -> None:
        is_pulled = self.producer is not None and not self.streamingProducer
        if self.connected and not (self.dataBuffer or self._tempDataBuffer or is_pulled):
            sent = self.writeSomeData(data)
            if isinstance(sent, int):  # an error comes again, where Twisted is ready for it
                data = data[sent:]
        if data:
            super().write(data)  # type: ignore[misc]


class TCPConnection(WritingAtOnce, tcp.Server):
    pass


class UnixConnection(WritingAtOnce, unix.Server):
    pass


class PatientPort:
    """One that leaves others their turn, also when its door can let nobody in."""

    def doRead(self: Any) -> None:
        super().doRead()  # type: ignore[misc]
        self.numberAccepts = min(self.numberAccepts, ACCEPTED_AT_ONCE)  # Twisted's only grows
        if self.socket.is_stuck:
            self.socket.is_stuck = False
            self.stopReading()
            self.reactor.callLater(STUCK_FOR, self._read_on)

    def _read_on(self: Any) -> None:
        if self.connected:
            self.startReading()


class TCPPort(PatientPort, tcp.Port):
    transport = TCPConnection


class UnixPort(PatientPort, unix.Port):
    """Leaves the socket's file to whoever made it; Twisted would change its mode, and remove it."""

    transport = UnixConnection
    startListening = tcp.Port.startListening
    connectionLost = tcp.Port.connectionLost


def port_on(door: Door, reactor: Any, factory: Any) -> Any:
    """Twisted's port, which takes the door over."""
    kind: Any = UnixPort
    family = []
    if door.family != socket.AF_UNIX:
        kind, family = TCPPort, [door.family]
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            door.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER)
    port = kind._fromListeningDescriptor(reactor, door.fileno(), *family, factory)
    port._preexistingSocket.close()  # which it has made of the descriptor
    port._preexistingSocket = door
    port.startListening()
    return port
