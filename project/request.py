"""Daphne's HTTP request, with limits: also the handshake of a WebSocket begins as one."""

from tempfile import SpooledTemporaryFile
from typing import Any

from daphne import http_protocol

from .places import Places

REFUSAL = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

# Headers that Daphne decodes as ASCII, and fails if they are not.
ASCII = (b"Daphne-Root-Path", b"Sec-WebSocket-Protocol")

IN_MEMORY = 100_000  # bytes of a body


class Body(SpooledTemporaryFile[bytes]):
    """Of a request. A large one is a file, which takes a place as connections do."""

    def __init__(self, places: Places) -> None:
        super().__init__(max_size=IN_MEMORY)
        self._places = places
        self.is_file = False

    def rollover(self) -> None:
        if not self.is_file:
            self.is_file = True
            self._places.take(None)
        super().rollover()

    def close(self) -> None:
        if self.is_file:
            self.is_file = False
            self._places.give_back(None)
        super().close()


class Request(http_protocol.WebRequest):  # type: ignore[misc]
    def __init__(self, *args: Any, **options: Any) -> None:
        # Twisted would read forms for nobody, on the event loop: one of 3 MB held it for seconds.
        super().__init__(*args, parsePOSTFormSubmission=False, **options)
        self._body_bytes = 0
        self.is_refused = False

    def gotLength(self, length: int | None) -> None:
        self.content = Body(self.server.places)  # Twisted would make a file of each without length
        self._weigh(length or 0)

    def handleContentChunk(self, data: bytes) -> None:
        self._body_bytes += len(data)
        self._weigh(self._body_bytes)
        if not self.is_refused:
            super().handleContentChunk(data)

    def _weigh(self, size: int) -> None:
        """Refuse a body that would fill the disk before the application hears of it."""
        if self.is_refused:
            return
        if size > self.server.http_max_body:
            self._refuse(b"413 Content Too Large")
        elif self._needs_file(size) and (status := self.server.places.refusal(None)):
            self._refuse(status)

    def _needs_file(self, size: int) -> bool:
        return size > IN_MEMORY and not self.content.is_file

    def _refuse(self, status: bytes) -> None:
        self.is_refused = True
        self.channel.transport.write(REFUSAL % status)
        self.channel.loseConnection()

    def process(self) -> object:
        headers = self.requestHeaders
        # What comes with a handshake would be taken for frames, all in one turn.
        is_handshake = headers.getRawHeaders(b"Upgrade", [b""])[0].lower() == b"websocket"
        has_more = is_handshake and self._body_bytes
        is_ascii = all(v.isascii() for name in ASCII for v in headers.getRawHeaders(name, []))
        if not self.is_refused and (has_more or not is_ascii):
            self._refuse(b"400 Bad Request")
        if self.is_refused:
            return None
        if not self.server.keeps_connections:  # or a proxy would ask where soon nobody is
            self.channel.persistent = False
            self.responseHeaders.setRawHeaders(b"connection", [b"close"])
        return super().process()

    @property
    def is_unread(self) -> bool:
        """Whether its connection takes nothing for now."""
        return self.channel is not None and bool(self.channel._waitingForTransport)

    def handle_exception(self, exception: BaseException) -> None:
        """Cut off an answer that has begun: who reads it has to know that it is not whole."""
        if self._response_started and self.channel is not None:
            self.channel.transport.abortConnection()
        else:
            super().handle_exception(exception)
