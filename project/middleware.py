"""What no view could answer: a request that makes no sense, a database that does not answer."""

import logging

from csp.constants import HEADER
from csp.utils import build_policy
from django.db import DataError, Error
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.deprecation import MiddlewareMixin
from servestatic.middleware import ServeStaticMiddleware
from servestatic.responders import MissingFileError

from chat.database import is_outage

logger = logging.getLogger(__name__)

RETRY_AFTER = 5  # seconds


class StaticFiles(ServeStaticMiddleware):  # type: ignore[misc]  # untyped
    """A file that is not there is nothing, with DEBUG on as well: no traceback in the log."""

    async def __call__(self, request: HttpRequest) -> HttpResponse:
        try:
            response: HttpResponse = await super().__call__(request)
        except MissingFileError as error:
            raise Http404(str(error)) from None
        return response


class NoNul(MiddlewareMixin):
    """Lets no NUL of an address or a cookie through: PostgreSQL cannot be asked about it.

    Except to the API, which looks for itself, and refuses in JSON.
    """

    def process_request(self, request: HttpRequest) -> HttpResponse | None:
        if request.path_info.startswith("/api/"):
            return None
        if "\0" in request.path:
            return _page(404)
        asked = "%00" in request.META.get("QUERY_STRING", "")
        shown = any("\0" in value for value in request.COOKIES.values())
        return _page(400) if asked or shown else None


class Outage(MiddlewareMixin):
    """A database that does not answer is no mistake of ours: 503, not 500 and a traceback."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        # Such a value could not be in any row; SQLite's driver says so of numbers in its own way.
        if isinstance(error, DataError | OverflowError):
            return _page(400)
        if not isinstance(error, Error) or not is_outage(error):
            return None
        logger.warning("The database did not answer %s: %s", request.path, error)
        page = _page(503)
        page["Retry-After"] = str(RETRY_AFTER)
        return page


def _page(status: int) -> HttpResponse:
    response = HttpResponse(render_to_string(f"{status}.html"), status=status)
    response[HEADER] = build_policy()  # the middleware leaves it out, taking it for one of Django's
    return response
