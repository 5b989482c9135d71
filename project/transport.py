"""Twisted's ports and connections as the server wants them."""

import socket
from typing import Any

from twisted.internet import tcp, unix

# Milliseconds that a peer may take to acknowledge anything, or to make room for more: of one that
# is gone while we wait for it to read, nothing else would tell. Linux; accepted sockets inherit it.
# Longer than applications may want to wait, and to be heard when they give up.
GONE_AFTER = 60_000


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


class TCPPort(tcp.Port):
    transport = TCPConnection


class UnixPort(unix.Port):
    """Leaves the socket's file to whoever made it; Twisted would change its mode, and remove it."""

    transport = UnixConnection
    startListening = tcp.Port.startListening
    connectionLost = tcp.Port.connectionLost


def port_on(listener: socket.socket, reactor: Any, factory: Any) -> Any:
    """Twisted's port for a socket that listens; it takes the socket over."""
    listener.setblocking(False)
    kind: Any = UnixPort
    family = []
    if listener.family != socket.AF_UNIX:
        kind, family = TCPPort, [listener.family]
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER)
    port = kind._fromListeningDescriptor(reactor, listener.fileno(), *family, factory)
    port.startListening()
    listener.close()  # Twisted has a descriptor of its own
    return port
