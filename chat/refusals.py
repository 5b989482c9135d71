"""What goes wrong over HTTP: errors as statuses and bodies, each turned into them here only."""

import logging
import math
from collections.abc import Mapping
from typing import Annotated, Any

from django.db import Error
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from ninja import Schema
from ninja.errors import HttpError, ValidationError
from pydantic import Field

from . import metrics
from .database import as_chat_error, is_outage
from .errors import (
    BadFrame,
    BadJSON,
    ChatError,
    Empty,
    Forbidden,
    IdConflict,
    InvalidText,
    Muted,
    NotFound,
    NotLoggedIn,
    RateLimited,
    StorageFull,
    TooLarge,
    TooLong,
    Unavailable,
    UnknownUser,
    UnsupportedMethod,
    UnsupportedType,
)

logger = logging.getLogger(__name__)

STATUS: Mapping[type[ChatError], int] = {
    ChatError: 500,
    BadJSON: 400,
    BadFrame: 400,
    Empty: 400,
    TooLong: 400,
    InvalidText: 400,
    NotLoggedIn: 401,
    Forbidden: 403,
    Muted: 403,
    NotFound: 404,
    UnknownUser: 404,
    UnsupportedMethod: 405,
    IdConflict: 409,
    TooLarge: 413,
    UnsupportedType: 415,
    RateLimited: 429,
    Unavailable: 503,
    StorageFull: 507,
}


class Problem(Schema):
    """Why not: `code` is for programs, `detail` for a person."""

    code: str
    detail: str
    retry_after_ms: Annotated[int | None, Field(description="Where waiting helps.")] = None


def refusals(*errors: type[ChatError]) -> dict[int, type[Problem]]:
    """Their statuses, for the documentation."""
    return dict.fromkeys(sorted(STATUS[error] for error in errors), Problem)


def status_of(error: ChatError) -> int:
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def _refusal(error: Exception) -> ChatError:
    """What the client is told about an error, whoever raised it."""
    match error:
        case ChatError():
            return error
        case HttpError(__cause__=ChatError() as cause):  # of JSONBody
            return cause
        case ValidationError():
            return BadFrame("; ".join(f"`{e['loc'][-1]}`: {e['msg']}" for e in error.errors) + ".")
        case Http404():
            return NotFound()
        case Error() if is_outage(error):
            logger.warning("The database did not answer: %s", error)
            return as_chat_error(error)
    logger.error("A request failed", exc_info=error)
    return ChatError()


def refuse(request: HttpRequest, error: Exception) -> HttpResponse:
    """The one place where an error becomes a response."""
    refusal = _refusal(error)
    metrics.errors.labels(refusal.code).inc()
    status = status_of(refusal)
    body: dict[str, Any] = {"code": refusal.code, "detail": str(refusal)}
    response_headers: dict[str, str] = {}
    wait = refusal.retry_after_ms
    if wait is None and status == 503:
        wait = 1_000
    if wait is not None:
        body["retry_after_ms"] = wait
        response_headers["Retry-After"] = str(math.ceil(wait / 1_000))
    if status == 401:
        response_headers["WWW-Authenticate"] = "Bearer"
    return JsonResponse(body, status=status, headers=response_headers)
