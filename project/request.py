"""Daphne's HTTP request, with limits: also the handshake of a WebSocket begins as one."""

from typing import Any

from daphne import http_protocol

REFUSAL = b"HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

# Headers that Daphne decodes as ASCII, and fails if they are not.
ASCII = (b"Daphne-Root-Path", b"Sec-WebSocket-Protocol")


class Request(http_protocol.WebRequest):  # type: ignore[misc]
    def __init__(self, *args: Any, **options: Any) -> None:
        # Twisted would read forms for nobody, on the event loop: one of 3 MB held it for seconds.
        super().__init__(*args, parsePOSTFormSubmission=False, **options)
        self._body_bytes = 0
        self.is_refused = False

    def gotLength(self, length: int | None) -> None:
        super().gotLength(length)
        self._weigh(length or 0)

    def handleContentChunk(self, data: bytes) -> None:
        self._body_bytes += len(data)
        self._weigh(self._body_bytes)
        if not self.is_refused:
            super().handleContentChunk(data)

    def _weigh(self, size: int) -> None:
        """Refuse a body that would fill the disk before the application hears of it."""
        if size > self.server.http_max_body and not self.is_refused:
            self._refuse(b"413 Content Too Large")

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
