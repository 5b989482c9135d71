"""Who is connected, and how to end that."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Sequence

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from .. import control, leases
from ..models import Connection
from .pages import USERNAME, Lasting, Unchangeable


@admin.register(Connection)
class ConnectionAdmin(Unchangeable, Lasting):
    """Open WebSockets of all workers. What is asked here, their workers do within a second."""

    list_display = [
        *("user", "address", "client", "subprotocol", "state", "lease", "since", "active_at")
    ]
    list_filter = ["state", "subprotocol"]
    list_select_related = ["user", "lease"]
    search_fields = [f"user__{USERNAME}", "address"]
    search_help_text = _("A username or an address")
    ordering = ["-since"]
    fields = list_display  # type: ignore[assignment]
    actions = ["disconnect", "disconnect_users", "kick_users", "end_sessions"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Connection]:
        return leases.living_connections()

    def has_close_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.change_connection")

    @admin.action(description=_("Disconnect (they come back)"), permissions=["close"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        count = control.disconnect(list(queryset.values_list("pk", flat=True)))
        self.message_user(request, _("%d connections are being closed.") % count)

    @admin.action(description=_("Disconnect all of these users"), permissions=["close"])
    def disconnect_users(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        for user in (users := _users(queryset)):
            control.disconnect_user(user)
        self._tell(request, users)

    @admin.action(description=_("Kick these users"), permissions=["close"])
    def kick_users(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        for user in (users := _users(queryset)):
            control.kick(user)
        self._tell(request, users)

    @admin.action(description=_("End all sessions of these users"), permissions=["close"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet[Connection]) -> None:
        control.end_sessions(users := _users(queryset))
        self._tell(request, users)

    def _tell(self, request: HttpRequest, users: Sequence[AbstractBaseUser]) -> None:
        self.message_user(request, _("Done for %d users.") % len(users))


def _users(connections: QuerySet[Connection]) -> list[AbstractBaseUser]:
    return list(get_user_model()._default_manager.filter(pk__in=connections.values("user")))
