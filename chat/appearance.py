"""How a page looks before any script has run: its theme, its language.

What the user prefers goes first. Cookies remember it for pages that do not know who is there; they
alone count until somebody has said what they prefer. The language's is Django's own: where somebody
chose a language on a page, of whatever part of the site, it is not ours to forget.
"""

from copy import copy
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation

from .models import Preferences
from .preferences import Preferred

THEME_COOKIE = "roost_theme"
LANGUAGE_COOKIE = "roost_language"  # what Django's holds if it remembers a preference


def theme(request: HttpRequest) -> dict[str, str]:
    """A context processor: what this browser's cookie says."""
    remembered = request.COOKIES.get(THEME_COOKIE, "")
    return {"theme": remembered if remembered in Preferences.Theme.values else ""}


def remembered(request: HttpRequest) -> dict[str, str]:
    """What this browser's cookies say, called as among preferences."""
    language = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME, "")
    return {**theme(request), "language": language if language in dict(settings.LANGUAGES) else ""}


def page(
    request: HttpRequest, template: str, context: dict[str, Any], preferred: Preferred | None
) -> HttpResponse:
    """A page as its user prefers it; None: they have never said so."""
    worn = {"theme": preferred.theme} if preferred else theme(request)
    language = _language(request, preferred)
    with translation.override(language):
        response = render(request, template, {**context, **worn})
    response["Content-Language"] = language
    if preferred:
        _remember(request, response, preferred)
    return response


def _language(request: HttpRequest, preferred: Preferred | None) -> str:
    if preferred and preferred.language in dict(settings.LANGUAGES):
        return preferred.language
    # LocaleMiddleware asked the cookie, too.
    if preferred and _is_preference(request) and hasattr(request, "LANGUAGE_CODE"):
        forgetful = copy(request)
        forgetful.COOKIES = {}
        return translation.get_language_from_request(forgetful)
    return translation.get_language() or settings.LANGUAGE_CODE


def _is_preference(request: HttpRequest) -> bool:
    """Whether the language's cookie is of our making; otherwise it was chosen on a page."""
    chosen = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME)
    return chosen is not None and chosen == request.COOKIES.get(LANGUAGE_COOKIE)


def _remember(request: HttpRequest, response: HttpResponse, preferred: Preferred) -> None:
    """For pages that do not know who is there. What cookies of Django's are like, ours is, too."""
    where = _attributes("path", "domain", "samesite")
    how = _attributes("max_age", "secure", "httponly")
    cookies = {THEME_COOKIE: preferred.theme, LANGUAGE_COOKIE: preferred.language}
    if preferred.language or _is_preference(request):
        cookies[settings.LANGUAGE_COOKIE_NAME] = preferred.language
    for name, value in cookies.items():
        known = request.COOKIES.get(name, "")
        if value and value != known:
            response.set_cookie(name, value, **where, **how)
        elif known and not value:
            response.delete_cookie(name, **where)


def _attributes(*names: str) -> dict[str, Any]:
    """As `set_cookie` calls them."""
    of = "LANGUAGE_COOKIE_{}".format
    return {name: getattr(settings, of(name.upper().removeprefix("MAX_"))) for name in names}
