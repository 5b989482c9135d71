"""What was said."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Iterable

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from .. import messaging
from ..models import Message
from .pages import ByRoomOrPerson, Unchangeable


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
