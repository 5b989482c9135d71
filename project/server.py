"""Daphne, hardened by subclass: serves any ASGI application, knows neither Django nor the chat."""

import argparse
import asyncio
import errno
import gc
import os
import socket
import sys
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any

from daphne import cli, http_protocol, server, ws_protocol
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

# Connections that may wait to be accepted: Twisted's 50 are few when a thousand browsers come back.
BACKLOG = 4096

# Pings whose pong the application still hears of. A client that answers none must not cost memory.
PINGS_REMEMBERED = 8

MESSAGE_TOO_BIG = 4509

# When to look for garbage: with Python's 700 objects, what is on its way is searched again and
# again. More than these, and connections that have ended would pile up.
GARBAGE = (10_000, 5, 5)


class WebSocketProtocol(ws_protocol.WebSocketProtocol):  # type: ignore[misc]
    """One WebSocket. As its transport's push producer it learns whether there is room to write.

    Names in camelCase are hooks of autobahn and Twisted.
    """

    # Autobahn's 1 s cuts off a slow reader before it comes to read why.
    closeHandshakeTimeout = 10

    def __init__(self) -> None:
        super().__init__()
        self._turn = asyncio.Lock()
        self._drained: asyncio.Event | None = None  # there is one only while the buffer is full
        self._pings: list[bytes] = []
        self._linger: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        return self.state in (self.STATE_CLOSING, self.STATE_CLOSED)

    def connectionMade(self) -> None:
        super().connectionMade()
        # Until now the producer was the HTTP channel that this connection began as.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, streaming=True)

    def pauseProducing(self) -> None:
        """The transport holds more than 64 KiB; told again at every write that finds it so."""
        if self._drained is None:
            self._drained = asyncio.Event()

    def resumeProducing(self) -> None:
        """The transport holds nothing any more."""
        if self._drained is not None:
            self._drained.set()
            self._drained = None

    def stopProducing(self) -> None:
        """The connection is lost."""
        self.resumeProducing()

    async def send_in_turn(self, message: dict[str, Any]) -> None:
        """Send once there is room; if there is, then at once, without a turn of the event loop.

        Messages leave in the order of the calls. A call that is cancelled has sent nothing. After
        the end nothing is sent and nothing raised: what tells the application is `receive()`.
        """
        async with self._turn:
            while self._drained is not None:
                await self._drained.wait()
            if self.is_over:
                # Otherwise an application that only ever sends would hold the event loop for good.
                await asyncio.sleep(0)
            else:
                self.handle_reply(message)

    def handle_reply(self, message: dict[str, Any]) -> None:
        """Do what the application says. Daphne drops empty messages and reasons for closing."""
        match message["type"]:
            case "websocket.send" if self.state == self.STATE_OPEN:
                text, data = message.get("text"), message.get("bytes")
                if (text is None) == (data is None):
                    raise ValueError("websocket.send takes either text or bytes")
                self.serverSend(data if text is None else text, binary=text is None)
            case "websocket.ping":
                self.server_ping(message.get("bytes", b""))
            case "websocket.close" if self.state != self.STATE_CONNECTING:
                self.sendClose(message.get("code") or 1000, message.get("reason"))
            case _:
                super().handle_reply(message)

    def serverAccept(self, subprotocol: str | None = None) -> None:
        # Autobahn's own complaint would be lost in a Deferred, and the client would wait in vain.
        if subprotocol is not None and subprotocol not in self.websocket_protocols:
            raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}")
        super().serverAccept(subprotocol)

    def server_ping(self, payload: bytes) -> None:
        self.sendPing(payload)
        self._pings = [*self._pings[1 - PINGS_REMEMBERED :], payload]

    def onPong(self, payload: bytes) -> None:
        """Pass on what answers the application's pings, not what answers Daphne's keep-alive."""
        super().onPong(payload)
        if payload in self._pings:
            # It answers the earlier ones too (RFC 6455, 5.5.3).
            del self._pings[: self._pings.index(payload) + 1]
            self.application_queue.put_nowait({"type": "websocket.pong", "bytes": payload})

    def application_done(self, application: asyncio.Future[None]) -> None:
        """Close what the application left open; Daphne would go on answering its pings."""
        if self.is_over:
            return
        if application.cancelled():
            self.handle_exception(asyncio.CancelledError())
        elif application.exception() is not None:
            pass  # Daphne's application_checker logs it and closes
        elif self.state == self.STATE_CONNECTING:
            self.serverReject()
        else:
            self.sendClose(1000)

    def sendCloseFrame(self, *args: Any, **options: Any) -> None:
        super().sendCloseFrame(*args, **options)
        self.resumeProducing()

    def dropConnection(self, abort: bool = False) -> None:
        # Without force a transport closes when all is written: never, if the peer does not read.
        if not abort and self.state != self.STATE_CLOSED:
            self._linger = asyncio.get_running_loop().call_later(
                self.closeHandshakeTimeout, self.transport.abortConnection
            )
        super().dropConnection(abort)
        self.resumeProducing()

    def connectionLost(self, reason: Failure) -> None:
        if self._linger is not None:
            self._linger.cancel()
        super().connectionLost(reason)

    def _max_message_size_exceeded(self, size: int, limit: int, reason: str) -> None:
        # Autobahn would cut the connection, and a client that is not told why comes back with it.
        self.failedByMe = True  # autobahn then ignores what still comes
        self.sendClose(MESSAGE_TOO_BIG, reason)


class Request(http_protocol.WebRequest):  # type: ignore[misc]
    """One request, or the handshake of a WebSocket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        # Twisted would read forms for nobody, on the event loop: one of 3 MB held it for seconds.
        super().__init__(*args, parsePOSTFormSubmission=False, **options)


class Server(server.Server):  # type: ignore[misc]
    """Daphne's server with such WebSockets, a scope that can be believed, and an orderly end."""

    def __init__(
        self, *args: Any, ready_callable: Callable[[], object] | None = None, **options: Any
    ) -> None:
        super().__init__(*args, ready_callable=self._ready, **options)
        self._announce_ready = ready_callable

    def _ready(self) -> None:
        """Daphne has made its factories, and has accepted nobody yet."""
        gc.collect()
        gc.freeze()  # what is there by now stays, and need not be searched for garbage
        gc.set_threshold(*GARBAGE)
        self.ws_factory.protocol = WebSocketProtocol
        build = self.http_factory.buildProtocol

        def build_protocol(address: Any) -> Any:
            protocol = build(address)
            protocol.requestFactory = Request
            return protocol

        self.http_factory.buildProtocol = build_protocol
        if self._announce_ready is not None:
            self._announce_ready()

    def create_application(
        self, protocol: Any, scope: dict[str, Any]
    ) -> asyncio.Queue[dict[str, Any]] | None:
        scope["root_path"] = self.root_path  # and not what a client's Daphne-Root-Path says
        if client := last_value(scope["headers"], self.proxy_forwarded_address_header):
            protocol.client_addr = scope["client"] = [client, 0]
        if scope["type"] == "websocket":
            scheme = last_value(scope["headers"], self.proxy_forwarded_proto_header)
            secure = scheme in {"https", "wss"} if scheme else protocol.transport_details.is_secure
            scope["scheme"] = "wss" if secure else "ws"
            scope["extensions"] = {"websocket.ping": {}}
        queue: asyncio.Queue[dict[str, Any]] | None = super().create_application(protocol, scope)
        if queue is not None and scope["type"] == "websocket":
            application = self.connections[protocol]["application_instance"]
            application.add_done_callback(protocol.application_done)
        return queue

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.send" | "websocket.ping" if isinstance(protocol, WebSocketProtocol):
                await protocol.send_in_turn(message)
            case _:  # closing least of all may wait for a reader that does not read
                await super().handle_reply(protocol, message)

    def kill_all_applications(self) -> Deferred[None]:
        return Deferred.fromFuture(asyncio.ensure_future(self._cancel_applications()))

    async def _cancel_applications(self) -> None:
        """Cancel all, and wait for every `finally`; Daphne waits for the first only."""
        running = [
            details["application_instance"]
            for details in self.connections.values()
            if "application_instance" in details
        ]
        for application in running:
            application.cancel()
        if running:
            await asyncio.wait(running, timeout=self.application_close_timeout)
        self.application_checker()  # to log what failed at the very end


class CommandLine(cli.CommandLineInterface):  # type: ignore[misc]
    server_class = Server

    def run(self, args: list[str]) -> None:
        """Listen first, so that a port that is taken is known before the application is loaded."""
        options = self.parser.parse_args(args)  # --help and mistakes end here
        descriptor = options.file_descriptor
        elsewhere = options.unix_socket or options.socket_strings
        ipv6 = ":" in (options.host or "")  # Daphne would take the descriptor for one of IPv4
        if descriptor is None and not elsewhere and not ipv6:
            address = argparse.ArgumentParser(add_help=False)
            address.add_argument("-p", "--port", type=int, default=cli.DEFAULT_PORT)
            address.add_argument("-b", "--bind", default=cli.DEFAULT_HOST)
            where, args = address.parse_known_args(args)
            descriptor = listen(where.bind, where.port)
            args = [*args, "--fd", str(descriptor)]
        self._host = (options.host or "") if descriptor is None else host_of(descriptor)
        super().run(args)

    def load_asgi_app(self, asgi_app_path: str) -> Any:
        application = super().load_asgi_app(asgi_app_path)
        if debugging() and not is_loopback(self._host):
            sys.exit(
                "DEBUG is on: everybody who reaches this server would see settings and source code,"
                " and could log in as a demo user. Listen on 127.0.0.1, or set DEBUG=0."
            )
        return application


def listen(host: str, port: int) -> int:
    """Return the descriptor of a socket that listens there, or exit with one line saying why."""
    try:
        return socket.create_server((host, port), backlog=BACKLOG).detach()
    except OSError as error:
        hint = f" Choose another: PORT={port + 1}" if error.errno == errno.EADDRINUSE else ""
        sys.exit(f"Cannot listen on {host}, port {port}: {error.strerror}.{hint}")
    except OverflowError:
        sys.exit(f"Cannot listen on port {port}: ports are numbers from 0 to 65535.")


def host_of(descriptor: int) -> str:
    """The host that a socket listens on; empty if that is a file."""
    with socket.socket(fileno=os.dup(descriptor)) as listener:
        name = listener.getsockname()
    return str(name[0]) if isinstance(name, tuple) else ""


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect."""
    try:
        return host in {"", "localhost"} or ip_address(host).is_loopback
    except ValueError:
        return False


def debugging() -> bool:
    """Whether the application is made with Django, and for developers."""
    django = sys.modules.get("django.conf")
    return django is not None and django.settings.configured and bool(django.settings.DEBUG)


def last_value(headers: Iterable[tuple[bytes, bytes]], name: str | None) -> str | None:
    """A header's last value: our proxy added it. What stands before, a client may have made up."""
    if name is None:
        return None
    values = [value for key, value in headers if key == name.lower().encode()]
    return values[-1].rpartition(b",")[2].strip().decode("latin-1") if values else None


if __name__ == "__main__":
    CommandLine.entrypoint()
