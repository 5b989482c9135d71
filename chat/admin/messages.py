"""What was said. What was said in private stays hidden until somebody says that they read it."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Iterable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import NoReverseMatch, URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _

from .. import audit, conf, messaging, whereabouts
from ..audit import Action, Actor
from ..errors import NotFound
from ..models import Message, Room
from ..whereabouts import Shown
from .lists import Capped, KindOfRoom, MessageState, SaidSince, ThesePages, said_by, said_in
from .pages import USERNAME, Unchangeable, link, own_page, person_link

SHORT = 80  # characters of a text in the list
HIDDEN = _("Hidden: private")
MEMBERS = 100  # on one page of a message's whereabouts
FILTERS: list[Any] = [MessageState, SaidSince, KindOfRoom]


class Reading(forms.Form):
    """Why somebody reads what was said in private; they need not say."""

    reason = forms.CharField(
        label=_("Reason (optional)"),
        max_length=conf.REASON_CHARS,
        required=False,
        widget=forms.TextInput({"class": "vTextField"}),
    )


@admin.register(Message)
class MessageAdmin(Unchangeable):
    """Deleting one leaves its tombstone, as in the chat: the room keeps its order."""

    list_display = ["place", "where", "room", "author", "created_at", "state", "text"]
    list_filter = FILTERS
    paginator = Capped
    action_form = ThesePages
    list_per_page = 50
    ordering = ["-pk"]
    show_facets = admin.ShowFacets.NEVER  # each would count them all
    sortable_by = ()  # by anything else, all of them would have to be sorted
    search_fields = ["room"]  # shows the field; what is searched stands below
    search_help_text = _("The id of a room, or a username")
    fields = ["the_room", "seq", "the_author", "created_at", "edited_at", "state"]
    readonly_fields = ["the_room", "the_author", "state"]

    class Media:
        css: ClassVar = {"all": ["chat/admin/messages.css"]}

    def get_urls(self) -> list[URLPattern]:
        asked = {"read": self.read, "whereabouts": self.whereabouts_view}
        ours = [
            path(
                f"<path:object_id>/{name}/",
                self.admin_site.admin_view(view),
                name=f"chat_message_{name}",
            )
            for name, view in asked.items()
        ]
        return [*ours, *super().get_urls()]

    def has_read_private_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.can_read_private")

    # The list

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Nobody finds out what a message says by asking for those that begin so."""
        return lookup in [one.parameter_name for one in FILTERS]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Message], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        if not search_term:
            return queryset, False
        is_few = MessageState.parameter_name in request.GET
        if Room.objects.filter(pk=search_term).exists():
            return said_in(queryset, search_term, is_few=is_few), False
        people = get_user_model()._default_manager.filter(**{USERNAME: search_term})
        keys = list(people.values_list("pk", flat=True))
        return said_by(queryset, keys, is_few=is_few), False

    @admin.display(description=_("place"))
    def place(self, message: Message) -> str:
        return f"#{message.seq}"

    @admin.display(description=_("author"))
    def author(self, message: Message) -> str:
        return "-" if message.sender is None else str(message.sender)

    @admin.display(description=_("state"))
    def state(self, message: Message) -> str:
        states = {
            _("Announcement"): message.announcement,
            _("Edited"): message.edited_at is not None,
            _("Gone") if whereabouts.is_gone(message) else _("Deleted"): message.deleted,
        }
        return ", ".join(str(words) for words, applies in states.items() if applies) or "-"

    @admin.display(description=_("text"))
    def text(self, message: Message) -> str:
        if message.deleted:
            return "-"
        if message.room.is_private:
            return str(HIDDEN)
        return Truncator(" ".join(message.body.split())).chars(SHORT)

    @admin.display(description=_("Where is it?"))
    def where(self, message: Message) -> str:
        address, words = self._address("whereabouts", message), _("Where is it?")
        return format_html('<a href="{}" aria-label="{} {}">{}</a>', address, words, message, words)

    def _address(self, view: str, message: Message) -> str:
        name = f"{self.admin_site.name}:chat_message_{view}"
        return reverse(name, args=[quote(message.pk)])

    # One of them

    @admin.display(description=_("room"))
    def the_room(self, message: Message) -> str:
        return link(message.room)

    @admin.display(description=_("author"))
    def the_author(self, message: Message) -> str:
        return person_link(message.sender)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Message | None:
        found = super().get_object(request, object_id, from_field)
        return found if isinstance(found, Message) else None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        return super().get_queryset(request).select_related("room", "sender")

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        more = {"form": Reading(), "may_read": self.has_read_private_permission(request)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def read(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what was said in private, once; that somebody read it is written down before."""
        message = self._seen(request, object_id)
        if not self.has_read_private_permission(request):
            raise PermissionDenied
        if request.method != "POST" or message.deleted or not message.room.is_private:
            return redirect(self._address("change", message))
        form = Reading(request.POST)
        is_read = form.is_valid()
        if is_read:
            with transaction.atomic():
                reason = form.cleaned_data["reason"]
                audit.record(Actor.of(request), Action.READ, message, comment=reason)
                message = self.get_queryset(request).get(pk=message.pk)
        context = {"original": message, "form": form, "is_read": is_read}
        return own_page(self, request, "message/read", str(message), context)

    def whereabouts_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Where a message is on its way to each member of its room."""
        message = self._seen(request, object_id)
        shown = request.GET.get("show", "")
        shown = shown if shown in Shown else Shown.EVERYBODY
        name = request.GET.get("q", "")
        seats = whereabouts.members(message, shown, name)
        page = Capped(seats, MEMBERS).get_page(request.GET.get("p"))
        context = {
            "original": message,
            "room": link(message.room),
            "author": person_link(message.sender),
            "dashboard": _dashboard(request),
            "is_gone": whereabouts.is_gone(message),
            "figures": whereabouts.figures(message),
            "members": whereabouts.told(message, list(page)),
            "page": page,
            "page_range": page.paginator.get_elided_page_range(page.number),
            "choices": Shown.choices,
            "shown": shown,
            "name": name,
        }
        return own_page(self, request, "message/whereabouts", str(message), context)

    def _seen(self, request: HttpRequest, object_id: str) -> Message:
        message = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, message):
            raise PermissionDenied
        if message is None:
            raise Http404
        return message

    # Deleting them

    def get_deleted_objects(
        self, objs: Iterable[Message], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        texts = [f"{message}, {self.author(message)}: {self.text(message)}" for message in objs]
        return texts, {str(Message._meta.verbose_name_plural): len(texts)}, set(), []

    def delete_model(self, request: HttpRequest, obj: Message) -> None:
        with transaction.atomic():
            _take_down(Actor.of(request), obj)

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> None:
        with transaction.atomic():
            for message in queryset.order_by("room_id", "seq"):  # rooms are locked in this order
                _take_down(Actor.of(request), message)


def _dashboard(request: HttpRequest) -> str:
    """Where one sees how the workers are, if one may."""
    if not request.user.has_perm("chat.can_view_dashboard"):
        return ""
    try:
        return reverse("admin:chat_vitals_changelist")
    except NoReverseMatch:
        return ""


def _take_down(actor: Actor, message: Message) -> None:
    if message.deleted or whereabouts.is_gone(message):
        return
    try:
        messaging.take_down(message.room_id, message.seq)
    except NotFound:  # gone in this moment
        return
    audit.record(actor, Action.DELETED, message)
