"""Handing out: the audit log, what was said in a room, what is known of a person. Streamed."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import BadRequest, PermissionDenied
from django.core.handlers.asgi import ASGIRequest
from django.db import close_old_connections
from django.http import Http404, HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import URLPattern, path, reverse
from django.utils.decorators import method_decorator
from django.utils.http import content_disposition_header
from django.views.decorators.http import require_POST

from .. import export
from ..audit import Actor
from ..export import Export, Format, lines

CONTENT_TYPES = {Format.CSV: "text/csv; charset=utf-8", Format.JSONL: "application/jsonl"}


class Handing(admin.ModelAdmin):
    """What can be handed out to those who may see it, and may export."""

    formats: Sequence[Format] = [*Format]

    def has_export_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_view_permission(request, obj) and request.user.has_perm("chat.can_export")

    def asked_format(self, request: HttpRequest) -> Format:
        asked = request.POST.get("format", self.formats[0])
        if asked not in self.formats:
            raise BadRequest("There is no such format.")
        return Format(asked)


class HandingRows(Handing):
    """Each row by itself: `<pk>/export/`, to be posted to."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        name = f"chat_{self.model._meta.model_name}_export"
        return [path("<path:object_id>/export/", view, name=name), *super().get_urls()]

    def handing(self, request: HttpRequest, row: Any) -> dict[str, Any]:
        """What the row's page needs for export.html."""
        if not self.has_export_permission(request, row):
            return {}
        where = reverse(f"admin:chat_{self.model._meta.model_name}_export", args=[quote(row.pk)])
        return {"where": where, "formats": self.formats}

    @method_decorator(require_POST)
    def export_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        row = self.get_object(request, unquote(object_id))
        if not self.has_export_permission(request, row):
            raise PermissionDenied
        if row is None:
            raise Http404
        kind = self.asked_format(request)
        return handed_out(request, self.exported(request, row), kind)

    def exported(self, request: HttpRequest, row: Any) -> Export:
        raise NotImplementedError


class ExportingMessages(HandingRows):
    """Of rooms: what was said there; in a private one, to who may read it."""

    def has_export_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        private = obj is not None and obj.is_private
        may_read = not private or request.user.has_perm("chat.can_read_private")
        return may_read and super().has_export_permission(request, obj)

    def exported(self, request: HttpRequest, row: Any) -> Export:
        return export.messages(Actor.of(request), row)


class Exporting(HandingRows):
    """Of people: all there is; what they said in private rooms, to who may read it."""

    formats = [Format.JSONL]

    def exported(self, request: HttpRequest, row: Any) -> Export:
        private = request.user.has_perm("chat.can_read_private")
        return export.person(Actor.of(request), row.user, private=private)


class ExportingLog(Handing):
    """The audit log as its list is filtered: `export/` with the list's query, to be posted to."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.export_view)
        name = f"chat_{self.model._meta.model_name}_export"
        return [path("export/", view, name=name), *super().get_urls()]

    @method_decorator(require_POST)
    def export_view(self, request: HttpRequest) -> HttpResponseBase:
        if not self.has_export_permission(request):
            raise PermissionDenied
        kind = self.asked_format(request)
        try:
            entries = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            raise BadRequest("The list cannot be filtered like this.") from None
        return handed_out(request, export.audit_log(Actor.of(request), entries), kind)


def handed_out(request: HttpRequest, export: Export, kind: Format) -> HttpResponseBase:
    """As a file that is made while it is sent."""
    pieces = lines(export, kind)
    # Under ASGI, Django would gather what an iterator gives that is not asynchronous.
    content = _off_the_loop(pieces) if isinstance(request, ASGIRequest) else pieces
    name = f"{export.name}.{kind}"
    headers = {"Content-Disposition": content_disposition_header(True, name) or ""}
    return StreamingHttpResponse(content, content_type=CONTENT_TYPES[kind], headers=headers)


async def _off_the_loop(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Each made once there is room for it, on the request's own thread."""
    while (piece := await sync_to_async(_next)(pieces)) is not None:
        yield piece


def _next(pieces: Iterator[bytes]) -> bytes | None:
    piece = next(pieces, None)
    close_old_connections()  # to the pool: whoever reads slowly would keep it from pages
    return piece
