"""What people want somebody to look at."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Message, Report
from .pages import USERNAME, MadeByChat, link


class ReportState(admin.SimpleListFilter):
    """Open ones, unless somebody asks for others."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("open", _("Open")), ("closed", _("Closed")), ("all", _("All"))]

    def value(self) -> str:
        return super().value() or "open"

    def choices(self, changelist: Any) -> Iterator[Any]:
        _all, *choices = super().choices(changelist)  # which here is one of ours
        yield from choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Report]) -> QuerySet[Report]:
        if self.value() == "all":
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


@admin.register(Report)
class ReportAdmin(MadeByChat):
    """What people want somebody to look at. Closing one tells that somebody has."""

    list_display = ["reason", "body", "person", "room", "reporter", "created_at", "closed_at"]
    list_filter = [ReportState]
    list_select_related = ["person", "room", "reporter"]
    search_fields = [f"person__{USERNAME}__exact", f"reporter__{USERNAME}__exact"]
    search_help_text = _("A username")
    ordering = ["-created_at"]
    readonly_fields = [
        *("reason", "body", "the_message", "the_person", "the_room", "the_reporter"),
        *("created_at", "closed_at"),
    ]
    fields = readonly_fields  # type: ignore[assignment]
    actions = ["close", "reopen"]

    @admin.action(description=_("Close: somebody has looked"), permissions=["change"])
    def close(self, request: HttpRequest, queryset: QuerySet[Report]) -> None:
        count = queryset.filter(closed_at=None).update(closed_at=Now())
        self.message_user(request, _("%d reports are closed.") % count)

    @admin.action(description=_("Open again"), permissions=["change"])
    def reopen(self, request: HttpRequest, queryset: QuerySet[Report]) -> None:
        count = queryset.exclude(closed_at=None).update(closed_at=None)
        self.message_user(request, _("%d reports are open again.") % count)

    @admin.display(description=_("message"))
    def the_message(self, report: Report) -> str:
        if report.seq is None:
            return link(None)
        return link(Message.objects.filter(room=report.room_id, seq=report.seq).first())

    @admin.display(description=_("person"))
    def the_person(self, report: Report) -> str:
        return link(report.person)

    @admin.display(description=_("room"))
    def the_room(self, report: Report) -> str:
        return link(report.room)

    @admin.display(description=_("reporter"))
    def the_reporter(self, report: Report) -> str:
        return link(report.reporter)
