"""The admin panel. What it changes, it changes as the chat does, so that open sockets notice.

Nothing here saves a whole row: it was read without a lock, and its numbers are old by now.
"""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model, Q, QuerySet
from django.db.models.functions import Now
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _

from . import access, conf, control, leases, messaging, rooms
from .models import Access, Connection, Epoch, Lease, Membership, Message, Report, Room, Token

USERNAME = get_user_model().USERNAME_FIELD
MANAGED = (Room.Kind.GROUP, Room.Kind.FEED)  # who is in the others is not for people to decide


class MadeByChat(admin.ModelAdmin):
    show_full_result_count = False  # would count every row, on every page

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class Unchangeable(MadeByChat):
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Lasting(MadeByChat):
    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ByRoomOrPerson(admin.ModelAdmin):
    """Rows that may be millions, found by two indexes; Django's own search would read them all."""

    person = "user"
    search_fields = ["room"]  # shows the field; what is searched stands below
    search_help_text = _("The id of a room, or a username")
    show_full_result_count = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if search_term:
            people = get_user_model()._default_manager.filter(**{USERNAME: search_term})
            keys = list(people.values_list("pk", flat=True))
            queryset = queryset.filter(Q(room=search_term) | Q(**{f"{self.person}__in": keys}))
        return queryset, False


class SeatForm(forms.ModelForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A seat is somebody's: it can be taken away, not handed on.
        if self.instance.pk is not None and "user" in self.fields:
            self.fields["user"].disabled = True


class SeatInline(admin.TabularInline):
    model = Membership
    form = SeatForm
    fields = ["user", "role", "muted_until"]
    autocomplete_fields = ["user"]
    extra = 0

    def has_add_permission(  # type: ignore[override]
        self, request: HttpRequest, obj: Room | None
    ) -> bool:
        return super().has_add_permission(request, obj) and (obj is None or obj.kind in MANAGED)

    def has_delete_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        return super().has_delete_permission(request, obj) and (obj is None or obj.kind in MANAGED)


@admin.register(Room)
class RoomAdmin(admin.ModelAdmin):
    list_display = ["__str__", "kind", "open", "archived", "seq", "created_at"]
    list_filter = ["kind", "open", "archived"]
    search_fields = ["id__exact", "name"]
    show_full_result_count = False
    fields = ["kind", "name", "open", "archived", "slow_mode", "id", "seq", "rev", "created_at"]
    readonly_fields = ["id", "seq", "rev", "created_at"]

    def has_delete_permission(self, request: HttpRequest, obj: Room | None = None) -> bool:
        return False  # its messages would be lost

    def get_readonly_fields(self, request: HttpRequest, obj: Room | None = None) -> list[str]:
        if obj is None:
            return [*self.readonly_fields]
        settled = ["kind"] if obj.kind in MANAGED else ["kind", "open", "archived"]
        return [*self.readonly_fields, *settled, *(["name"] if obj.pair else [])]

    def get_inlines(self, request: HttpRequest, obj: Room | None) -> list[type[InlineModelAdmin]]:
        small = obj is None or obj.memberships.count() <= conf.SMALL_ROOM
        return [SeatInline] if small else []  # a form for each of a thousand members would hang

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "kind":
            kwargs["choices"] = [(kind.value, kind.label) for kind in MANAGED]
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if db_field.name == "name" and field is not None:
            field.required = True  # only direct rooms have none, and there it cannot be edited
        return field

    def save_model(self, request: HttpRequest, obj: Room, form: Any, change: bool) -> None:
        if not change:
            obj.save(force_insert=True)
        elif form.changed_data:
            obj.save(update_fields=form.changed_data)  # which workers notice in the room itself

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        formset.save(commit=False)
        for membership in formset.deleted_objects:
            rooms.dismiss(membership.user, membership.room_id)
        for membership, changed in formset.changed_objects:
            _save_seat(membership, changed)
        for membership in formset.new_objects:
            _take_seat(membership)


@admin.register(Membership)
class MembershipAdmin(ByRoomOrPerson):
    list_display = ["room", "user", "role", "delivered_rev", "read_seq", "muted_until"]
    list_filter = ["role"]
    list_select_related = ["room", "user"]
    ordering = ["-pk"]
    fields = ["room", "user", "role", "muted_until", "delivered_rev", "read_seq", "joined_at"]
    readonly_fields = ["delivered_rev", "read_seq", "joined_at"]
    autocomplete_fields = ["room", "user"]
    actions = None  # some of many could not be deleted

    def get_readonly_fields(self, request: HttpRequest, obj: Membership | None = None) -> list[str]:
        return [*self.readonly_fields, *(["room", "user"] if obj else [])]

    def has_delete_permission(self, request: HttpRequest, obj: Membership | None = None) -> bool:
        managed = obj is None or obj.room.kind in MANAGED
        return super().has_delete_permission(request, obj) and managed

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "room":
            kwargs["queryset"] = Room.objects.filter(kind__in=MANAGED)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Membership, form: Any, change: bool) -> None:
        if change:
            _save_seat(obj, form.changed_data)
        else:
            _take_seat(obj)

    def delete_model(self, request: HttpRequest, obj: Membership) -> None:
        rooms.dismiss(obj.user, obj.room_id)


def _take_seat(membership: Membership) -> None:
    seat = rooms.place(membership.user, membership.room_id, membership.role)
    membership.pk = seat.pk
    if membership.muted_until:
        membership.save(update_fields=["muted_until"])


def _save_seat(membership: Membership, changed: Sequence[str]) -> None:
    membership.save(update_fields=changed)
    access.raise_for([membership.user_id])


@admin.register(Message)
class MessageAdmin(Unchangeable, ByRoomOrPerson):
    """Deleting one leaves its tombstone, as in the chat: the room keeps its order."""

    person = "sender"
    list_display = ["__str__", "room", "sender", "created_at", "edited_at", "deleted"]
    list_select_related = ["room", "sender"]
    ordering = ["-pk"]
    fields = [
        *("room", "seq", "rev", "sender", "announcement", "body"),
        *("created_at", "edited_at", "deleted"),
    ]

    def get_deleted_objects(
        self, objs: Iterable[Message], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        texts = [f"{message}: {message.body}" for message in objs]
        return texts, {str(Message._meta.verbose_name_plural): len(texts)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Message) -> None:
        messaging.take_down(obj.room_id, obj.seq)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        for message in queryset:
            self.delete_model(request, message)


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
            return _link(None)
        return _link(Message.objects.filter(room=report.room_id, seq=report.seq).first())

    @admin.display(description=_("person"))
    def the_person(self, report: Report) -> str:
        return _link(report.person)

    @admin.display(description=_("room"))
    def the_room(self, report: Report) -> str:
        return _link(report.room)

    @admin.display(description=_("reporter"))
    def the_reporter(self, report: Report) -> str:
        return _link(report.reporter)


def _link(found: Model | None) -> str:
    """To where it is looked at; a site need not have its users there."""
    if found is None:
        return "-"
    meta = found._meta
    try:
        place = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[found.pk])
    except NoReverseMatch:
        return str(found)
    return format_html('<a href="{}">{}</a>', place, found)


@admin.register(Access)
class AccessAdmin(Lasting):
    list_display = ["user", "version", "banned_until"]
    list_select_related = ["user"]
    list_filter = [("banned_until", admin.EmptyFieldListFilter)]
    search_fields = [f"user__{USERNAME}"]
    fields = ["user", "version", "banned_until"]
    readonly_fields = ["user", "version"]

    def save_model(self, request: HttpRequest, obj: Access, form: Any, change: bool) -> None:
        control.ban(obj.user, obj.banned_until)


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


@admin.register(Lease)
class LeaseAdmin(Unchangeable, Lasting):
    """Workers that have connections."""

    list_display = ["__str__", "started_at", "renewed_at"]
    fields = ["worker", "host", "pid", "started_at", "renewed_at"]


@admin.register(Token)
class TokenAdmin(Unchangeable):
    """Deleting one ends what was opened with it. The secrets are known to nobody."""

    list_display = ["user", "kind", "created_at", "expires_at"]
    list_filter = ["kind"]
    list_select_related = ["user"]
    search_fields = [f"user__{USERNAME}__exact"]
    fields = ["user", "kind", "created_at", "expires_at"]


@admin.register(Epoch)
class EpochAdmin(Unchangeable, Lasting):
    """Another one begins with `manage.py new_epoch`."""
