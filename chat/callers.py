"""Who asks over HTTP: a program by its token, or a browser by its cookie, which CSRF is about."""

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, QueryDict
from django.views.decorators.csrf import csrf_protect
from ninja.security.base import AuthBase

from . import allowances, authentication, limits
from .allowances import Visitor
from .authentication import Credentials, Identity
from .errors import Banned, Forbidden, NotLoggedIn
from .models import Access


class Request(HttpRequest):
    """Of somebody whom we know."""

    auth: Identity


class Bearer(AuthBase):
    """A program, by its token."""

    openapi_type = "http"
    openapi_scheme = "bearer"
    openapi_description = "A token of `POST /api/token`."

    def __call__(self, request: HttpRequest) -> Identity | None:
        return _caller(request) if request.headers.get("Authorization") else None


class Session(AuthBase):
    """A browser, by its cookie."""

    csrf = True  # so that the page of documentation sends the token along
    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = settings.SESSION_COOKIE_NAME
    openapi_description = "Of whoever has logged in; what writes needs `X-CSRFToken` too."

    def __call__(self, request: HttpRequest) -> Identity:
        return _caller(request)


def _caller(request: HttpRequest) -> Identity:
    """Who asks; NotLoggedIn, Banned, or Forbidden if it may have been another site's page."""
    credentials = Credentials(
        authorization=request.headers.get("Authorization", ""),
        session_key=request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
    )
    identity = authentication.holder(credentials)
    if identity is None:
        raise NotLoggedIn
    # Its address has been counted with the request, before anybody looked who it is.
    asking = allowances.requests(Visitor(str(identity.user.pk), None))
    limits.of(request).insist(*asking, detail="You ask too often.")
    if credentials.ambient and not _is_our_page(request):
        raise Forbidden("The CSRF token is missing or wrong.")
    refuse_banned(identity.user)
    return identity


def _is_our_page(request: HttpRequest) -> bool:
    # Django would look for the token in a form first, and fail where that cannot be parsed. What we
    # are sent is JSON: there is no form, and the token is in its header.
    request.POST = QueryDict()
    return _csrf_checked(request).status_code != 403


@csrf_protect
def _csrf_checked(request: HttpRequest) -> HttpResponse:
    """Empty if Django's own check lets the request pass, otherwise its page of refusal."""
    return HttpResponse()


def refuse_banned(user: AbstractBaseUser) -> None:
    if Access.objects.filter(pk=user.pk, banned_until__gt=Now()).exists():
        raise Banned
