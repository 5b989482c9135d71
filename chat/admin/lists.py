"""Lists of a million rows: counted only so far, and narrowed down by what an index holds."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.core.paginator import Paginator
from django.db.models import Max, Min, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..models import Hour, Message, Room, Tally

CAP = 10_000  # rows that are counted, and that can be paged through
NEWEST = 50_000  # messages that are looked through where no index helps


class Capped(Paginator):
    """Knows that there are more than CAP, and not how many: to count a million takes seconds."""

    cap = CAP
    cap_told = f"{CAP:,}"

    @cached_property
    def is_capped(self) -> bool:
        return self._counted > self.cap

    @cached_property
    def count(self) -> int:
        return min(self._counted, self.cap)

    @cached_property
    def _counted(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[: self.cap + 1].count())


class ThesePages(ActionForm):
    """What is chosen is what can be seen: not all of a million."""

    select_across = forms.BooleanField(
        label="", required=False, disabled=True, widget=forms.HiddenInput
    )


class MessageState(admin.SimpleListFilter):
    """Each has an index of its own, which holds only its messages."""

    title = _("state")
    parameter_name = "state"
    CONDITIONS = {
        "edited": Q(edited_at__isnull=False),
        "deleted": Q(deleted=True),
        "announcement": Q(announcement=True),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("edited", _("Edited")),
            ("deleted", _("Deleted")),
            ("announcement", _("Announcements")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        condition = self.CONDITIONS.get(self.value() or "")
        return queryset if condition is None else queryset.filter(condition)


class SaidSince(admin.SimpleListFilter):
    """By key: hours know their first message, and `created_at` has no index."""

    title = _("time")
    parameter_name = "since"
    DAYS_BEFORE = {"today": 0, "week": 6, "month": 29}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("today", _("Today")),
            ("week", _("Past 7 days")),
            ("month", _("Past 30 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        days = self.DAYS_BEFORE.get(self.value() or "")
        if days is None:
            return queryset
        first_day = timezone.localdate() - timedelta(days)
        begin = timezone.make_aware(datetime.combine(first_day, time.min))
        return queryset.filter(pk__gte=_first_key(begin), created_at__gte=begin)


class KindOfRoom(admin.SimpleListFilter):
    """Of the newest messages: an old one of a rare kind would be looked for among all."""

    title = format_lazy(_("kind of room, of the newest {count}"), count=f"{NEWEST:,}")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return list(Room.Kind.choices)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        if self.value() not in Room.Kind:
            return queryset
        newest = Message.objects.aggregate(key=Max("pk"))["key"] or 0
        return queryset.filter(room__kind=self.value(), pk__gt=newest - NEWEST)


def _first_key(begin: datetime) -> int:
    """From which on to look for messages since then; those that no hour has counted yet follow."""
    hour = begin.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    counted = Hour.objects.filter(at__gte=hour).aggregate(key=Min("first_message"))["key"]
    if counted is not None:
        return int(counted)
    return (Tally.objects.values_list("upto", flat=True).first() or 0) + 1
