"""Why a WebSocket is closed, as its client is told."""

from enum import IntEnum

from . import frames


class CloseCode(IntEnum):
    """Why we close. Below 4500 a client comes back by itself; above, a person has to act first."""

    INTERNAL = 4000
    TOO_SLOW = 4002
    TOO_FAST = 4008
    DISCONNECTED = 4010
    RESTART = 4012
    PROTOCOL = 4500
    LOGGED_OUT = 4501
    BANNED = 4503
    TOO_MANY = 4510

    @classmethod
    def _missing_(cls, value: object) -> "CloseCode":
        """One of a later release, whose workers and ours share the database for a while."""
        return cls.DISCONNECTED

    @property
    def reason(self) -> str:
        return _REASONS[self]

    def bye(self, retry_after_ms: int | None = None) -> frames.Bye:
        """The frame that precedes the close."""
        return frames.Bye(
            code=self,
            reason=self.reason,
            reconnect=self < 4500,
            retry_after_ms=retry_after_ms,
        )


_REASONS = {
    CloseCode.INTERNAL: "internal failure",
    CloseCode.TOO_SLOW: "reading too slowly",
    CloseCode.TOO_FAST: "too fast for too long",
    CloseCode.DISCONNECTED: "disconnected by those who run this site",
    CloseCode.RESTART: "server restarting, or its database changed",
    CloseCode.PROTOCOL: "protocol violated",
    CloseCode.LOGGED_OUT: "not logged in",
    CloseCode.BANNED: "kicked or banned",
    CloseCode.TOO_MANY: "too many connections of this user or address",
}
