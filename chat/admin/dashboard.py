"""The dashboard: how the workers are, live over all of them, and what was said hour by hour.

A figure is made once: the page shows it, the live answers repeat it, the files hold the same.
"""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

import csv
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, NamedTuple

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Model
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.dates import WEEKDAYS
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import history, leases, metrics, vitals
from ..export import FORMULA
from ..models import Tally, Vitals
from ..vitals import Figures, Worker
from .pages import Lasting, Unchangeable, own_page

HOURS, DAYS = 48, 30  # that are shown
SLOW = 0.5  # seconds for a query that should take milliseconds
SHADES = 5  # of the busiest hours
SILENT = timedelta(seconds=8)  # two of a worker's bulletins are missing

DETAILS = {  # of a card: the page that tells more, and what it takes to see it
    "connections": ("chat_connection_changelist", "chat.view_connection"),
    "posts": ("chat_message_changelist", "chat.view_message"),
    "backlog": ("chat_waiting_changelist", "chat.view_waiting"),
}

Cell = str | int | float


class Table(NamedTuple):
    """Figures as a page draws them and a file holds them; the first column says of what."""

    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]


class Card(NamedTuple):
    """One figure of now. Its tone, "good", "poor" or "bad", says nothing that words do not."""

    name: str
    label: str
    value: Cell
    note: str
    tone: str = "good"


class State(NamedTuple):
    """All workers, as of now."""

    at: datetime
    workers: Sequence[Worker]
    all: Figures
    people: int
    answered_in: float  # seconds, by the database
    tally: Tally | None


@admin.register(Vitals)
class DashboardAdmin(Unchangeable, Lasting):
    """What is looked at is not a list of rows, but what they say together."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return obj is None and request.user.has_perm("chat.can_view_dashboard")

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        views: Mapping[str, tuple[str, Callable[..., HttpResponse]]] = {
            "live/": ("live", self.live_view),
            "<slug:name>.csv": ("csv", self.csv_view),
        }
        ours = [
            path(route, self.admin_site.admin_view(view), name=f"chat_vitals_{name}")
            for route, (name, view) in views.items()
        ]
        return [*ours, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        self._insist_on_permission(request)
        state = _state()
        context = {
            "state": state,
            "cards": [(card, _place(request, card)) for card in _cards(state)],
            "worker_headings": _workers_table([]).headings,
            "worker_rows": _toned(state.workers),
            "per_hour": _per_hour(),
            "per_day": _per_day(),
            "people_per_day": _people_per_day(),
            "busiest": (busiest := _busiest()),
            "shades": _shades(busiest),
            "counted_at": state.tally.counted_at if state.tally else None,
            **(extra_context or {}),
        }
        return own_page(self, request, "vitals/change_list", _("Dashboard"), context)

    def live_view(self, request: HttpRequest) -> HttpResponse:
        """What changes while somebody looks."""
        self._insist_on_permission(request)
        state = _state()
        return JsonResponse(
            {
                "at": state.at.isoformat(),
                "cards": [card._asdict() for card in _cards(state)],
                "points": _points(state.all),
                "workers": [
                    {"cells": list(map(str, cells)), "tone": tone}
                    for cells, tone in _toned(state.workers)
                ],
            }
        )

    def csv_view(self, request: HttpRequest, name: str) -> HttpResponse:
        self._insist_on_permission(request)
        if (make := TABLES.get(name)) is None:
            raise Http404
        disposition = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        response = HttpResponse(content_type="text/csv; charset=utf-8", headers=disposition)
        table = make()
        csv.writer(response).writerows(
            [_harmless(cell) for cell in row] for row in (table.headings, *table.rows)
        )
        return response

    def _insist_on_permission(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied


def _harmless(cell: Cell) -> Cell:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


# Now


def _state() -> State:
    began = time.perf_counter()
    workers = vitals.workers()
    answered_in = time.perf_counter() - began
    return State(
        timezone.now().astimezone(UTC),
        workers,
        vitals.together(worker.figures for worker in workers),
        leases.living_connections().values("user").distinct().count(),
        answered_in,
        Tally.objects.filter(pk=1).first(),
    )


def _points(figures: Figures) -> dict[str, float | None]:
    """What the live charts draw."""
    half, most = (_milliseconds(share, figures.hand_over) for share in (0.5, 0.95))
    return {"connections": figures.sockets, "posts": figures.posts, "half": half, "most": most}


def _cards(state: State) -> list[Card]:
    figures, points = state.all, _points(state.all)
    deliveries = ngettext(
        "%d delivery in the last minute", "%d deliveries in the last minute", figures.deliveries
    )
    return [
        Card("connections", _("Connections"), figures.sockets, _connected(state)),
        Card("posts", _("Messages a minute"), figures.posts, deliveries % figures.deliveries),
        Card(
            "hand_over",
            _("From post to delivery"),
            _in_milliseconds(points["most"]),
            _("95 %% within this; half within %s") % _in_milliseconds(points["half"])
            if points["half"] is not None
            else _("Nothing was said in the last minute"),
        ),
        _backlog(state.tally),
        Card(
            "reconnects",
            _("Came back in a minute"),
            figures.reconnects,
            ngettext("%d connection ended", "%d connections ended", figures.closes)
            % figures.closes,
        ),
        _workers(state),
        _database(state),
        _layer(state),
    ]


def _place(request: HttpRequest, card: Card) -> str:
    """Where whoever asks sees more of it; "" if nowhere."""
    page, permission = DETAILS.get(card.name, ("", ""))
    return reverse(f"admin:{page}") if page and request.user.has_perm(permission) else ""


def _connected(state: State) -> str:
    people = ngettext("%d person", "%d people", state.people) % state.people
    return _("%(people)s, %(behind)d behind") % {"people": people, "behind": state.all.behind}


def _backlog(tally: Tally | None) -> Card:
    told = tally.backlog if tally else {}
    label = _("Waiting for people who are away")
    if not told:
        return Card("backlog", label, "–", _("Not counted yet"))
    people = ngettext("for %d person", "for %d people", told["people"]) % told["people"]
    oldest = parse_datetime(told["oldest"] or "")
    if oldest:
        ago = {"people": people, "time": _lasting(timezone.now() - oldest)}
        people = _("%(people)s, the oldest %(time)s ago") % ago
    return Card("backlog", label, told["changes"], people)


def _workers(state: State) -> Card:
    label, figures = _("Workers"), state.all
    if not state.workers:
        return Card("workers", label, 0, _("No worker has been heard of for 15 seconds"), "bad")
    waiting = ngettext("%d post waits", "%d posts wait", figures.journal_waiting)
    note = waiting % figures.journal_waiting
    if draining := sum(worker.figures.draining for worker in state.workers):
        note = ngettext("%d is about to end", "%d are about to end", draining) % draining
    silent = [worker for worker in state.workers if worker.silence > SILENT]
    count = len(state.workers) - len(silent)
    if silent:
        note = "; ".join(f"{worker.name}: {_worker_state(worker)}" for worker in silent)
    return Card("workers", label, count, note, "bad" if silent else "good")


def _database(state: State) -> Card:
    label, value = _("Database"), _in_milliseconds(state.answered_in * 1_000)
    blind = sum(not worker.figures.sees_database for worker in state.workers)
    note, tone = _("%s answers") % connection.display_name, "good"
    if blind:
        unseen = ngettext("%d worker does not see it", "%d workers do not see it", blind)
        note, tone = unseen % blind, "bad"
    elif state.answered_in > SLOW:
        note, tone = _("%s is slow") % connection.display_name, "poor"
    return Card("database", label, value, note, tone)


def _layer(state: State) -> Card:
    label = _("Channel layer")
    if not state.workers:
        return Card("layer", label, "–", _("There is nobody to hear"))
    if state.all.heard is None:
        return Card("layer", label, _("None"), _("A single worker needs none"))
    unheard = sum(worker.figures.heard is False for worker in state.workers)
    if not unheard:
        return Card("layer", label, _("Heard"), _("Workers hear each other at once"))
    note = _("Messages of other workers come up to a second later")
    return Card("layer", label, _("%d not heard") % unheard, note, "poor")


# Workers


def _workers_table(workers: Iterable[Worker]) -> Table:
    headings = [
        *(_("Worker"), _("State"), _("Layer"), _("Database"), _("Up for"), _("Connections")),
        *(_("Behind"), _("Messages a minute"), _("95 % within, ms"), _("Lag, ms")),
        *(_("Memory, MB"), _("Release")),
    ]
    return Table(headings, [_worker(worker) for worker in workers])


def _toned(workers: Iterable[Worker]) -> list[tuple[list[Cell], str]]:
    return [(_worker(worker), _worker_tone(worker)) for worker in workers]


def _worker(worker: Worker) -> list[Cell]:
    figures = worker.figures
    return [
        worker.name,
        _worker_state(worker),
        {None: _("None"), True: _("Heard"), False: _("Not heard")}[figures.heard],
        _("Seen") if figures.sees_database else _("Not seen"),
        _lasting(worker.uptime),
        figures.sockets,
        figures.behind,
        figures.posts,
        _or_none(_milliseconds(0.95, figures.hand_over)),
        _or_none(_milliseconds(0.95, figures.lag)),
        round(figures.resident_bytes / 1_000_000) or "–",
        worker.release or "–",
    ]


def _worker_state(worker: Worker) -> str:
    if worker.silence > SILENT:
        return _("Silent for %d s") % worker.silence.total_seconds()
    return _("About to end") if worker.figures.draining else _("Runs")


def _worker_tone(worker: Worker) -> str:
    if not worker.figures.sees_database or worker.silence > SILENT:
        return "bad"
    return "poor" if worker.figures.heard is False or worker.figures.draining else "good"


# History


def _per_hour() -> Table:
    rows = [(f"{at:%Y-%m-%d %H:%M}", messages) for at, messages in history.hours(HOURS)]
    return Table([_("Hour"), _("Messages")], rows)


def _per_day() -> Table:
    rows = [(f"{day.date}", day.messages) for day in history.days(DAYS)]
    return Table([_("Day"), _("Messages")], rows)


def _people_per_day() -> Table:
    rows = [(f"{day.date}", day.people) for day in history.days(DAYS)]
    return Table([_("Day"), _("People")], rows)


def _busiest() -> Table:
    week = history.busiest()
    hours = [f"{hour:02}" for hour in range(24)]
    rows: list[list[Cell]] = [
        [str(WEEKDAYS[n]), *(round(one, 1) for one in day)] for n, day in enumerate(week)
    ]
    return Table([_("Weekday"), *hours], rows)


def _shades(table: Table) -> list[list[tuple[Cell, int]]]:
    """Each cell with how dark it is, from 0 to SHADES; the first column has names."""
    most = max((float(cell) for _name, *cells in table.rows for cell in cells), default=0)
    return [
        [(name, 0), *((cell, ceil(SHADES * float(cell) / most) if most else 0) for cell in cells)]
        for name, *cells in table.rows
    ]


TABLES: Mapping[str, Callable[[], Table]] = {
    "messages-per-hour": _per_hour,
    "messages-per-day": _per_day,
    "people-per-day": _people_per_day,
    "busiest-hours": _busiest,
    "workers": lambda: _workers_table(vitals.workers()),
}


# In words


def _milliseconds(share: float, buckets: Sequence[int]) -> float | None:
    seconds = vitals.quantile(share, buckets, metrics.SECONDS)
    return None if seconds is None else round(seconds * 1_000, 1)


def _or_none(value: float | None) -> Cell:
    return "–" if value is None else value


def _in_milliseconds(value: float | None) -> str:
    if value is None:
        return "–"
    return _("%s ms") % (round(value) if value >= 10 else round(value, 1))


def _lasting(duration: timedelta) -> str:
    now = timezone.now()
    return timesince(now - duration, now, depth=1).replace("\N{NO-BREAK SPACE}", " ")
