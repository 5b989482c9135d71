"""The chat over HTTP, for programs: tokens and tickets. JSON in, JSON out."""

from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any, TypeVar

import msgspec
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import RequestDataTooBig
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt, csrf_protect
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_POST, require_safe

from . import authentication
from .authentication import Credentials
from .errors import (
    BadFrame,
    BadJSON,
    Banned,
    ChatError,
    Forbidden,
    NotLoggedIn,
    TooLarge,
    UnsupportedType,
)
from .frames import timestamp
from .models import Access

T = TypeVar("T")
Answer = Callable[[HttpRequest], dict[str, Any]]
Text = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"\A[^\0]*\Z")]

STATUS: dict[type[ChatError], int] = {
    NotLoggedIn: 401,
    Forbidden: 403,
    Banned: 403,
    TooLarge: 413,
    UnsupportedType: 415,
}


def post_endpoint(answer: Answer) -> Callable[[HttpRequest], HttpResponse]:
    """Make a view of what answers a POST by a dict or a ChatError. It is exempt from CSRF."""

    @csrf_exempt
    @require_POST
    @never_cache
    @wraps(answer)
    def view(request: HttpRequest) -> HttpResponse:
        try:
            return JsonResponse(answer(request))
        except ChatError as error:
            body = {"code": error.code, "detail": str(error)}
            return JsonResponse(body, status=STATUS.get(type(error), 400))

    return view


class LogIn(msgspec.Struct, frozen=True):
    username: Text
    password: Text


@post_endpoint  # the password is the authority; a foreign page gains nothing by sending one
@sensitive_variables()
def token(request: HttpRequest) -> dict[str, Any]:
    """A bearer token for a username and a password."""
    log_in = _body(request, LogIn)
    user = authenticate(request, username=log_in.username, password=log_in.password)
    if user is None:
        raise NotLoggedIn("The username or the password is wrong.")
    _refuse_banned(user)
    secret, expires_at = authentication.issue_token(user)
    return {"token": secret, "expires_at": timestamp(expires_at)}


@post_endpoint
def ticket(request: HttpRequest) -> dict[str, Any]:
    """A ticket for one WebSocket, for whoever can set no header there."""
    credentials = Credentials(
        authorization=request.headers.get("Authorization", ""),
        session_key=request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
    )
    issuer = authentication.holder(credentials)
    if issuer is None:
        raise NotLoggedIn
    if credentials.ambient and _csrf_checked(request).status_code == 403:
        raise Forbidden("The CSRF token is missing or wrong.")
    _refuse_banned(issuer.user)
    life = int(authentication.TICKET_LIFE.total_seconds())
    return {"ticket": authentication.issue_ticket(issuer), "expires_in": life}


@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """This process lives. It says nothing about the database."""
    return HttpResponse("ok", content_type="text/plain")


@csrf_protect
def _csrf_checked(request: HttpRequest) -> HttpResponse:
    """Empty if Django's own check lets the request pass, otherwise its page of refusal."""
    return HttpResponse()


def _refuse_banned(user: AbstractBaseUser) -> None:
    if Access.objects.filter(pk=user.pk, banned_until__gt=Now()).exists():
        raise Banned


def _body(request: HttpRequest, shape: type[T]) -> T:
    if request.content_type != "application/json":
        raise UnsupportedType
    try:
        return msgspec.json.decode(request.body, type=shape)
    except RequestDataTooBig:
        raise TooLarge("The body is too large.") from None
    except msgspec.ValidationError as error:
        raise BadFrame(f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise BadJSON from None
