"""What can go wrong, as clients see it: a stable code, and a sentence for a person."""

from typing import ClassVar


class ChatError(Exception):
    """One request failed; the connection goes on.

    `retry_after_ms` is set where waiting helps.
    """

    code: ClassVar[str] = "internal"
    detail: ClassVar[str] = "Something went wrong on our side."

    def __init__(self, detail: str = "", *, retry_after_ms: int | None = None) -> None:
        super().__init__(detail or self.detail)
        self.retry_after_ms = retry_after_ms


class BadJSON(ChatError):
    code = "bad_json"
    detail = "This is not a JSON object."


class BadFrame(ChatError):
    code = "bad_frame"
    detail = "A field is missing or has the wrong type."


class UnknownType(ChatError):
    code = "unknown_type"
    detail = "There is no frame of this type."


class TooLarge(ChatError):
    code = "too_large"
    detail = "This WebSocket message is larger than limits.message_bytes."


class TooLong(ChatError):
    code = "too_long"
    detail = "The text is longer than limits.body_chars."


class Empty(ChatError):
    code = "empty"
    detail = "The text is empty."


class InvalidText(ChatError):
    code = "invalid_text"
    detail = "The text contains a character that cannot be stored."


class NotFound(ChatError):
    code = "not_found"
    detail = "There is no such thing, or you may not see it."


class UnknownUser(ChatError):
    code = "unknown_user"
    detail = "There is nobody of this name."


class Forbidden(ChatError):
    code = "forbidden"
    detail = "You may not do this."


class NotLoggedIn(Forbidden):
    detail = "You are not, or no longer, logged in."


class Banned(Forbidden):
    detail = "You have been banned for now."


class TooManyConnections(Forbidden):
    detail = "You have too many connections open."


class Ambiguous(ChatError):
    code = "ambiguous"
    detail = "This is the name of more than one user or room."


class Muted(ChatError):
    code = "muted"
    detail = "You may not write here for now."


class IdConflict(ChatError):
    code = "id_conflict"
    detail = "This id has been used for another message."


class RateLimited(ChatError):
    code = "rate_limited"
    detail = "You are writing too fast."


class Unavailable(ChatError):
    """Perhaps stored: whoever retries with the same client id learns which."""

    code = "unavailable"
    detail = "The server cannot store this right now; try again with the same id."


class Restarting(Unavailable):
    """Whoever comes back finds a worker that stays."""

    detail = "The server is restarting; come back in a moment."


class StorageFull(ChatError):
    code = "storage_full"
    detail = "The server has no room left to store messages."


class UnsupportedType(ChatError):
    """Over HTTP."""

    code = "unsupported_type"
    detail = "The body has to be application/json."


class UnsupportedMethod(ChatError):
    """Over HTTP."""

    code = "unsupported_method"
    detail = "This address does not know this method."
