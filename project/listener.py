"""The socket that a server listens on: made here, or inherited."""

import errno
import logging
import os
import socket
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Self

logger = logging.getLogger(__name__)

# Connections that may wait to be accepted: Twisted's 50 are few when a thousand browsers come back.
BACKLOG = 4096


@dataclass(frozen=True)
class Listener:
    socket: socket.socket
    path: str = ""  # of the file that was made for it
    inode: int = 0

    @classmethod
    def on_port(cls, host: str, port: int) -> Self:
        """Exits with one line if that cannot be."""
        host = host.strip("[]")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            return cls(socket.create_server((host, port), family=family, backlog=BACKLOG))
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
            # A proxy is another user; the directory says who may come.
            os.chmod(made, 0o666)  # noqa: S103
            listener.listen(BACKLOG)
            inode = os.stat(made).st_ino
            if _somebody_listens(path):
                logger.warning("%s was another server's, whom nobody reaches any more.", path)
            os.rename(made, path)  # at no moment is there none
        except OSError as error:
            with suppress(OSError):
                os.unlink(made)
            sys.exit(f"Cannot listen on {path}: {error.strerror or error}.")
        return cls(listener, path, inode)

    @classmethod
    def inherited(cls, descriptor: int) -> Self:
        """Exits with one line if it is no socket that listens."""
        try:
            listener = socket.socket(fileno=descriptor)
            if not listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                sys.exit(f"Descriptor {descriptor} is a socket that does not listen.")
        except (OSError, ValueError, OverflowError) as error:
            sys.exit(f"Descriptor {descriptor} is no socket: {getattr(error, 'strerror', error)}.")
        return cls(listener)

    def hide(self) -> None:
        """Remove the file, unless it is a successor's by now: nobody else connects."""
        with suppress(OSError):
            if self.path and os.stat(self.path).st_ino == self.inode:
                os.unlink(self.path)

    @property
    def host(self) -> str:
        """Empty if it is a file."""
        name = self.socket.getsockname()
        return str(name[0]) if isinstance(name, tuple) else ""


def _somebody_listens(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as visitor:
        visitor.setblocking(False)
        return visitor.connect_ex(path) in (0, errno.EAGAIN)


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect."""
    try:
        return host in {"", "localhost"} or ip_address(host).is_loopback
    except ValueError:
        return False
