"""The audit log, to be read: nobody adds to it here, changes it or takes anything away."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from typing import Any

from django.apps import apps
from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist, ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from ..models import Access, AuditEntry, Room
from .exports import ExportingLog
from .lists import Capped
from .pages import USERNAME, Lasting, Unchangeable

NAMED = 20  # people whose names begin alike, and who are looked for together
COMMENT = 80  # characters of it in the list
Thing = tuple[str, str]  # that an entry names: its kind and its key


class Period(admin.ListFilter):
    """From one day to another, by the index on `at`; both count."""

    title = _("time")
    template = "admin/chat/auditentry/period.html"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.since, self.until = (self._taken(params, name) for name in ("since", "until"))
        self.kept: list[tuple[str, str]] = []  # parameters of the page that are not ours

    def _taken(self, params: Any, name: str) -> str:
        values = params.pop(name, [""])
        self.used_parameters[name] = values[-1]
        return str(values[-1])

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return ["since", "until"]

    def choices(self, changelist: ChangeList) -> Iterator[dict[str, Any]]:
        ours = ["since", "until", "p"]
        self.kept = [(name, value) for name, value in changelist.params.items() if name not in ours]
        today = timezone.localdate()
        days = {_("Any time"): "", _("Today"): today}
        days |= {_("Past 7 days"): today - timedelta(6), _("Past 30 days"): today - timedelta(29)}
        for words, day in days.items():
            yield {
                "selected": (self.since, self.until) == (str(day), ""),
                "query_string": changelist.get_query_string(
                    {"since": day} if day else {}, ["until"] if day else ours
                ),
                "display": words,
            }

    def queryset(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry]
    ) -> QuerySet[AuditEntry]:
        if self.since:
            queryset = queryset.filter(at__gte=_midnight(self.since))
        if self.until:
            queryset = queryset.filter(at__lt=_midnight(self.until, timedelta(1)))
        return queryset


def _midnight(day: str, later: timedelta = timedelta()) -> datetime:
    try:
        return timezone.make_aware(datetime.combine(date.fromisoformat(day) + later, time.min))
    except (ValueError, OverflowError):
        raise IncorrectLookupParameters from None


class Log(ChangeList):
    """A page of it, whose entries lead to what there is still of what they are about."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        _lead(request, self.result_list)


@admin.register(AuditEntry)
class AuditEntryAdmin(ExportingLog, Unchangeable, Lasting):
    list_display = ["at", "who", "action", "target", "the_room", "short_comment", "address"]
    list_display_links = ["at"]
    list_filter = ["action", Period]
    list_per_page = 50
    paginator = Capped
    show_facets = admin.ShowFacets.NEVER  # they count all there is
    sortable_by = ["at"]
    search_fields = ["actor_name"]  # shows the field; what is searched stands below
    search_help_text = _("A name, the beginning of a username, or a kind and key such as room:…")
    fields = [
        *("at", "who", "address", "action", "target", "kind", "key"),
        *("the_room", "comment", "what_changed"),
    ]
    readonly_fields = fields  # type: ignore[assignment]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Log

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What the list shows is what is handed out."""
        formats = self.formats if self.has_export_permission(request) else []
        asked = f"?{request.GET.urlencode()}" if request.GET else ""
        context = {"formats": formats, "asked": asked, **(extra_context or {})}
        return super().changelist_view(request, context)

    def get_ordering(self, request: HttpRequest) -> list[Any]:
        """Newest first; each by the index that its filter reads."""
        by_time = request.GET.get("since") or request.GET.get("until")
        return ["-at", "-pk"] if by_time else ["-pk"]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditEntry], search_term: str
    ) -> tuple[QuerySet[AuditEntry], bool]:
        return queryset.filter(_about(search_term.strip())), False

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> AuditEntry | None:
        entry = super().get_object(request, object_id, from_field)
        if entry is not None:
            _lead(request, [entry])
        return entry

    @admin.display(description=_("who"))
    def who(self, entry: AuditEntry) -> str:
        return _linked(entry, "user", str(entry.actor_id), entry.actor_name)

    @admin.display(description=_("target"))
    def target(self, entry: AuditEntry) -> str:
        return _linked(entry, entry.kind, entry.key, entry.label)

    @admin.display(description=_("room"))
    def the_room(self, entry: AuditEntry) -> str:
        names: dict[str, str] = getattr(entry, "rooms", {})
        return _linked(entry, "room", entry.room, names.get(entry.room) or entry.room)

    @admin.display(description=_("comment"))
    def short_comment(self, entry: AuditEntry) -> str:
        return Truncator(entry.comment).chars(COMMENT)

    @admin.display(description=_("what changed"))
    def what_changed(self, entry: AuditEntry) -> str:
        return render_to_string("admin/chat/auditentry/changes.html", {"changes": _changes(entry)})


def _about(words: str) -> Q:
    """Whose doing it was, or whom or what it was done to; by indexes alone."""
    if not words:
        return Q()
    kind, colon, key = words.partition(":")
    if colon and _model(kind):
        return Q(kind=kind, key=key.strip())
    people = get_user_model()._default_manager.filter(**{f"{USERNAME}__startswith": words})
    keys = list(people.values_list("pk", flat=True)[:NAMED])
    theirs = Q(kind__in=["user", "access"], key__in=list(map(str, keys)))
    return Q(actor__in=keys) | theirs | Q(actor_name=words) | Q(label=words)


def _model(kind: str) -> type[Model] | None:
    """Of what the log calls so; a person is looked at as the chat's, not as the site's."""
    if kind == "user":
        return Access
    try:
        return apps.get_model("chat", kind)
    except (LookupError, ValueError):
        return None


def _lead(request: HttpRequest, entries: Sequence[AuditEntry]) -> None:
    """Tell each entry where the things that it names are: one question for each kind of them."""
    keys: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        for kind, key in _named(entry):
            keys[kind].add(key)
    places = {
        (kind, key): place for kind in keys for key, place in _found(request, kind, keys[kind])
    }
    names = dict(Room.objects.filter(pk__in=keys["room"]).values_list("pk", "name"))
    for entry in entries:  # rows that were read to be shown
        vars(entry).update(places=places, rooms=names)


def _named(entry: AuditEntry) -> Iterator[Thing]:
    if entry.actor_id is not None:
        yield "user", str(entry.actor_id)
    if entry.key:
        yield entry.kind, entry.key
    if entry.room:
        yield "room", entry.room


def _found(request: HttpRequest, kind: str, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """The keys of those that are still there and may be looked at, and their pages."""
    model = _model(kind)
    page = admin.site._registry.get(model) if model else None
    if model is None or page is None or not page.has_view_permission(request):
        return
    found = model._default_manager.filter(pk__in=_valid(model, keys))
    for key in found.values_list("pk", flat=True):
        yield str(key), reverse(f"admin:chat_{model._meta.model_name}_change", args=[quote(key)])


def _valid(model: type[Model], keys: Iterable[str]) -> Iterator[Any]:
    for key in keys:
        with suppress(ValidationError):
            yield model._meta.pk.to_python(key)


def _linked(entry: AuditEntry, kind: str, key: str, words: str) -> str:
    place = getattr(entry, "places", {}).get((kind, key))
    return format_html('<a href="{}">{}</a>', place, words) if place and words else words or "-"


def _changes(entry: AuditEntry) -> list[tuple[str, Any, Any]]:
    """What was changed, by the name that forms give it: before, and after."""
    before, after = entry.before or {}, entry.after or {}
    return [
        (_verbose(entry.kind, name), _shown(before, name), _shown(after, name))
        for name in {**before, **after}
    ]


def _verbose(kind: str, name: str) -> str:
    model = get_user_model() if kind == "user" else _model(kind)
    try:
        field = model._meta.get_field(name) if model else None
    except FieldDoesNotExist:  # of the form alone
        field = None
    return str(getattr(field, "verbose_name", name))


def _shown(values: dict[str, Any], name: str) -> str:
    if name not in values or values[name] in (None, "", []):
        return "-"
    value = values[name]
    if isinstance(value, bool):
        return str(_("Yes") if value else _("No"))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
