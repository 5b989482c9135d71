"""Daphne, hardened by subclass: serves any ASGI application, knows neither Django nor the chat.

Its parts lie beside it: channel.py, request.py and websocket.py; listener.py, door.py, places.py
and transport.py; lifespan.py, notices.py and proxies.py.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from daphne import cli, server
from twisted.internet import reactor as twisted_reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ReactorNotRunning

from .channel import Channel
from .door import Door
from .lifespan import Lifespan
from .listener import BACKLOG, Listener, is_loopback
from .notices import READY, STOPPING, notify
from .places import Places, room
from .proxies import Headers, TrustedProxies, networks, values
from .request import Request
from .transport import port_on
from .websocket import Inbox, WebSocketProtocol, configured

logger = logging.getLogger(__name__)
reactor: Any = twisted_reactor

HTTP_MAX_BODY = 10 * 1024 * 1024  # bytes
MOST_OF_ONE_ADDRESS = 500  # connections
DRAIN_TIMEOUT = 7.0  # seconds; two later the process is gone, whatever hangs

RESTARTING = 4012
GOODBYE = 3.0  # seconds that a client may take to answer that
SAYS_WITHIN = 1.0  # seconds in which whoever has just connected says what for
LAST_WORDS = 1.5  # seconds for the clean-up of what did not end in time
LOOK_EVERY = 0.02  # seconds, at who is still there

# When to look for garbage: with Python's 700 objects, what is on its way is searched again and
# again. More than these, and connections that have ended would pile up.
GARBAGE = (10_000, 5, 5)


class Server(server.Server):  # type: ignore[misc]
    """Daphne's server with such connections, a scope that can be believed, and an orderly end."""

    def __init__(
        self,
        *args: Any,
        listeners: Sequence[Listener] = (),
        places: Places | None = None,
        proxies: TrustedProxies | None = None,
        http_max_body: int = HTTP_MAX_BODY,
        drain_timeout: float = DRAIN_TIMEOUT,
        signal_handlers: bool = True,
        ready_callable: Callable[[], object] | None = None,
        **options: Any,
    ) -> None:
        for header in ("address", "port", "proto"):  # Daphne would believe them of anybody
            options.pop(f"proxy_forwarded_{header}_header", None)
        # Twisted's own handlers of signals would stop without a word.
        options |= {"signal_handlers": False, "ready_callable": self._ready}
        super().__init__(*args, **options)
        self._announce_ready = ready_callable
        self._handles_signals = signal_handlers
        self._listeners = listeners
        self.places = places or Places()
        self.endpoints: list[str] = [] if listeners else self.endpoints
        self._ports: list[Any] = []
        self._proxies = proxies
        self._has_suspected = False  # a proxy that nobody named
        self.http_max_body = http_max_body
        self._drain_timeout = drain_timeout
        self._lifespan = Lifespan(self.application)
        self._accepted_at = -SAYS_WITHIN  # the last connection, by the monotonic clock
        self._is_ending = False
        self.keeps_connections = True  # for another request

    # The beginning

    def _ready(self) -> None:
        """Daphne has made its factories, and has accepted nobody yet."""
        gc.collect()
        gc.freeze()  # what is there by now stays, and need not be searched for garbage
        gc.set_threshold(*GARBAGE)
        self.ws_factory.protocol = configured(self.ws_factory)
        self.http_factory.protocol = Channel
        self.http_factory.acceptableProtocols = lambda: [b"http/1.1"]  # all that this one speaks
        build = self.http_factory.buildProtocol

        def build_protocol(address: Any) -> Any:
            protocol = build(address)
            protocol.requestFactory = Request  # where Daphne puts its own
            self._accepted_at = time.monotonic()
            return protocol

        self.http_factory.buildProtocol = build_protocol
        for listener in self._listeners:
            door = Door(listener.socket, self.places)
            self.listen_success(port_on(door, reactor, self.http_factory))
        if self._handles_signals and threading.current_thread() is threading.main_thread():
            self._handle_signals()
        reactor.callWhenRunning(lambda: asyncio.ensure_future(self._begin()))

    def listen_success(self, port: Any) -> None:
        self._ports.append(port)
        port.stopReading()  # until the application has begun

    async def _begin(self) -> None:
        if not await self._lifespan.start():
            self.abort_start = True
            self.stop()
            return
        if self._is_ending:  # a signal came meanwhile
            return
        for port in self._ports:
            port.startReading()
            super().listen_success(port)  # says so
        notify(READY)
        if self._announce_ready is not None:
            self._announce_ready()

    def stop(self) -> None:
        with suppress(ReactorNotRunning):
            super().stop()

    # Applications

    def create_application(self, protocol: Any, scope: dict[str, Any]) -> Any:
        """The queue of what comes for it."""
        self._tell_whence(protocol, scope)
        if scope["type"] != "websocket":
            return super().create_application(protocol, scope)
        scope |= {"asgi": {"version": "3.0"}, "extensions": {"websocket.ping": {}}}
        inbox = Inbox(protocol)
        running = self.application(scope, inbox.get, partial(self.handle_reply, protocol))
        application = asyncio.ensure_future(running)
        application.add_done_callback(protocol.application_done)
        self.connections[protocol]["application_instance"] = application
        return inbox

    def _tell_whence(self, protocol: Any, scope: dict[str, Any]) -> None:
        """Who asked, and how: the peer, or whoever a proxy that we trust speaks for."""
        headers, proxies = scope["headers"], self._proxies
        names = ("ws", "wss") if scope["type"] == "websocket" else ("http", "https")
        if scope["type"] == "websocket":
            scope["scheme"] = names[protocol.transport_details.is_secure]
        if proxies is None or not proxies.trust(scope["client"]):
            scope["root_path"] = self.root_path  # and not what a client's Daphne-Root-Path says
            if proxies is None:
                self._suspect_a_proxy(scope["client"], headers)
            return
        if client := proxies.client(headers):
            protocol.client_addr = scope["client"] = [client, 0]
        if scheme := proxies.scheme(headers):
            scope["scheme"] = names[scheme in {"https", "wss"}]

    def _suspect_a_proxy(self, peer: Sequence[Any] | None, headers: Headers) -> None:
        """Say once that somebody may have forgotten to name one; clients may make headers up."""
        if self._has_suspected or not values(headers, "X-Forwarded-For"):
            return
        self._has_suspected = True
        logger.warning(
            "%s says for whom it speaks (X-Forwarded-For), and is not believed: all who come"
            " through it look like one address. If it is a proxy of yours, name it in"
            " TRUSTED_PROXIES, or by --proxy-headers and --trusted-proxies.",
            peer[0] if peer else "A peer on a Unix socket",
        )

    def log_action(self, protocol: str, action: str, details: dict[str, Any]) -> None:
        """For the access log, without what stands behind `?`: it may let somebody in."""
        path = str(details.get("path", "")).partition("?")[0]
        super().log_action(protocol, action, details | {"path": path})

    async def handle_reply(self, protocol: Any, message: dict[str, Any]) -> None:
        match message["type"]:
            case "websocket.send" | "websocket.ping" if isinstance(protocol, WebSocketProtocol):
                if protocol.has_room:
                    protocol.handle_reply(message)
                else:
                    await protocol.send_in_turn(message)
            case "http.response.body" if isinstance(protocol, Request):
                while protocol.is_unread:  # or answers to what was asked ahead would pile up
                    await asyncio.sleep(LOOK_EVERY)
                await super().handle_reply(protocol, message)
            case _:  # closing least of all may wait for a reader that does not read
                await super().handle_reply(protocol, message)

    # The end

    def _handle_signals(self) -> None:
        def handle(*_: object) -> None:
            if self._is_ending:
                os._exit(1)
            self._is_ending = True
            # Whatever hangs, also the event loop, and threads that Python would wait for.
            signal.setitimer(signal.ITIMER_REAL, self._drain_timeout + 2)
            reactor.callFromThread(lambda: asyncio.ensure_future(self._drain()))

        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, handle)

    async def _drain(self) -> None:
        """Accept nobody, let the application do what it has to, see everybody off, and stop."""
        notify(STOPPING)
        for listener in self._listeners:
            listener.hide()  # or a proxy would still connect, and send what nobody reads
        for port in self._ports:
            port.numberAccepts = BACKLOG
            port.doRead()  # whoever waits in the queue: unless a successor shares it, it is lost
            port.stopListening()
        try:
            async with asyncio.timeout(self._drain_timeout):
                await self._lifespan.stop()
                self.keeps_connections = False
                patient_until = time.monotonic() + GOODBYE
                while self._is_busy():
                    self._see_off(abort=time.monotonic() > patient_until)
                    await asyncio.sleep(LOOK_EVERY)
        except TimeoutError:
            logger.error("Not everything has ended in %g seconds", self._drain_timeout)
            self._see_off(abort=True)
        finally:
            self.stop()

    def _is_busy(self) -> bool:
        """Whether an application still does something, or a WebSocket is open, or may be soon."""
        return time.monotonic() - self._accepted_at < SAYS_WITHIN or any(
            is_running(details)
            or (isinstance(protocol, WebSocketProtocol) and "disconnected" not in details)
            for protocol, details in self.connections.items()
        )

    def _see_off(self, *, abort: bool) -> None:
        """Close those that have heard everything; with `abort`, all, and answers nobody reads."""
        for protocol, details in list(self.connections.items()):
            if "disconnected" in details:
                continue
            if isinstance(protocol, Request):
                if abort and protocol.is_unread:
                    protocol.channel.transport.abortConnection()
            elif protocol.state == protocol.STATE_OPEN and (protocol.has_room or abort):
                protocol.sendClose(RESTARTING, "server restarting")
            elif abort:
                protocol.transport.abortConnection()

    def kill_all_applications(self) -> Deferred[None]:
        return Deferred.fromFuture(asyncio.ensure_future(self._cancel_applications()))

    async def _cancel_applications(self) -> None:
        """Cancel all, and wait for every `finally`; Daphne waits for the first only."""
        running = [
            details["application_instance"]
            for details in self.connections.values()
            if is_running(details)
        ]
        for application in running:
            application.cancel()
        if running:
            await asyncio.wait(running, timeout=LAST_WORDS)
        self.application_checker()  # to log what failed at the very end


class CommandLine(cli.CommandLineInterface):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        # A connection whose other end is gone is noticed within 32 seconds (Daphne: 52), and one
        # that lives is not ended after a day.
        self.parser.set_defaults(ping_interval=15, ping_timeout=15, websocket_timeout=-1)
        self.parser.add_argument(
            "--trusted-proxies",
            type=networks,
            default="127.0.0.0/8,::1",
            metavar="ADDRESSES",
            help="With --proxy-headers: who is believed; addresses or networks, parted by commas."
            " Whoever connects by a Unix socket is.",
        )
        self.parser.add_argument(
            "--http-max-body",
            type=int,
            default=HTTP_MAX_BODY,
            metavar="BYTES",
            help="Largest body of a request; a larger one is answered with 413.",
        )
        self.parser.add_argument(
            "--max-connections",
            type=limit,
            default=0,
            metavar="NUMBER",
            help="At once; 0: as many as there are descriptors for.",
        )
        self.parser.add_argument(
            "--max-connections-per-address",
            type=limit,
            default=MOST_OF_ONE_ADDRESS,
            metavar="NUMBER",
            help="At once, but for this machine and trusted proxies; 0: any number.",
        )
        self.parser.add_argument(
            "--drain-timeout",
            type=seconds,
            default=DRAIN_TIMEOUT,
            metavar="SECONDS",
            help="How long everybody has to end in good order, once a signal has come.",
        )

    def run(self, args: Sequence[str]) -> None:
        """Listen first, so that a port that is taken is known before the application is loaded."""
        options = self.parser.parse_args(args)  # --help and mistakes end here
        listeners = [] if options.socket_strings else [listener_of(options)]
        self._hosts = [listener.host for listener in listeners]
        proxies = proxies_of(options)
        most, most_of_one = room(options.max_connections), options.max_connections_per_address
        self.server_class = partial(
            Server,
            listeners=listeners,
            places=Places(most, most_of_one, proxies),
            proxies=proxies,
            http_max_body=options.http_max_body,
            drain_timeout=options.drain_timeout,
        )
        super().run(args)

    def load_asgi_app(self, asgi_app_path: str) -> Any:
        application = super().load_asgi_app(asgi_app_path)
        if debugging() and not all(map(is_loopback, self._hosts)):
            sys.exit(
                "DEBUG is on: everybody who reaches this server would see settings and source code,"
                " and could log in as a demo user. Listen on 127.0.0.1, or set DEBUG=0."
            )
        return application


def listener_of(options: argparse.Namespace) -> Listener:
    """What the command line asks to listen on, or exit with one line saying why it cannot be."""
    if options.file_descriptor is not None:
        return Listener.inherited(options.file_descriptor)
    if options.unix_socket:
        return Listener.on_file(options.unix_socket)
    port = cli.DEFAULT_PORT if options.port is None else options.port
    return Listener.on_port(options.host or cli.DEFAULT_HOST, port)


def proxies_of(options: argparse.Namespace) -> TrustedProxies | None:
    """Whom the command line tells to believe."""
    if not options.proxy_headers:
        return None
    header = options.proxy_headers_host or "X-Forwarded-For"
    return TrustedProxies(options.trusted_proxies, header)


def seconds(text: str) -> float:
    """What an option says. ValueError."""
    if not 0 <= (value := float(text)) <= 3600:
        raise ValueError
    return value


def limit(text: str) -> int:
    """What an option says. ValueError."""
    if (value := int(text)) < 0:
        raise ValueError
    return value


def is_running(details: Mapping[str, Any]) -> bool:
    """Whether the application of a connection has not ended yet."""
    application = details.get("application_instance")
    return application is not None and not application.done()


def debugging() -> bool:
    """Whether the application is made with Django, and for developers."""
    django = sys.modules.get("django.conf")
    return django is not None and django.settings.configured and bool(django.settings.DEBUG)


if __name__ == "__main__":
    CommandLine.entrypoint()
