"""Who is connected, and how to end that."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Count, Q, QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html_join
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from .. import directory, leases
from ..models import Connection, Lease, Membership
from .measures import DISCONNECT, DISCONNECT_PEOPLE, END_SESSIONS, KICK, Measuring
from .pages import USERNAME, Lasting, Unchangeable, link, person_link

CLIENT_CHARS = 40  # in the list
SHOWN = 50  # of the rooms of one person


class ByWorker(admin.SimpleListFilter):
    """Of those that live."""

    title = _("worker")
    parameter_name = "worker"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        living = Lease.objects.filter(renewed_at__gte=Now() - leases.LIFE)
        return [(lease.pk, str(lease)) for lease in living.order_by("host", "pid")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Connection]) -> QuerySet:
        return queryset.filter(lease=self.value()) if self.value() else queryset


class Connections(ChangeList):
    """A page of them. Rooms are counted for those on it alone."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        _count_rooms(self.result_list)


def _count_rooms(connections: list[Connection]) -> None:
    theirs = Membership.objects.filter(user__in={each.user_id for each in connections})
    counted = theirs.values("user").annotate(n=Count("pk")).order_by()
    rooms = dict(counted.values_list("user", "n"))
    for connection in connections:
        connection.rooms = rooms.get(connection.user_id, 0)  # type: ignore[attr-defined]


@admin.register(Connection)
class ConnectionAdmin(Unchangeable, Lasting, Measuring):
    """Open WebSockets of all workers. What is asked here, their workers do within a second."""

    list_display = [
        *("user", "address", "program", "subprotocol", "state", "lease", "since", "active_at"),
        "rooms",
    ]
    list_filter = ["state", "subprotocol", ByWorker]
    show_facets = admin.ShowFacets.NEVER  # each would be a count
    list_select_related = ["user", "lease"]
    list_per_page = 50
    search_fields = ["address"]  # shows the field; what is searched stands below
    search_help_text = _("How a username or an address begins")
    ordering = ["-since"]
    fields = [
        *("person", "address", "client", "subprotocol", "state", "lease", "since", "active_at"),
        "their_rooms",
    ]
    actions = ["disconnect", "disconnect_users", "kick_users", "end_sessions"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return leases.living_connections()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Connections

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            named = directory.begins(f"user__{USERNAME}", term)
            queryset = queryset.filter(named | Q(address__startswith=term))
        return queryset, False

    def get_urls(self) -> list[URLPattern]:
        ending = self.admin_site.admin_view(self.disconnect_view)
        name = "chat_connection_disconnect"
        return [path("<path:object_id>/disconnect/", ending, name=name), *super().get_urls()]

    def disconnect_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Asks whether to close one connection, and does."""
        found = self.get_queryset(request).filter(pk=object_id).select_related("user")
        if not found:
            raise Http404
        here = reverse("admin:chat_connection_changelist")
        return self.ask(request, DISCONNECT, list(found), here) or redirect(here)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        context["measures"] = {
            name: request.user.has_perm(measure.permission)
            for name, measure in {
                "disconnect": DISCONNECT,
                "kick": KICK,
                "end_sessions": END_SESSIONS,
            }.items()
        }
        return super().render_change_form(request, context, *args, **kwargs)

    @admin.display(description=_("client"))
    def program(self, connection: Connection) -> str:
        return Truncator(connection.client).chars(CLIENT_CHARS)

    @admin.display(description=_("rooms"))
    def rooms(self, connection: Connection) -> int:
        count: int = connection.rooms  # type: ignore[attr-defined]
        return count

    @admin.display(description=_("user"))
    def person(self, connection: Connection) -> str:
        return person_link(connection.user)

    @admin.display(description=_("rooms"))
    def their_rooms(self, connection: Connection) -> str:
        seats = Membership.objects.filter(user=connection.user).select_related("room")
        shown = [(link(seat.room),) for seat in seats.order_by("room__name", "pk")[: SHOWN + 1]]
        more = [("…",)] if len(shown) > SHOWN else []
        return format_html_join(", ", "{}", shown[:SHOWN] + more) or "-"

    @admin.action(description=_("Disconnect (they come back)"), permissions=["disconnect"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, DISCONNECT, queryset)

    @admin.action(description=_("Disconnect all of these users"), permissions=["disconnect"])
    def disconnect_users(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, DISCONNECT_PEOPLE, queryset, _users)

    @admin.action(description=_("Kick these users"), permissions=["kick"])
    def kick_users(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, KICK, queryset, _users)

    @admin.action(description=_("End all sessions of these users"), permissions=["end_sessions"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, END_SESSIONS, queryset, _users)


def _users(connections: QuerySet) -> QuerySet[AbstractBaseUser]:
    everybody = get_user_model()._default_manager.order_by(USERNAME)
    return everybody.filter(pk__in=connections.order_by().values("user"))
