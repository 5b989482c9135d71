"""Rooms, and who is in them.

Nothing here saves a whole row: it was read without a lock, and its numbers are old by now.
"""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.admin.utils import label_for_field, quote
from django.contrib.admin.views.main import ChangeList
from django.contrib.admin.widgets import AutocompleteSelect
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.core.validators import MaxValueValidator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _

from .. import access, conf, directory, measures, retention, users
from ..audit import Actor
from ..models import Membership, Room
from .exports import ExportingMessages
from .lists import offered
from .pages import USERNAME, Audited, ByRoomOrPerson, protection

MANAGED = (Room.Kind.GROUP, Room.Kind.FEED)  # who is in the others is not for people to decide
MOST = {"slow_mode": 32_767, "retention_days": retention.MOST_DAYS}
STATES = ("open", "archived", "read_only")
MUTE = ("muted_until", "mute_reason")

TOOLS = [  # what there is about a room elsewhere: page, what it takes to see it, its question
    ("chat_message_changelist", "chat.view_message", "q", _("Messages")),
    ("chat_membership_changelist", "chat.view_membership", "q", _("Members")),
    ("chat_report_changelist", "chat.view_report", "room", _("Reports")),
    ("chat_announcement_add", "chat.can_announce", "room", _("Announce here")),
]


class SeatForm(forms.ModelForm):
    """A seat is somebody's: it can be taken away, not handed on."""

    request: HttpRequest  # told by whoever shows the form

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        may = self.request.user.has_perm
        if self.instance.pk is not None:
            if "user" in self.fields:
                someone = [(self.instance.user_id, str(self.instance.user))]
                self.fields["user"].disabled = True
                self.fields["user"].widget = forms.Select(choices=someone)
            if not may("chat.change_membership"):
                self._settle("role")
        if not may("chat.can_mute"):
            self._settle(*MUTE)

    def _settle(self, *names: str) -> None:
        for name in {*names} & {*self.fields}:
            self.fields[name].disabled = True

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        person = cleaned.get("user") or getattr(self.instance, "user", None)  # a new one: not yet
        if person and {*self.changed_data} & {*MUTE}:
            self._check_mute(cleaned, person)
        return cleaned

    def _check_mute(self, cleaned: dict[str, Any], person: AbstractBaseUser) -> None:
        if why := protection(self.request, person):
            self.add_error("muted_until", why)
        elif until := cleaned.get("muted_until"):
            if until <= timezone.now():
                self.add_error("muted_until", _("This is in the past."))
            if not cleaned.get("mute_reason"):
                self.add_error("mute_reason", _("Say why."))


def save_seat(request: HttpRequest, seat: Membership, changed: Any) -> None:
    """What a form has changed of it; or all of it, if it is new."""
    actor = Actor.of(request)
    if seat.pk is None:
        seat.pk = measures.seat(actor, seat.user, seat.room_id, seat.role).pk
        changed = MUTE if seat.muted_until else ()
    elif "role" in changed:
        measures.entrust(actor, seat, seat.role)
    if {*changed} & {*MUTE}:
        why = seat.mute_reason if seat.muted_until else ""
        measures.mute(actor, seat.user, seat.room_id, seat.muted_until, why)


def _for(request: HttpRequest, form: type[forms.ModelForm]) -> type[forms.ModelForm]:
    return type("Seat", (form,), {"request": request})


class Newcomer(AutocompleteSelect):
    """Finds people for whoever may bring them in: they need not see the site's users."""

    def get_url(self) -> str:
        return reverse("admin:chat_membership_people")


class SeatInline(admin.TabularInline):
    model = Membership
    form = SeatForm
    fields = ["user", "role", *MUTE]
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("user", "room")

    def get_formset(self, request: HttpRequest, obj: Model | None = None, **kwargs: Any) -> Any:
        return super().get_formset(request, obj, form=_for(request, self.form), **kwargs)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            kwargs["widget"] = Newcomer(db_field, self.admin_site)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_add_permission(  # type: ignore[override]
        self, request: HttpRequest, obj: Room | None
    ) -> bool:
        return super().has_add_permission(request, obj) and (obj is None or obj.kind in MANAGED)

    def has_change_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        may_mute = request.user.has_perm("chat.can_mute")
        return super().has_change_permission(request, obj) or may_mute

    def has_delete_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.kind in MANAGED)


class Rooms(ChangeList):
    """A page of them. Members are counted for those on it alone."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        self.result_list = list(self.result_list)
        members = access.count_members([room.pk for room in self.result_list])
        for room in self.result_list:
            room.members = members.get(room.pk, 0)


@admin.register(Room)
class RoomAdmin(ExportingMessages, Audited):
    list_display = [
        *("__str__", "kind", "members", "state", "slow_mode"),
        *("retention_days", "created_at"),
    ]
    list_filter = ["kind", *STATES]
    show_facets = admin.ShowFacets.NEVER  # each would be a count
    list_per_page = 50
    search_fields = ["id__exact", "name"]
    search_help_text = _("A part of its name, or its id")
    show_full_result_count = False
    ordering = ["-created_at"]
    fields = [
        *("kind", "name", "open", "archived", "read_only", "slow_mode", "retention_days"),
        *("id", "members", "seq", "rev", "created_at"),
    ]
    readonly_fields = ["id", "members", "seq", "rev", "created_at"]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return Rooms

    @admin.display(description=_("state"))
    def state(self, room: Room) -> str:
        true = [name for name in STATES if getattr(room, name)]
        return ", ".join(str(label_for_field(name, Room)) for name in true) or "-"

    @admin.display(description=_("members"))
    def members(self, room: Room) -> int:
        known: int | None = getattr(room, "members", None)
        return access.count_members([room.pk]).get(room.pk, 0) if known is None else known

    def has_delete_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        return False  # its messages would be lost

    def get_readonly_fields(self, request: HttpRequest, obj: Room | None = None) -> list[str]:
        return [*self.readonly_fields, *_settled(request, obj)]

    def get_inlines(self, request: HttpRequest, obj: Room | None) -> list[type[InlineModelAdmin]]:
        small = obj is None or obj.memberships.count() <= conf.SMALL_ROOM
        return [SeatInline] if small else []  # a form for each of a thousand members would hang

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "kind":
            kwargs["choices"] = [(kind.value, kind.label) for kind in MANAGED]
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "name" and field is not None:
            field.required = True  # only direct rooms have none, and there it cannot be edited
        if field is not None and (most := MOST.get(db_field.name)):
            field.validators.append(MaxValueValidator(most))
        return field

    def save_model(self, request: HttpRequest, obj: Room, form: Any, change: bool) -> None:
        if not change:
            obj.save(force_insert=True)
        elif form.changed_data:
            obj.save(update_fields=form.changed_data)  # which workers notice in the room itself
        if "retention_days" in form.changed_data:
            retention.be_due()

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        # All of them in order, as whoever moves cursors locks them; then come their users' access.
        seats = Membership.objects.filter(room=form.instance).order_by("pk")
        list(seats.select_for_update(no_key=True).values_list("pk"))
        for membership in formset.deleted_objects:
            measures.unseat(Actor.of(request), membership)
        for membership, changed in formset.changed_objects:
            save_seat(request, membership, changed)
        for membership in formset.new_objects:
            save_seat(request, membership, ())

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        if room := context.get("original"):
            context |= {"tools": list(_tools(request, room)), **self.handing(request, room)}
        return super().render_change_form(request, context, *args, **kwargs)


def _settled(request: HttpRequest, room: Room | None) -> Iterator[str]:
    """What is not for whoever asks to change, or for nobody."""
    if not request.user.has_perm("chat.can_set_retention"):
        yield "retention_days"
    if room is not None:
        yield "kind"
        if room.kind not in MANAGED:
            yield from ("open", "archived")
        elif room.is_private and not request.user.has_perm("chat.can_read_private"):
            yield "open"  # or anybody could read there, and so could they
        if room.pair:
            yield from ("name", "read_only")


def _tools(request: HttpRequest, room: Room) -> Iterator[dict[str, Any]]:
    for page, permission, question, title in TOOLS:
        if request.user.has_perm(permission):
            try:
                place = reverse(f"admin:{page}")
            except NoReverseMatch:
                continue
            yield {"title": title, "place": f"{place}?{urlencode({question: room.pk})}"}
    if request.user.has_perm("chat.can_set_retention"):
        place = reverse("admin:chat_retention_room", args=[quote(room.pk)])
        yield {"title": _("How long messages are kept"), "place": place}


@admin.register(Membership)
class MembershipAdmin(ByRoomOrPerson):
    list_display = ["__str__", "role", "muted_until", "delivered_rev", "read_seq", "joined_at"]
    list_filter = ["role"]
    show_facets = admin.ShowFacets.NEVER  # each would be a count
    list_per_page = 50
    list_select_related = ["room", "user"]
    ordering = ["-pk"]
    form = SeatForm
    fields = ["room", "user", "role", *MUTE, "delivered_rev", "read_seq", "joined_at"]
    readonly_fields = ["delivered_rev", "read_seq", "joined_at"]
    autocomplete_fields = ["room"]
    actions = None  # some of many could not be deleted

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.people_view)
        return [path("people/", view, name="chat_membership_people"), *super().get_urls()]

    def people_view(self, request: HttpRequest) -> HttpResponse:
        """Who can be brought into a room, by how their usernames begin."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        found = users.active().filter(directory.begins(USERNAME, request.GET.get("term", "")))
        return offered(request, found.order_by(USERNAME))

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[forms.ModelForm]:
        return super().get_form(request, obj, change, form=_for(request, self.form), **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return [*self.readonly_fields, *(["room", "user"] if obj else [])]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        may_mute = request.user.has_perm("chat.can_mute")
        return super().has_change_permission(request, obj) or may_mute

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        managed = obj is None or obj.room.kind in MANAGED
        return super().has_delete_permission(request, obj) and managed

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "user":
            kwargs["widget"] = Newcomer(db_field, self.admin_site)
        if db_field.name == "room":
            kwargs["queryset"] = Room.objects.filter(kind__in=MANAGED)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        save_seat(request, obj, form.changed_data)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        measures.unseat(Actor.of(request), obj)
