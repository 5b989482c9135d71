"""Rooms, and who is in them.

Nothing here saves a whole row: it was read without a lock, and its numbers are old by now.
"""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.options import InlineModelAdmin
from django.http import HttpRequest

from .. import access, conf, rooms
from ..models import Membership, Room
from .exports import ExportingMessages
from .pages import ByRoomOrPerson

MANAGED = (Room.Kind.GROUP, Room.Kind.FEED)  # who is in the others is not for people to decide


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
class RoomAdmin(ExportingMessages):
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
