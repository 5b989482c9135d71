"""Announcements: what was announced, and how to announce something.

One writes, looks at what people will see and how many they are, and confirms: three pages that
need no script. What is confirmed twice is said once.
"""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from typing import Any
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import (
    AdminRadioSelect,
    AdminTextareaWidget,
    AutocompleteSelect,
    AutocompleteSelectMultiple,
)
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet, TextChoices
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import announcing, conf, rooms, users
from ..announcing import MOST_PEOPLE
from ..audit import Actor
from ..errors import ChatError
from ..models import Announcement, Membership, Room
from .lists import Capped, offered
from .pages import USERNAME, Lasting, Unchangeable, laid_out, link, own_page

SHORT = 120  # characters of a text in the list
SHOWN = 20  # names of people on the page that is confirmed
WORDS_ID = "words_id"  # made for what is shown: whoever confirms it twice sends it twice


class Audience(TextChoices):
    EVERYBODY = "everybody", _("Everybody")
    ROOM = "room", _("One room")
    PEOPLE = "people", _("Some people, each in their direct room with you")


class Speaker(TextChoices):
    SITE = "site", _("The site")
    ME = "me", _("You, by name")


class OneRoom(AutocompleteSelect):
    """Completed as one types, by a view that asks for no more than this page does."""

    def get_url(self) -> str:
        return reverse("admin:chat_announcement_rooms")


class SomePeople(AutocompleteSelectMultiple):
    def get_url(self) -> str:
        return reverse("admin:chat_announcement_people")


class Words(forms.CharField):
    """A text whose lines end as in the chat."""

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class AnnouncementForm(forms.Form):
    audience = forms.ChoiceField(
        label=_("To"),
        choices=Audience,
        widget=AdminRadioSelect(attrs={"class": "radiolist"}),
        initial=Audience.EVERYBODY,
    )
    room = forms.ModelChoiceField(Room.objects.none(), label=_("Room"), required=False)
    people = forms.ModelMultipleChoiceField(Room.objects.none(), label=_("People"), required=False)
    usernames = Words(
        label=_("More people"),
        required=False,
        widget=AdminTextareaWidget(attrs={"rows": 3}),
        help_text=_("Their usernames, one a line."),
    )
    body = Words(label=_("Text"), max_length=conf.BODY_CHARS, widget=AdminTextareaWidget)
    speaker = forms.ChoiceField(
        label=_("Said by"),
        choices=Speaker,
        widget=AdminRadioSelect(attrs={"class": "radiolist"}),
        initial=Speaker.SITE,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Anew for each page: they speak its language.
        self._offer("room", OneRoom(_relation("room"), admin.site), announced_in())
        self._offer("people", SomePeople(_relation("user"), admin.site), users.active())

    def _offer(self, name: str, widget: Any, queryset: QuerySet[Any]) -> None:
        field: Any = self.fields[name]
        field.widget = widget
        field.queryset = queryset

    def clean(self) -> None:
        match self.cleaned_data.get("audience"):
            case Audience.ROOM if not self.cleaned_data.get("room") and "room" not in self.errors:
                self.add_error("room", _("Choose a room."))
            case Audience.PEOPLE:
                self._clean_people()

    def _clean_people(self) -> None:
        if self.cleaned_data.get("speaker") == Speaker.SITE:
            self.add_error("speaker", _("To some people you speak by your own name."))
        written = map(str.strip, self.cleaned_data.get("usernames", "").split("\n"))
        names = {name for name in written if name}
        if len(names) > MOST_PEOPLE:
            self.add_error("usernames", _too_many())
            return
        named = list(users.active().filter(**{f"{USERNAME}__in": names}))
        if unknown := names - {user.get_username() for user in named}:
            told = _("There is nobody of this name: %s.") % ", ".join(sorted(unknown))
            self.add_error("usernames", told)
        chosen = {user.pk: user for user in [*self.cleaned_data.get("people", ()), *named]}
        if len(chosen) > MOST_PEOPLE:
            self.add_error("people", _too_many())
        elif not chosen and not self.errors:
            self.add_error("people", _("Choose somebody."))
        self.cleaned_data["people"] = list(chosen.values())

    @property
    def audience_room(self) -> Room | None:
        """Where it is said; None: in direct rooms."""
        match self.cleaned_data["audience"]:
            case Audience.EVERYBODY:
                return rooms.everyone()
            case Audience.ROOM:
                room: Room = self.cleaned_data["room"]
                return room
        return None

    @property
    def kept(self) -> list[tuple[str, str]]:
        """All that was filled in, to be sent again."""
        data: Any = self.data
        return [(name, value) for name in self.fields for value in data.getlist(name)]


@admin.register(Announcement)
class AnnouncementAdmin(Unchangeable, Lasting):
    """Whoever may announce does so here, and looks at what was announced."""

    list_display = ["created_at", "where", "who", "text", "whereabouts"]
    list_display_links = None
    list_select_related = ["room", "sender"]
    list_per_page = 50
    paginator = Capped
    sortable_by = ()
    ordering = ["-pk"]
    actions = None
    fields = ["room", "sender", "body", "created_at"]

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return request.user.has_perm("chat.can_announce")

    has_add_permission = has_view_permission

    def get_queryset(self, request: HttpRequest) -> QuerySet[Announcement]:
        return super().get_queryset(request).filter(announcement=True)

    @admin.display(description=_("where"))
    def where(self, message: Announcement) -> str:
        return link(message.room)

    @admin.display(description=_("said by"))
    def who(self, message: Announcement) -> str:
        return str(message.sender or _("The site"))

    @admin.display(description=_("text"))
    def text(self, message: Announcement) -> str:
        if message.deleted:
            return str(_("This message was deleted."))
        return Truncator(message.body).chars(SHORT)

    @admin.display(description=_("whereabouts"))
    def whereabouts(self, message: Announcement) -> str:
        place = reverse("admin:chat_message_whereabouts", args=[message.pk])
        return format_html('<a href="{}">{}</a>', place, _("Where is it?"))

    # What there is to choose from

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view
        return [
            path("rooms/", view(self.rooms_view), name="chat_announcement_rooms"),
            path("people/", view(self.people_view), name="chat_announcement_people"),
            *super().get_urls(),
        ]

    def rooms_view(self, request: HttpRequest) -> HttpResponse:
        term = request.GET.get("term", "")
        self._insist(request)
        return offered(request, announced_in().filter(name__icontains=term).order_by("name"))

    def people_view(self, request: HttpRequest) -> HttpResponse:
        begins = {f"{USERNAME}__istartswith": request.GET.get("term", "")}
        self._insist(request)
        return offered(request, users.active().filter(**begins).order_by(USERNAME))

    def _insist(self, request: HttpRequest) -> None:
        if not self.has_add_permission(request):
            raise PermissionDenied

    # The three pages

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return self._form_page(request, AnnouncementForm(initial=_asked(request)))
        form = AnnouncementForm(request.POST)
        if not form.is_valid() or "_change" in request.POST:
            return self._form_page(request, form)
        words_id = _words_id(request)
        if "_confirm" in request.POST and words_id is not None:
            return self._say(request, form, words_id)
        return self._preview_page(request, form)

    def _say(self, request: HttpRequest, form: AnnouncementForm, words_id: UUID) -> HttpResponse:
        try:
            count = _announce(request, form, words_id)
        except ChatError:  # something has changed since it was looked at
            form.add_error(None, _("A room is gone, or somebody is: nothing was said."))
            return self._form_page(request, form)
        if count is not None:
            told = ngettext("Announced to %d person.", "Announced to %d people.", count)
            self.message_user(request, told % count, messages.SUCCESS)
        else:
            again = _("This has been announced already: it was not said twice.")
            self.message_user(request, again, messages.INFO)
        return HttpResponseRedirect(reverse("admin:chat_announcement_changelist"))

    def _form_page(self, request: HttpRequest, form: Any) -> HttpResponse:
        media = self.media + form.media
        context = {"form": form, "laid_out": laid_out(form), "media": media}
        return own_page(self, request, "announcement/add_form", _("Announce something"), context)

    def _preview_page(self, request: HttpRequest, form: AnnouncementForm) -> HttpResponse:
        room = form.audience_room
        people = form.cleaned_data["people"] if room is None else []
        context = {
            "form": form,
            "room": room,
            "people": people[:SHOWN],
            "more": max(0, len(people) - SHOWN),
            "count": announcing.recipients(room) if room else len(people),
            "speaker": request.user if form.cleaned_data["speaker"] == Speaker.ME else None,
            "words_id": uuid4(),
            "words_id_name": WORDS_ID,
        }
        title = _("Is this what you want to announce?")
        return own_page(self, request, "announcement/preview", title, context)


def _too_many() -> str:
    return gettext("These are more than %d people: make a room for them.") % MOST_PEOPLE


def announced_in() -> QuerySet[Room]:
    return Room.objects.exclude(kind=Room.Kind.DIRECT)


def _relation(name: str) -> Any:
    return Membership._meta.get_field(name)


def _asked(request: HttpRequest) -> dict[str, Any]:
    """What the address says that the form is to begin with."""
    room = announced_in().filter(pk=request.GET.get("room", "")).first()
    return {"audience": Audience.ROOM, "room": room.pk} if room else {}


def _words_id(request: HttpRequest) -> UUID | None:
    try:
        return UUID(request.POST.get(WORDS_ID, ""))
    except ValueError:
        return None


def _announce(request: HttpRequest, form: AnnouncementForm, words_id: UUID) -> int | None:
    """To how many; None: it had been announced before."""
    me: Any = request.user  # who is logged in
    actor, said = Actor.of(request), form.cleaned_data
    if (room := form.audience_room) is None:
        people = said["people"]
        is_new = announcing.announce_to(actor, people, said["body"], me, words_id)
        return len(people) if is_new else None
    sender = me if said["speaker"] == Speaker.ME else None
    posted = announcing.announce(actor, room, said["body"], sender, words_id)
    return announcing.recipients(room) if posted.new else None
