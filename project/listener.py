"""The socket that a server listens on: made here, or inherited."""

import errno
import os
import socket
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Self

from twisted.internet import tcp, unix

# Connections that may wait to be accepted: Twisted's 50 are few when a thousand browsers come back.
BACKLOG = 4096

# Milliseconds that a peer may take to acknowledge anything, or to make room for more: of one that
# is gone while we wait for it to read, nothing else would tell. Linux; accepted sockets inherit it.
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


@dataclass(frozen=True)
class Listener:
    socket: socket.socket

    @classmethod
    def on_port(cls, host: str, port: int, *, reuse_port: bool = False) -> Self:
        """Exits with one line if that cannot be.

        With `reuse_port` several may listen on one port: the kernel spreads connections over them.
        """
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return cls(
                socket.create_server(
                    (host, port), family=family, backlog=BACKLOG, reuse_port=reuse_port
                )
            )
        except OSError as error:
            hint = f" Choose another: PORT={port + 1}" if error.errno == errno.EADDRINUSE else ""
            sys.exit(f"Cannot listen on {host}, port {port}: {error.strerror}.{hint}")
        except OverflowError:
            sys.exit(f"Cannot listen on port {port}: ports are numbers from 0 to 65535.")

    @classmethod
    def on_file(cls, path: str) -> Self:
        """A Unix socket, in place of one that an earlier server left. Exits if that cannot be."""
        listener = socket.socket(socket.AF_UNIX)
        made = f"{path}.{os.getpid()}"
        try:
            if Path(path).exists() and not stat.S_ISSOCK(os.stat(path).st_mode):
                sys.exit(f"Cannot listen on {path}: that is no socket, and stays as it is.")
            listener.bind(made)
            listener.listen(BACKLOG)
            os.rename(made, path)  # at no moment is there none
        except OSError as error:
            with suppress(OSError):
                os.unlink(made)
            sys.exit(f"Cannot listen on {path}: {error.strerror or error}.")
        return cls(listener)

    @classmethod
    def inherited(cls, descriptor: int) -> Self:
        """Exits with one line if it is no socket that listens."""
        try:
            listener = socket.socket(fileno=descriptor)
            if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sys.exit(f"Descriptor {descriptor} is a socket that does not listen.")
        except OSError as error:
            sys.exit(f"Descriptor {descriptor} is no socket: {error.strerror}.")
        return cls(listener)

    @property
    def host(self) -> str:
        """Empty if it is a file."""
        name = self.socket.getsockname()
        return str(name[0]) if isinstance(name, tuple) else ""

    def port(self, reactor: Any, factory: Any) -> Any:
        """Let Twisted accept who comes; its port."""
        self.socket.setblocking(False)
        descriptor, family = self.socket.fileno(), self.socket.family
        if family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_AFTER)
        kind: Any = UnixPort if family == socket.AF_UNIX else TCPPort
        families = () if family == socket.AF_UNIX else (family,)
        port = kind._fromListeningDescriptor(reactor, descriptor, *families, factory)
        port.startListening()
        self.socket.close()  # Twisted has its own descriptor of it
        return port


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect."""
    try:
        return host in {"", "localhost"} or ip_address(host).is_loopback
    except ValueError:
        return False
