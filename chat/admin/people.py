"""People, as far as they are the chat's, and what their programs come in with."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Collection, Iterator
from functools import partial
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db.models import Count, QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import control, directory, leases, measures
from ..models import Access, AuditEntry, Membership, Room, Token
from .erasing import Erasing
from .exports import Exporting
from .measures import (
    BAN,
    DISCONNECT_PEOPLE,
    END_SESSIONS,
    KICK,
    LIFT_BAN,
    Measure,
    Measuring,
    Question,
    Term,
)
from .pages import USERNAME, Audited, Lasting, Unchangeable, link, protection

SHOWN = 50  # of somebody's rooms and connections, on their page
ENTRIES = 10  # of the audit log
FOUND = 20  # rooms, at a time


class BannedNow(admin.SimpleListFilter):
    title = _("banned now")
    parameter_name = "banned"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Access]) -> QuerySet[Access]:
        return queryset.filter(banned_until__gt=Now()) if self.value() else queryset


class OnlineNow(admin.SimpleListFilter):
    title = _("online now")
    parameter_name = "online"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Access]) -> QuerySet[Access]:
        online = leases.living_connections().values("user")
        return queryset.filter(pk__in=online) if self.value() else queryset


class People(ChangeList):
    """A page of them. What they do now is asked for those on it alone."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        look_at(self.result_list)


def look_at(people: Collection[Access]) -> None:
    """Who of them has how many connections, and who is muted somewhere."""
    keys = [person.pk for person in people]
    open_now = leases.living_connections().filter(user__in=keys).values("user")
    connections = dict(open_now.annotate(n=Count("pk")).order_by().values_list("user", "n"))
    silent = Membership.objects.filter(user__in=keys, muted_until__gt=Now())
    muted = set(silent.values_list("user", flat=True))
    for person in people:
        person.connections = connections.get(person.pk, 0)  # type: ignore[attr-defined]
        person.is_muted = person.pk in muted  # type: ignore[attr-defined]


class TheirRooms(AutocompleteSelect):
    """Finds rooms among those of one person."""

    def __init__(self, person: AbstractBaseUser) -> None:
        super().__init__(Membership._meta.get_field("room"), admin.site)
        self._person = person

    def get_url(self) -> str:
        return reverse("admin:chat_access_rooms", args=[self._person.pk])


class Mute(Question):
    room = forms.ModelChoiceField(Room.objects.none(), label=_("Room"))

    def __init__(self, concerned: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(concerned, *args, **kwargs)
        [person] = concerned
        theirs: Any = self.fields["room"]
        theirs.widget = TheirRooms(person)
        theirs.queryset = Room.objects.filter(memberships__user=person)


class MuteFor(Term, Mute):
    field_order = ["room"]


def _mute(actor: Any, people: Any, form: Any) -> None:
    room, reason = form.cleaned_data["room"], form.cleaned_data["reason"]
    measures.mute(actor, people[0], room.pk, form.end, reason)


def _unmute(actor: Any, people: Any, form: Any) -> None:
    measures.mute(actor, people[0], form.cleaned_data["room"].pk, None)


MUTE = Measure(
    "chat.can_mute",
    _("Mute in a room"),
    _("They can read the room, and write nothing there until then."),
    _("Muted: %s."),
    _mute,
    MuteFor,
)
UNMUTE = Measure(
    "chat.can_mute",
    _("Let write again"),
    _("They may write in the room again."),
    _("May write again: %s."),
    _unmute,
    Mute,
)

MEASURES = {  # by the end of their address
    "ban": BAN,
    "lift_ban": LIFT_BAN,
    "mute": MUTE,
    "unmute": UNMUTE,
    "kick": KICK,
    "disconnect": DISCONNECT_PEOPLE,
    "end_sessions": END_SESSIONS,
}

ELSEWHERE = [  # what there is about a person on other pages, and what it takes to see it
    ("chat_message_changelist", "chat.view_message", _("Messages")),
    ("chat_report_changelist", "chat.view_report", _("Reports")),
    ("chat_waiting_changelist", "chat.view_waiting", _("What waits")),
]


@admin.register(Access)
class AccessAdmin(Erasing, Exporting, Unchangeable, Lasting, Measuring):
    """What is done to people has pages of its own, which ask first."""

    list_display = ["user", "online", "last_seen", "banned", "muted", "waiting", "active"]
    list_select_related = ["user", "user__chat_last_seen"]
    list_filter = [BannedNow, OnlineNow]
    list_per_page = 50
    show_facets = admin.ShowFacets.NEVER  # each would be a count
    search_fields = ["user"]  # shows the field; what is searched stands below
    search_help_text = _("How a username begins")
    ordering = [f"user__{USERNAME}"]
    fields = ["profile", "online", "last_seen", "banned", "ban_reason", "muted", "active"]
    actions = ["ban", "lift_ban", "disconnect", "kick", "end_sessions"]

    # The list

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        may_look = request.user.has_perm("chat.view_waiting")
        return [column for column in self.list_display if may_look or column != "waiting"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return People

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if term := search_term.strip():
            queryset = queryset.filter(directory.begins(f"user__{USERNAME}", term))
        return queryset, False

    @admin.display(description=_("online now"))
    def online(self, person: Access) -> str:
        count: int = person.connections  # type: ignore[attr-defined]
        return str(count) if count else "-"

    @admin.display(description=_("last seen"))
    def last_seen(self, person: Access) -> str:
        seen = getattr(person.user, "chat_last_seen", None)
        return _moment(seen.at) if seen else "-"

    @admin.display(description=_("banned until"), ordering="banned_until")
    def banned(self, person: Access) -> str:
        until = person.banned_until
        return _moment(until) if until and until > timezone.now() else "-"

    @admin.display(description=_("muted somewhere"))
    def muted(self, person: Access) -> str:
        return gettext("Yes") if person.is_muted else "-"  # type: ignore[attr-defined]

    @admin.display(description=_("is active"), boolean=True, ordering="user__is_active")
    def active(self, person: Access) -> bool:
        return person.user.is_active

    @admin.display(description=_("waiting"))
    def waiting(self, person: Access) -> str:
        place = reverse("admin:chat_waiting_changelist")
        name = urlencode({"q": person.user.get_username()})
        return format_html('<a href="{}?{}">{}</a>', place, name, _("What waits"))

    @admin.action(description=_("Ban…"), permissions=["ban"])
    def ban(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, BAN, queryset, _users)

    @admin.action(description=_("Lift the ban"), permissions=["ban"])
    def lift_ban(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, LIFT_BAN, queryset, _users)

    @admin.action(description=_("Disconnect (they come back)"), permissions=["disconnect"])
    def disconnect(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, DISCONNECT_PEOPLE, queryset, _users)

    @admin.action(description=_("Kick"), permissions=["kick"])
    def kick(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, KICK, queryset, _users)

    @admin.action(description=_("End all sessions"), permissions=["end_sessions"])
    def end_sessions(self, request: HttpRequest, queryset: QuerySet) -> HttpResponse | None:
        return self.ask_about_selected(request, END_SESSIONS, queryset, _users)

    # A person

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Access | None:
        found = super().get_object(request, object_id, from_field)
        if found:
            look_at([found])
        return found

    def get_urls(self) -> list[URLPattern]:
        own = self.admin_site.admin_view
        pages = [
            path(
                f"<path:object_id>/{name}/",
                own(partial(self.measure_view, name=name)),
                name=f"chat_access_{name}",
            )
            for name in MEASURES
        ]
        rooms = path("<path:object_id>/rooms/", own(self.rooms_view), name="chat_access_rooms")
        return [*pages, rooms, *super().get_urls()]

    def measure_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Asks whether to do this to one person, and does."""
        measure = MEASURES[name]
        if not request.user.has_perm(measure.permission):
            raise PermissionDenied  # whether there is such a person or not
        person = self._person(request, object_id)
        back = self._place_of(request, person)
        return self.ask(request, measure, [person.user], back) or redirect(back)

    def _person(self, request: HttpRequest, object_id: str) -> Access:
        person = self.get_object(request, unquote(object_id))
        if person is None:
            raise Http404
        return person

    def _place_of(self, request: HttpRequest, person: Access) -> str:
        if self.has_view_permission(request, person):
            return reverse("admin:chat_access_change", args=[person.pk])
        return reverse("admin:index")

    def rooms_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """What the search for one of their rooms finds, as Django's own would tell it."""
        if not request.user.has_perm(MUTE.permission):
            raise PermissionDenied
        asked = request.GET.get("page", "")
        start = FOUND * (int(asked) - 1) if asked.isdecimal() and 1 <= len(asked) <= 4 else 0
        person = self._person(request, object_id)
        seats = Membership.objects.filter(user=person.user).select_related("room")
        named = seats.filter(room__name__icontains=request.GET.get("term", ""))
        found = list(named.order_by("room__name", "pk")[max(start, 0) :][: FOUND + 1])
        results = [{"id": seat.room_id, "text": str(seat.room)} for seat in found[:FOUND]]
        return JsonResponse({"results": results, "pagination": {"more": len(found) > FOUND}})

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        person = context["original"]
        context |= {
            "tools": list(self._tools(request, person)),
            "untouchable": protection(request, person.user),
            **self.handing(request, person),
            **_surroundings(request, person.user),
        }
        return super().render_change_form(request, context, *args, **kwargs)

    def _tools(self, request: HttpRequest, person: Access) -> Iterator[dict[str, Any]]:
        """What whoever asks may see of them elsewhere, and do to them."""
        name_of = urlencode({"q": person.user.get_username()})
        for page, permission, title in ELSEWHERE:
            if request.user.has_perm(permission):
                yield {"title": title, "place": f"{reverse(f'admin:{page}')}?{name_of}"}
        untouchable = protection(request, person.user)
        is_banned = person.banned_until and person.banned_until > timezone.now()
        for name, measure in MEASURES.items():
            if (
                request.user.has_perm(measure.permission)
                and not (measure.spares and untouchable)
                and name != "unmute"  # which stands beside the room
                and (name != "lift_ban" or is_banned)
            ):
                place = reverse(f"admin:chat_access_{name}", args=[person.pk])
                yield {"title": measure.title, "place": place}
        if self.has_erase_permission(request, person) and not untouchable:
            yield {
                "title": _("Erase"),
                "place": reverse("admin:chat_access_erase", args=[quote(person.pk)]),
            }

    @admin.display(description=_("user"))
    def profile(self, person: Access) -> str:
        return link(person.user)


def _users(people: QuerySet) -> QuerySet[AbstractBaseUser]:
    everybody = get_user_model()._default_manager.order_by(USERNAME)
    return everybody.filter(pk__in=people.order_by().values("pk"))


def _moment(at: Any) -> str:
    if at > timezone.now() + control.FOR_GOOD / 2:
        return gettext("for good")
    return str(localize(timezone.localtime(at)))


def _surroundings(request: HttpRequest, person: AbstractBaseUser) -> dict[str, Any]:
    """What else is known of them, as far as whoever asks may look at it."""
    may = request.user.has_perm
    about: dict[str, Any] = {"now": timezone.now()}
    if may("chat.view_membership"):
        seats = Membership.objects.filter(user_id=person.pk).select_related("room")
        about["seats"] = list(seats.order_by("room__name", "pk")[:SHOWN])
    if may("chat.view_connection"):
        open_now = leases.living_connections().filter(user_id=person.pk).select_related("lease")
        about["connections"] = list(open_now.order_by("-since")[:SHOWN])
    if may("chat.view_token"):
        about["tokens"] = Token.objects.filter(user_id=person.pk, expires_at__gt=Now()).count()
    if may("chat.view_auditentry"):
        entries = AuditEntry.objects.filter(kind="user", key=str(person.pk))
        about["entries"] = list(entries.order_by("-pk")[:ENTRIES])
    return about


@admin.register(Token)
class TokenAdmin(Unchangeable, Audited):
    """Deleting one ends what was opened with it. The secrets are known to nobody."""

    list_display = ["user", "kind", "created_at", "expires_at"]
    list_filter = ["kind"]
    list_select_related = ["user"]
    search_fields = [f"user__{USERNAME}__exact"]
    fields = ["user", "kind", "created_at", "expires_at"]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Nobody finds out a digest by asking for those that begin so."""
        return lookup.startswith("kind") and super().lookup_allowed(lookup, value, request)
