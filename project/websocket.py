"""Autobahn's WebSocket as Daphne uses it, with back-pressure both ways: one connection.

Names in camelCase are hooks of autobahn and Twisted.
"""

import asyncio
import time
from functools import lru_cache
from typing import Any

from autobahn.websocket.protocol import PreparedMessage
from daphne import ws_protocol
from twisted.python.failure import Failure

# Pings whose pong the application still hears of. A client that answers none must not cost memory.
PINGS_REMEMBERED = 8

MESSAGE_TOO_BIG = 4509

# What the application has not taken yet: beyond either, the client is not read any more.
EVENTS_WAITING = 64
BYTES_WAITING = 128 * 1024

# Steps of reading: each is half a frame, or 8 KiB. Of one connection so many are taken until others
# have their turn, and so many in a second when it never pauses: or one that only pings would leave
# them no time.
STEPS_IN_TURN = 64
STEPS_A_SECOND = 4_000
STEPS_SAVED = 8_000  # by who has said little
STEP = 8_192  # bytes

# What autobahn and Daphne remember of a handshake, and never look at again.
HANDSHAKE = (
    *("http_request_data", "http_status_line", "http_headers", "http_response_data"),
    *("http_request_uri", "http_request_path", "http_request_params", "http_request_host"),
    *("websocket_extensions", "clean_headers", "application_deferred", "_wskey"),
)

FRAMES_OF_MESSAGE = 32_768  # at most, also of frames without any bytes

Event = dict[str, Any]


class Inbox:
    """What came for the application. As long as that is too much, its connection is not read.

    An `asyncio.Queue` weighs 3.5 KiB, also of the many connections that say nothing.
    """

    __slots__ = ("_bytes", "_connection", "_events", "_waiters")

    def __init__(self, connection: "WebSocketProtocol") -> None:
        self._connection = connection
        self._events: list[Event] = []
        self._bytes = 0
        self._waiters: list[asyncio.Future[None]] = []

    def put_nowait(self, event: Event) -> None:
        self._events.append(event)
        self._bytes += _size(event)
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        if len(self._events) > EVENTS_WAITING or self._bytes > BYTES_WAITING:
            self._connection.pause_reading()

    async def get(self) -> Event:
        while not self._events:
            self._waiters.append(waiter := asyncio.get_running_loop().create_future())
            try:
                await waiter
            finally:
                self._waiters.remove(waiter)
        event = self._events.pop(0)
        self._bytes -= _size(event)
        if len(self._events) <= EVENTS_WAITING // 2 and self._bytes <= BYTES_WAITING // 2:
            self._connection.resume_reading()
        return event


class WebSocketProtocol(ws_protocol.WebSocketProtocol):  # type: ignore[misc]
    """As its transport's push producer it learns whether there is room to write."""

    last_ping: float  # when we sent one, or heard something, by the wall clock

    # Autobahn's 1 s cuts off a slow reader before it comes to read why.
    closeHandshakeTimeout = 10

    def __init__(self) -> None:
        super().__init__()
        self._turn = asyncio.Lock()
        self._in_turn = 0  # how many wait for it
        self._drained: asyncio.Event | None = None  # there is one only while the buffer is full
        self._is_read = True
        self._is_resting = False
        self._steps = 0  # since others had their turn
        self._paid_until = 0.0  # by the event loop's clock
        self._pings: list[bytes] = []
        self._unanswered: bytes | None = None  # the last ping that found the buffer full
        self._linger: asyncio.TimerHandle | None = None

    @property
    def is_over(self) -> bool:
        return self.state in (self.STATE_CLOSING, self.STATE_CLOSED)

    def connectionMade(self) -> None:
        super().connectionMade()
        # Until now the producer was the HTTP channel that this connection began as.
        self.transport.unregisterProducer()
        self.transport.registerProducer(self, streaming=True)
        self.send_queue = ()  # of autobahn, for what is written in bits: nothing is

    def onOpen(self) -> None:
        """Forget the handshake: 2 KiB of each connection."""
        super().onOpen()
        self.request.headers = {}  # its path is asked for by the access log
        for name in HANDSHAKE:
            delattr(self, name)
        self.__dict__ = dict(self.__dict__)  # it shrinks only when it is copied

    # Outwards

    def pauseProducing(self) -> None:
        """The transport holds more than 64 KiB; told again at every write that finds it so."""
        if self._drained is None:
            self._drained = asyncio.Event()

    def resumeProducing(self) -> None:
        """The transport holds nothing any more."""
        if self._drained is not None:
            self._drained.set()
            self._drained = None
        if self._unanswered is not None:
            payload, self._unanswered = self._unanswered, None
            self.sendPong(payload)

    def stopProducing(self) -> None:
        """The connection is lost."""
        self.resumeProducing()

    @property
    def has_room(self) -> bool:
        """Whether what is sent now need not wait, nor overtakes anything that waits."""
        return self._drained is None and not self._in_turn and not self.is_over

    async def send_in_turn(self, message: Event) -> None:
        """Send once there is room; if there is, then at once, without a turn of the event loop.

        Messages leave in the order of the calls. A call that is cancelled has sent nothing. After
        the end nothing is sent and nothing raised: what tells the application is `receive()`.
        """
        self._in_turn += 1
        try:
            async with self._turn:
                while self._drained is not None:
                    await self._drained.wait()
                if self.is_over:
                    # Or an application that only ever sends would hold the event loop for good.
                    await asyncio.sleep(0)
                else:
                    self.handle_reply(message)
        finally:
            self._in_turn -= 1

    def handle_reply(self, message: Event) -> None:
        """Do what the application says. Daphne drops empty messages and reasons for closing."""
        match message["type"]:
            case "websocket.send" if self.state == self.STATE_OPEN:
                text, data = message.get("text"), message.get("bytes")
                if (text is None) == (data is None):
                    raise ValueError("websocket.send takes either text or bytes")
                whole = text_frame(text) if data is None else whole_frame(data, is_binary=True)
                self.transport.write(whole)
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

    # Inwards

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if not self.is_over:  # the application has closed it, and takes nothing any more
            super().onMessage(payload, isBinary)

    def pause_reading(self) -> None:
        """Leave in the network what the application would not take."""
        if self._is_read and not self.is_over:
            self._is_read = False
            self.transport.pauseProducing()
            if self.autoPingTimeoutCall:  # its pong would not be read either
                self._cancelAutoPingTimeoutCall()

    def resume_reading(self) -> None:
        """Go on with what has come already, then with the network."""
        if not self._is_read:
            self._is_read = True
            asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if self.state == self.STATE_CLOSED:
            return
        self.consumeData()
        if self._is_read and not self._is_resting:
            self.transport.resumeProducing()

    def processData(self) -> bool:
        """Take the next frame out of what has come; whether there may be more."""
        return self._is_read and self._has_turn() and super().processData()

    def _has_turn(self) -> bool:
        """Otherwise the others have theirs first."""
        if self._is_resting:
            return False
        self._steps += 1
        if self._steps <= STEPS_IN_TURN:
            return True
        loop = asyncio.get_running_loop()
        saved_since = loop.time() - STEPS_SAVED / STEPS_A_SECOND
        self._paid_until = max(self._paid_until, saved_since) + self._steps / STEPS_A_SECOND
        self._steps = 0
        self._is_resting = True
        self.transport.pauseProducing()
        loop.call_later(max(0.0, self._paid_until - loop.time()), self._take_turn)
        return False

    def _take_turn(self) -> None:
        self._is_resting = False
        if self._is_read:
            self._read_on()

    def dataReceived(self, data: bytes) -> None:
        self._steps += len(data) // STEP
        self._dataReceived(data)  # without autobahn's lines for debugging, which cost more

    def onPing(self, payload: bytes) -> None:
        """Answer; who does not read is answered the last one later (RFC 6455, 5.5.3)."""
        if self._drained is None:
            super().onPing(payload)
        else:
            self._unanswered = payload

    def onPong(self, payload: bytes) -> None:
        """Pass on what answers the application's pings, not what answers Daphne's keep-alive."""
        super().onPong(payload)
        if payload in self._pings:
            # It answers the earlier ones too (RFC 6455, 5.5.3).
            del self._pings[: self._pings.index(payload) + 1]
            self.application_queue.put_nowait({"type": "websocket.pong", "bytes": payload})

    def check_timeouts(self) -> None:
        # A pong behind what is not read, or not written, would say nothing. A connection that is
        # gone all the same is noticed by the kernel: transport.py.
        if self.state == self.STATE_OPEN and not (self._is_read and self._drained is None):
            if self._drained is None and time.time() - self.last_ping > self.server.ping_interval:
                self.last_ping = time.time()
                self.sendPong()  # asks for nothing; but of a connection that is gone we hear
            return
        super().check_timeouts()

    def onMessageFrameBegin(self, length: int) -> None:
        super().onMessageFrameBegin(length)
        if len(self.message_data) > FRAMES_OF_MESSAGE:
            self._max_message_size_exceeded(0, 0, "more frames than a message needs")

    def _max_message_size_exceeded(self, size: int, limit: int, reason: str) -> None:
        # Autobahn would cut the connection, and a client that is not told why comes back with it.
        self.failedByMe = True  # autobahn then ignores what still comes
        self.sendClose(MESSAGE_TOO_BIG, reason)

    # The end

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
        self.resume_reading()  # or the client's answer would not be seen

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


def configured(factory: ws_protocol.WebSocketFactory) -> type[WebSocketProtocol]:
    """The protocol with a factory's options as its own.

    Autobahn copies them into each connection, and formats them for a log that is off.
    """
    options = {
        name: staticmethod(value) if callable(value) else value  # or it would be a method
        for name in WebSocketProtocol.CONFIG_ATTRS
        for value in [getattr(factory, name)]
        if not hasattr(WebSocketProtocol, name)
    }
    return type("WebSocketProtocol", (WebSocketProtocol,), {**options, "CONFIG_ATTRS": ()})


@lru_cache(maxsize=8)
def text_frame(text: str) -> bytes:
    """A text message on the wire. Those who are told the same at the same time share one."""
    return whole_frame(text.encode(), is_binary=False)


def whole_frame(payload: bytes, *, is_binary: bool) -> bytes:
    """A message in one frame, as servers send it."""
    prepared = PreparedMessage(payload, is_binary, applyMask=False, doNotCompress=True)
    return bytes(prepared.payloadHybi)


def _size(event: Event) -> int:
    """Roughly, in bytes."""
    text = event.get("text")
    return len(text if text is not None else event.get("bytes") or b"")
