"""A connection as operators see it: counted while it is open, logged when it comes and goes.

What is logged meanwhile on its behalf says whose it is: structlog's formatters add what is bound to
the context, others do not look. What was said, and what let somebody in, is never told.
"""

import logging
import time

from structlog.contextvars import bind_contextvars

from . import metrics
from .close_codes import CloseCode
from .sockets import Endpoint

logger = logging.getLogger(__name__)

DIALECTS = ("chat.v1.json", "chat")
NO_CODE = 1005  # closed in order, and not said why: what a page's `close()` does
GONE = 1006  # without a word
CLIENT_CHARS = 80  # of what a client calls itself

# What clients close with is up to them: all else is one.
_KNOWN = (*CloseCode, 1000, 1001, NO_CODE, GONE, 1009, 4009, 4509)
_CLOSES = {int(code): metrics.closes.labels(str(int(code))) for code in _KNOWN}
_OTHER = metrics.closes.labels("other")
_OPEN = {dialect: metrics.connections.labels(dialect) for dialect in DIALECTS}


class Visit:
    """From when a WebSocket is accepted until it has ended."""

    def __init__(self, worker: str, dialect: str, endpoint: Endpoint) -> None:
        self.code: int = GONE
        self._dialect = dialect
        self._address = endpoint.address
        self._client = endpoint.client[:CLIENT_CHARS]
        self._began = time.monotonic()
        bind_contextvars(worker=worker)
        _OPEN[dialect].inc()

    def begin(self) -> None:
        """It is known who it is."""
        logger.info(
            "Opened: %s, from %s with %s",
            *(self._dialect, self._address or "a Unix socket", self._client or "no name"),
            extra={"dialect": self._dialect, "address": self._address, "client": self._client},
        )

    def end(self) -> None:
        seconds = time.monotonic() - self._began
        _OPEN[self._dialect].dec()
        _CLOSES.get(self.code, _OTHER).inc()
        logger.info(
            "Closed: %d, after %.1f seconds, from %s",
            *(self.code, seconds, self._address or "a Unix socket"),
            extra={
                "dialect": self._dialect,
                "address": self._address,
                "code": self.code,
                "seconds": round(seconds, 3),
            },
        )
