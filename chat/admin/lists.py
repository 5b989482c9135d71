"""Lists of a million rows: counted only so far, and narrowed down by what an index holds."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Collection
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.helpers import ActionForm
from django.contrib.auth import get_user_model
from django.core.paginator import Paginator
from django.db.models import Exists, Max, Min, OuterRef, Q, QuerySet
from django.http import HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from ..models import Hour, Message, Room, Tally
from ..users import UserKey

CAP = 10_000  # rows that are counted, and that can be paged through
OFFERED = 20  # at a time, to choose from
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


def offered(request: HttpRequest, found: QuerySet[Any]) -> JsonResponse:
    """A page of what there is to choose from, as Django's own autocompletion tells it."""
    page = request.GET.get("page", "1")
    number = int(page) if page.isdecimal() and len(page) < 4 else 1
    start = max(0, number - 1) * OFFERED
    rows = list(found[start : start + OFFERED + 1])
    results = [{"id": str(row.pk), "text": str(row)} for row in rows[:OFFERED]]
    return JsonResponse({"results": results, "pagination": {"more": len(rows) > OFFERED}})


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
        # Asked row by row, along the keys: a join would begin with all messages of the room.
        of_kind = Room.objects.filter(pk=OuterRef("room"), kind=self.value())
        return queryset.filter(Exists(of_kind), pk__gt=newest - NEWEST)


def said_in(messages: QuerySet[Message], room_id: str, *, is_few: bool) -> QuerySet[Message]:
    """Those of a room; `is_few` if an index has narrowed them down already."""
    if is_few:
        here = Room.objects.filter(pk=OuterRef("room")).filter(pk=room_id)
        return messages.filter(Exists(here))
    return messages.filter(room=room_id).order_by("-seq")  # the same order, by an index of its own


def said_by(
    messages: QuerySet[Message], user_ids: Collection[UserKey], *, is_few: bool
) -> QuerySet[Message]:
    """Those of some people. Of who has said much, some are soon found one by one."""
    theirs = Message.objects.filter(sender__in=user_ids)
    if is_few or theirs[: CAP + 1].count() > CAP:
        people = get_user_model()._default_manager.filter(pk=OuterRef("sender"))
        return messages.filter(Exists(people.filter(pk__in=user_ids)))
    return messages.filter(sender__in=user_ids)


def _first_key(begin: datetime) -> int:
    """From which on to look for messages since then; those that no hour has counted yet follow."""
    hour = begin.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    counted = Hour.objects.filter(at__gte=hour).aggregate(key=Min("first_message"))["key"]
    if counted is not None:
        return int(counted)
    return (Tally.objects.values_list("upto", flat=True).first() or 0) + 1
