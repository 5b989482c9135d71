"""Twisted's HTTP connection, on which nobody may take for ever to ask; WebSockets begin on one."""

from typing import Any

from twisted.web import http

from .request import REFUSAL, Request


class Channel(http.HTTPChannel):
    """HTTP/1.1. Each time is in seconds, and however much comes meanwhile it is not prolonged."""

    transport: Any

    speaks_within = 10  # after it has connected
    asks_within = 20  # its request line and headers, from their first byte on
    tells_within = 60  # all of its request's body
    idles_for = 65  # until it asks again; proxies close what is idle after 60 themselves

    requestFactory = Request
    _is_asking = False

    def connectionMade(self) -> None:
        self.timeOut = self.speaks_within
        super().connectionMade()

    def resetTimeout(self) -> None:
        """Twisted would at each byte, and one that comes every minute never end."""

    def dataReceived(self, data: bytes) -> None:
        # What comes while an answer is made is looked at when it is done.
        if not self._is_asking and not self._handlingRequest:
            self._is_asking = True
            self.setTimeout(None)  # to make it sooner, Twisted would look through everybody's
            self.setTimeout(self.asks_within)
        super().dataReceived(data)

    def allHeadersReceived(self) -> None:
        self.setTimeout(self.tells_within)
        super().allHeadersReceived()

    def requestDone(self, request: Any) -> None:
        self._is_asking = False
        self._savedTimeOut = self.idles_for
        super().requestDone(request)

    def timeoutConnection(self) -> None:
        if self._is_asking:
            self.transport.write(REFUSAL % b"408 Request Timeout")
        super().timeoutConnection()

    def _send100Continue(self) -> None:
        if not self.requests[-1].is_refused:
            super()._send100Continue()
