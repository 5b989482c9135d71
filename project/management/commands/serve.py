"""`manage.py serve`: one worker, with what the settings say."""

import os
import socket
from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from project.listener import BACKLOG
from project.server import CommandLine


class Command(BaseCommand):
    help = "Serve the site, as one worker: on a port, a Unix socket or an inherited descriptor."
    requires_system_checks = []  # the application insists on those that matter, in a line each

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
        where = parser.add_mutually_exclusive_group()
        where.add_argument("--port", type=int, help="default: 8000")
        where.add_argument("--unix-socket", metavar="PATH")
        where.add_argument("--fd", metavar="NUMBER", type=int, help="a descriptor of a socket")

    def handle(self, *args: Any, **options: Any) -> None:
        module, _, name = settings.ASGI_APPLICATION.rpartition(".")
        CommandLine().run([*_place(options), *_limits(), f"{module}:{name}"])


def _place(options: dict[str, Any]) -> list[str]:
    if options["fd"] is not None:
        _listen(options["fd"])
        return ["--fd", str(options["fd"])]
    if options["unix_socket"]:
        return ["--unix-socket", options["unix_socket"]]
    port = 8000 if options["port"] is None else options["port"]
    return ["--bind", options["host"], "--port", str(port)]


def _listen(descriptor: int) -> None:
    """Whoever made it may leave this to us, so that nobody waits for a worker that only starts."""
    # Listener.inherited says what is wrong with it.
    with (
        suppress(OSError, ValueError, OverflowError),
        socket.socket(fileno=os.dup(descriptor)) as listener,
    ):
        listener.listen(BACKLOG)


def _limits() -> list[str]:
    trusted = settings.TRUSTED_PROXIES
    proxies = ["--proxy-headers", "--trusted-proxies", ",".join(trusted)] if trusted else []
    # The access log is for people.
    lines = ["--verbosity", "0"] if settings.LOG_FORMAT == "json" else []
    return [
        *proxies,
        *lines,
        f"--websocket-max-message-size={settings.WEBSOCKET_MESSAGE_BYTES}",
        f"--websocket-max-frame-size={settings.WEBSOCKET_FRAME_BYTES}",
        f"--max-connections={settings.MAX_CONNECTIONS}",
        f"--max-connections-per-address={settings.MAX_CONNECTIONS_PER_ADDRESS}",
        f"--drain-timeout={settings.DRAIN_SECONDS}",
    ]
