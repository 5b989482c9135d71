"""Whoever guesses passwords has to wait: a backend that knows nobody, in front of those that do.

Only failures count: whoever knows their password waits only where others have guessed at it, which
takes several addresses to keep them out of anywhere else. They count by the name that was given,
whether it is somebody's or not, so that the answers do not tell. Who is told to wait is told before
a password is hashed.

Until it is known how a log-in ended, it counts as a failure: or whoever makes all guesses at the
same moment would have none that came too late.
"""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from . import allowances, limits
from .limits import Share

SECONDS_LEFT = "chat_seconds_left"  # of a request
HELD = "chat_held_shares"  # of a request whose password is looked at


class Throttle:
    """The first of AUTHENTICATION_BACKENDS. Without `get_user`: no session is of its making."""

    def authenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        """PermissionDenied if too many log-ins like this one have failed."""
        if request is None:
            return
        shares = _shares(request, credentials)
        if seconds := limits.of(request).hold(*shares):
            setattr(request, SECONDS_LEFT, seconds)
            raise PermissionDenied
        setattr(request, HELD, [*getattr(request, HELD, ()), *shares])

    async def aauthenticate(self, request: HttpRequest | None, **credentials: Any) -> None:
        self.authenticate(request, **credentials)


def seconds_left(request: HttpRequest) -> float:
    """Until a log-in like that of this request is looked at again; 0 if it has been."""
    return float(getattr(request, SECONDS_LEFT, 0))


def log_in_failed(
    credentials: dict[str, Any], request: HttpRequest | None = None, **_: object
) -> None:
    """On every one, whichever view or backend refused it."""
    if request is not None and not seconds_left(request):
        limits.of(request).spend(*_shares(request, credentials))
        _give_back(request)  # only now: at no moment is there one guess more


def log_in_succeeded(request: HttpRequest | None = None, **_: object) -> None:
    """On every one that makes a session; who only asks for a user says so, too."""
    if request is not None:
        _give_back(request)


def _give_back(request: HttpRequest) -> None:
    limits.of(request).give_back(*getattr(request, HELD, ()))
    setattr(request, HELD, ())


def _shares(request: HttpRequest, credentials: dict[str, Any]) -> list[Share]:
    name = credentials.get("username", credentials.get(get_user_model().USERNAME_FIELD))
    if not isinstance(name, str):  # neither is it a password that is guessed
        return []
    return allowances.wrong_passwords(name, allowances.visitor(request))
