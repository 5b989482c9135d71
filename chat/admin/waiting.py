"""The offline queue: for whom something waits, how much, since when, and why."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.paginator import Page
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import URLPattern, path
from django.utils.text import capfirst

from .. import backlog
from ..models import Waiting
from ..reach import reach
from .lists import Capped
from .pages import Lasting, Unchangeable, own_page

ORDERS = {  # each ends with a key: a page begins where the one before has ended
    "changes": ("-changes", "user"),
    "-changes": ("changes", "user"),
    "rooms": ("-rooms", "user"),
    "-rooms": ("rooms", "user"),
}
PAGE = 100


@admin.register(Waiting)
class WaitingAdmin(Unchangeable, Lasting):
    """One row for each person; nothing is changed here."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("", view(self.changelist_view), name="chat_waiting_changelist"),
            path("<path:user_id>/", view(self.person_view), name="chat_waiting_person"),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._insist(request)
        name = request.GET.get("q", "")
        order = request.GET.get("o", "")
        order = order if order in ORDERS else "changes"
        page = _page(backlog.queues(name).order_by(*ORDERS[order]), request)
        queues = backlog.told(list(page))
        context = _paged(page) | {"queues": queues, "name": name, "order": order}
        title = capfirst(self.opts.verbose_name_plural)
        return own_page(self, request, "waiting/change_list", title, context)

    def person_view(self, request: HttpRequest, user_id: str) -> HttpResponse:
        """Room by room, what waits for one person."""
        self._insist(request)
        people = get_user_model()._default_manager
        try:
            person = people.filter(pk=unquote(user_id)).first()
        except (ValueError, ValidationError):
            person = None
        if person is None:
            raise Http404
        page = _page(backlog.of(person.pk), request)
        context = _paged(page) | {"person": person, "reach": reach([person.pk])[person.pk]}
        return own_page(self, request, "waiting/person", person.get_username(), context)

    def _insist(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _page(rows: QuerySet[Any, Any], request: HttpRequest) -> Page:
    return Capped(rows, PAGE).get_page(request.GET.get("p"))


def _paged(page: Page) -> dict[str, Any]:
    return {"page": page, "page_range": page.paginator.get_elided_page_range(page.number)}
