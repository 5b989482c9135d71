"""How long messages are kept: what counts, what would go by other days, and what has gone."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST

from .. import audit, conf, retention
from ..audit import Action, Actor
from ..forecast import forecast
from ..models import Purge, Retention, Room
from .pages import Lasting, Unchangeable, link, own_page

PAGE = 25  # rooms
RUNS = 20
OWN = Q(retention_days__isnull=False)

Days = int | None


class DaysForm(forms.Form):
    days = forms.IntegerField(
        label=_("Days"), min_value=0, max_value=retention.MOST_DAYS, required=False
    )


class Confirmation(DaysForm):
    """Of the days whose dry run was shown, and of those that counted then."""

    was = forms.IntegerField(required=False)


@admin.register(Retention)
class RetentionAdmin(Unchangeable, Lasting):
    """One page about the one row. Other days count once their dry run has been looked at."""

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        return [
            path("dry-run/", own(self.site_view), name="chat_retention_site"),
            path("room/<path:room_id>/", own(self.room_view), name="chat_retention_room"),
            path("run/", own(self.run_view), name="chat_retention_run"),
            *super().get_urls(),
        ]

    def change_view(self, *args: Any, **kwargs: Any) -> HttpResponse:
        return redirect("admin:chat_retention_changelist")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        row = Retention.objects.filter(pk=1).first()
        page = request.GET.get("page", "")
        start = PAGE * (int(page) - 1) if page.isdecimal() and 1 <= len(page) <= 4 else 0
        own = Room.objects.filter(OWN).order_by("name", "pk")[max(start, 0) :][: PAGE + 1]
        found = [(link(room), _told(room.retention_days), _place(room)) for room in own]
        context = {
            "days": _told_of_site(row.days if row else None),
            "form": DaysForm(initial={"days": row.days if row else None}, label_suffix=""),
            "may_set": _may_set(request),
            "found": found[:PAGE],
            "previous": start // PAGE,
            "next": start // PAGE + 2 if len(found) > PAGE else 0,
            "runs": Purge.objects.order_by("-pk")[:RUNS],
            "due_at": row.due_at if row and row.due_at and row.due_at > timezone.now() else None,
        }
        return own_page(self, request, "retention/change_list", _("Retention"), context)

    @method_decorator(require_POST)
    def run_view(self, request: HttpRequest) -> HttpResponse:
        if not _may_set(request):
            raise PermissionDenied
        retention.be_due()
        self.message_user(request, _("A worker begins within a minute."), messages.SUCCESS)
        return redirect("admin:chat_retention_changelist")

    # Other days

    def site_view(self, request: HttpRequest) -> HttpResponse:
        return self._decide(request, None)

    def room_view(self, request: HttpRequest, room_id: str) -> HttpResponse:
        if not _may_set(request):
            raise PermissionDenied  # whether there is such a room or not
        room = Room.objects.filter(pk=unquote(room_id)).first()
        if room is None:
            raise Http404
        return self._decide(request, room)

    def _decide(self, request: HttpRequest, room: Room | None) -> HttpResponse:
        """Shows what would go by the days that are asked for; posted to, sets them."""
        if not _may_set(request):
            raise PermissionDenied
        if request.method == "POST":
            answer = Confirmation(request.POST)
            if answer.is_valid() and self._set(request, room, **answer.cleaned_data):
                return redirect("admin:chat_retention_changelist")
        now = _days(room)
        asked = request.POST if request.method == "POST" else request.GET
        initial = {"days": now}
        form = DaysForm(asked if "days" in asked else None, initial=initial, label_suffix="")
        context = {"form": form, "room": room, "now": _told_of(room, now), "was": now}
        if form.is_bound and form.is_valid():
            context |= _foretold(room, form.cleaned_data["days"])
        title = _("Dry run: %s") % room if room else _("Dry run for the whole site")
        return own_page(self, request, "retention/forecast", title, context)

    def _set(self, request: HttpRequest, room: Room | None, days: Days, was: Days) -> bool:
        """Whether it was done: not if others have been set since the dry run was shown."""
        with transaction.atomic():
            before = _days(room, lock=True)
            if before == was:
                _store(room, days)
                audit.record(
                    Actor.of(request),
                    Action.RETENTION,
                    room or Retention(pk=1),
                    before={"days": before},
                    after={"days": days},
                )
        if before != was:
            changed = _("Somebody has set other days meanwhile. Nothing was changed; look again.")
            self.message_user(request, changed, messages.ERROR)
            return False
        self.message_user(request, _("Saved. A worker begins within a minute."), messages.SUCCESS)
        return True


def _may_set(request: HttpRequest) -> bool:
    return request.user.has_perm("chat.can_set_retention")


def _days(room: Room | None, *, lock: bool = False) -> Days:
    """What is set, for a room or for the site."""
    rows: Any = Room.objects if room else Retention.objects
    if lock:
        rows = rows.select_for_update(no_key=True)
    field = "retention_days" if room else "days"
    days: Days = rows.filter(pk=room.pk if room else 1).values_list(field, flat=True).first()
    return days


def _store(room: Room | None, days: Days) -> None:
    if room:
        retention.set_days_of(room, days)
    else:
        retention.set_days(days)


def _foretold(room: Room | None, days: Days) -> dict[str, Any]:
    """What would go by these days, where they count."""
    if room:
        rooms = Room.objects.filter(pk=room.pk)
        counts = retention.site_days() if days is None else days
    else:
        rooms = Room.objects.filter(retention_days=None)
        counts = conf.keep_days() if days is None else days
    told = forecast(rooms, counts)
    shares = [(link(share.room), share.messages) for share in told.shares]
    by_command = days is None and (room is None or retention.days_set() is None)
    return {
        "days": days,
        "then": _told_of(room, days),
        "forecast": told,
        "shares": shares,
        "by_command": by_command and counts,
    }


def _told_of(room: Room | None, days: Days) -> str:
    if room and days is None:
        return gettext("As for the whole site: %s") % _told_of_site(retention.days_set())
    return _told(days) if room else _told_of_site(days)


def _told_of_site(days: Days) -> str:
    if days is None:
        return gettext("As CHAT_KEEP_DAYS says: %s") % _told(conf.keep_days())
    return _told(days)


def _told(days: Days) -> str:
    if not days:
        return gettext("For ever")
    return ngettext("%d day", "%d days", days) % days


def _place(room: Room) -> str:
    return reverse("admin:chat_retention_room", args=[quote(room.pk)])
