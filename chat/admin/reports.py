"""What people want somebody to look at, each thing once, however many report it."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AdminRadioSelect, AdminTextareaWidget
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from .. import audit, reports
from ..audit import Action, Actor
from ..control import FOR_GOOD
from ..errors import NotFound
from ..models import Report
from ..reports import Outcome
from .lists import Capped
from .pages import (
    USERNAME,
    Lasting,
    Unchangeable,
    laid_out,
    link,
    own_page,
    person_link,
    protection,
)

SHOWN = 100  # reports of a case on its page
EARLIER = 10  # decisions about the same person
SHORT = 80  # characters of a text in the list

# What else one needs to be allowed to decide so.
NEEDED: Mapping[str | None, str] = {
    Outcome.DELETED: "chat.delete_message",
    Outcome.MUTED: "chat.can_mute",
    Outcome.BANNED: "chat.can_ban",
}
VERBS = {
    Outcome.KEPT: _("Keep the message"),
    Outcome.DELETED: _("Delete the message"),
    Outcome.MUTED: _("Mute the person in the room"),
    Outcome.BANNED: _("Ban the person"),
    Outcome.DISMISSED: _("Dismiss: there is nothing to it"),
}
DURATIONS = {
    "1h": (timedelta(hours=1), _("1 hour")),
    "1d": (timedelta(days=1), _("1 day")),
    "1w": (timedelta(weeks=1), _("1 week")),
    "30d": (timedelta(days=30), _("30 days")),
    "ever": (FOR_GOOD, _("For good")),
}


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
            return queryset.filter(reports.all_cases())
        is_open = self.value() == "open"
        return queryset.filter(reports.open_cases() if is_open else reports.closed_cases())


class Some(Capped):
    """Each case is told from the other reports of the same: nobody pages through thousands."""

    cap = 1_000
    cap_told = f"{cap:,}"


class Queue(ChangeList):
    """A page of cases, with what their reports come to."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        summaries = reports.summaries(self.result_list)
        for report in self.result_list:
            report.summary = summaries[report.pk]


class DecisionForm(forms.Form):
    outcome = forms.ChoiceField(
        label=_("Decision"), widget=AdminRadioSelect(attrs={"class": "radiolist"})
    )
    duration = forms.ChoiceField(
        label=_("For how long"),
        help_text=_("If the person is muted or banned."),
        choices=[(key, words) for key, (_span, words) in DURATIONS.items()],
        initial="1d",
    )
    comment = forms.CharField(
        label=_("Comment"),
        help_text=_(
            "Why: it is kept with the reports, in the audit log, and with a mute or a ban."
        ),
        max_length=reports.COMMENT_CHARS,
        widget=AdminTextareaWidget,
    )

    def __init__(self, outcomes: Sequence[Outcome], data: Mapping[str, Any] | None = None) -> None:
        super().__init__(data)
        field: Any = self.fields["outcome"]
        field.choices = [(outcome.value, VERBS[outcome]) for outcome in outcomes]

    @property
    def until(self) -> datetime:
        span, _words = DURATIONS[self.cleaned_data["duration"]]
        return timezone.now() + span


@admin.register(Report)
class ReportAdmin(Unchangeable, Lasting):
    """A case is looked at through any report of it, and decided with a comment."""

    list_display = ["what", "the_person", "the_room", "count", "first", "last", "reasons"]
    list_display_links = ["what"]
    list_filter = [ReportState, "outcome"]
    list_select_related = ["person", "room"]
    list_per_page = 25
    paginator = Some
    show_facets = admin.ShowFacets.NEVER
    sortable_by = ()
    search_fields = ["person"]  # shows the field; what is searched stands below
    search_help_text = _("A username: of who is reported, or of who reports")
    ordering = ["-pk"]
    actions = None

    def has_moderate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.can_moderate")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Queue

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Nobody finds out what was said in private by asking for what begins so."""
        return not lookup.startswith("body") and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Report], search_term: str
    ) -> tuple[QuerySet[Report], bool]:
        if search_term:
            people = get_user_model()._default_manager.filter(**{USERNAME: search_term.strip()})
            keys = list(people.values_list("pk", flat=True))
            queryset = queryset.filter(reports.concerning(keys))
        return queryset, False

    # In the list

    @admin.display(description=_("what"))
    def what(self, report: Report) -> str:
        if report.seq is None:
            return str(_("A person"))
        if report.room is not None and report.room.is_private:
            return str(_("A message in a private room"))
        return Truncator(report.body).chars(SHORT)

    @admin.display(description=_("person"))
    def the_person(self, report: Report) -> str:
        return person_link(report.person)

    @admin.display(description=_("room"))
    def the_room(self, report: Report) -> str:
        return link(report.room)

    @admin.display(description=_("reports"))
    def count(self, report: Any) -> int:
        return int(report.summary.reports)

    @admin.display(description=_("first"))
    def first(self, report: Any) -> datetime:
        return report.summary.first  # type: ignore[no-any-return]

    @admin.display(description=_("last"))
    def last(self, report: Any) -> datetime:
        return report.summary.last  # type: ignore[no-any-return]

    @admin.display(description=_("reasons"))
    def reasons(self, report: Any) -> str:
        return " · ".join(Truncator(reason).chars(SHORT) for reason in report.summary.reasons)

    # A case

    def get_urls(self) -> list[Any]:
        def view(name: str, function: Any) -> Any:
            place = f"<path:object_id>/{name}/"
            wrapped = self.admin_site.admin_view(require_POST(function))
            return path(place, wrapped, name=f"chat_report_{name}")

        return [view("read", self.read_view), view("reopen", self.reopen_view), *super().get_urls()]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        report = self._case(request, object_id)
        if request.method != "POST":
            return self._page(request, report)
        self._insist(request, "chat.can_moderate")
        if permission := NEEDED.get(request.POST.get("outcome")):
            self._insist(request, permission)
        form = DecisionForm(_outcomes(request, report), request.POST)
        return self._decide(request, report, form) or self._page(request, report, form=form)

    def _decide(
        self, request: HttpRequest, report: Report, form: DecisionForm
    ) -> HttpResponse | None:
        """None: the form says why not."""
        if not reports.is_open(report):
            return self._too_late(request, report)
        if not form.is_valid():
            return None
        outcome, comment = form.cleaned_data["outcome"], form.cleaned_data["comment"]
        try:
            count = reports.decide(Actor.of(request), report, outcome, comment, form.until)
        except NotFound:
            form.add_error("outcome", _("That is not possible any more: nothing was done."))
            return None
        if not count:
            return self._too_late(request, report)
        self.message_user(
            request,
            ngettext("Decided; %d report is closed.", "Decided; %d reports are closed.", count)
            % count,
            messages.SUCCESS,
        )
        return HttpResponseRedirect(reverse("admin:chat_report_changelist"))

    def _too_late(self, request: HttpRequest, report: Report) -> HttpResponse:
        told = _("Somebody else has decided already: nothing was done.")
        self.message_user(request, told, messages.WARNING)
        return HttpResponseRedirect(_place(report))

    def read_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what was said in a private room, and write down that somebody has read it."""
        report = self._case(request, object_id)
        self._insist(request, "chat.can_read_private")
        audit.record(
            Actor.of(request),
            Action.READ,
            reports.message_of(report) or report,
            label=reports.label_of(report),
            room=report.room_id or "",
        )
        return self._page(request, report, is_shown=True)

    def reopen_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        report = self._case(request, object_id)
        self._insist(request, "chat.can_moderate")
        reports.reopen(Actor.of(request), report)
        self.message_user(request, _("It is open again."), messages.SUCCESS)
        return HttpResponseRedirect(_place(report))

    def _case(self, request: HttpRequest, object_id: str) -> Report:
        if not self.has_view_permission(request):
            raise PermissionDenied
        report: Report | None = self.get_object(request, unquote(object_id))
        if report is None:
            raise Http404
        return report

    def _insist(self, request: HttpRequest, permission: str) -> None:
        if not request.user.has_perm(permission):
            raise PermissionDenied

    def _page(
        self,
        request: HttpRequest,
        report: Report,
        *,
        form: DecisionForm | None = None,
        is_shown: bool = False,
    ) -> HttpResponse:
        room, message = reports.room_of(report), reports.message_of(report)
        same = reports.of_the_same(report).select_related("reporter", "room", "closed_by")
        is_private = report.seq is not None and room is not None and room.is_private
        can_moderate = self.has_moderate_permission(request)
        context = {
            "report": report,
            "person": person_link(report.person),
            "room": link(room),
            "message": message,
            "message_link": link(message),
            "reports": same.order_by("-created_at", "-pk")[:SHOWN],
            "count": same.count(),
            "is_open": reports.is_open(report),
            "decided": same.exclude(outcome="").order_by("-closed_at").first(),
            "earlier": _earlier(report),
            "is_hidden": is_private and not is_shown,
            "can_read": request.user.has_perm("chat.can_read_private"),
            "can_moderate": can_moderate,
            "decision": laid_out(form or DecisionForm(_outcomes(request, report))),
        }
        title = _("A reported person") if report.seq is None else _("A reported message")
        return own_page(self, request, "report/change_form", title, context)


def _place(report: Report) -> str:
    return reverse("admin:chat_report_change", args=[report.pk])


def _outcomes(request: HttpRequest, report: Report) -> list[Outcome]:
    """What can be decided about it, and by whoever asks."""
    message, person = reports.message_of(report), report.person
    can_be_touched = person is not None and not protection(request, person)
    possible = {
        Outcome.KEPT: report.seq is not None,
        Outcome.DELETED: message is not None and not message.deleted,
        Outcome.MUTED: can_be_touched and reports.seat_of(report) is not None,
        Outcome.BANNED: can_be_touched,
        Outcome.DISMISSED: True,
    }
    return [
        outcome
        for outcome, can_be in possible.items()
        if can_be and (outcome not in NEEDED or request.user.has_perm(NEEDED[outcome]))
    ]


def _earlier(report: Report) -> Sequence[Report]:
    if report.person_id is None:
        return []
    return list(reports.earlier(report).select_related("room", "closed_by")[:EARLIER])
