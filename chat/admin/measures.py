"""Pages that ask whether to do something to people, name whom it concerns, and then do it."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminRadioSelect
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from .. import control, measures
from ..audit import Actor
from ..errors import ChatError
from ..models import Connection
from .pages import laid_out, own_page, protection

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise

AT_ONCE = 200  # people or connections: their names are read, and their rows are locked
NAMED = 5  # in the message that it is done

LIVES = {"1h": timedelta(hours=1), "1d": timedelta(1), "7d": timedelta(7), "30d": timedelta(30)}


class Question(forms.Form):
    """What has to be known, beside whom it concerns: nothing."""

    def __init__(self, concerned: Sequence[Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)


class Term(Question):
    """For how long, and why."""

    life = forms.ChoiceField(
        label=_("For how long"),
        choices=[
            *(("1h", _("1 hour")), ("1d", _("1 day")), ("7d", _("7 days")), ("30d", _("30 days"))),
            *(("for_good", _("For good")), ("until", _("Until a date and time"))),
        ],
        initial="1h",
        widget=AdminRadioSelect({"class": "radiolist"}),
    )
    until = forms.DateTimeField(
        label=_("Date and time"),
        required=False,
        widget=forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )
    reason = forms.CharField(
        label=_("Reason"),
        max_length=control.WHY_CHARS,
        widget=forms.TextInput({"class": "vLargeTextField"}),
        help_text=_("For those who run the site: nobody else is told."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone = timezone.get_current_timezone_name()
        self.fields["until"].help_text = gettext("If until a date and time. Time zone: %s") % zone

    def clean_until(self) -> datetime | None:
        until: datetime | None = self.cleaned_data["until"]
        if self.cleaned_data.get("life") != "until":
            return None
        if until is None:
            raise forms.ValidationError(_("Say until when."))
        if until <= timezone.now():
            raise forms.ValidationError(_("This is in the past."))
        return until

    @property
    def end(self) -> datetime:
        until: datetime | None = self.cleaned_data["until"]
        life = LIVES.get(self.cleaned_data["life"], control.FOR_GOOD)
        return until or timezone.now() + life


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is done to people, or to connections."""

    permission: str
    title: "_StrPromise"
    effect: "_StrPromise"
    done: "_StrPromise"  # with names
    take: Callable[[Actor, Sequence[Any], Any], object]
    form: type[Question] = Question
    spares: bool = True  # oneself and, if one is none, superusers


DISCONNECT = Measure(
    "chat.can_disconnect",
    _("Disconnect"),
    _("These connections are closed. Their clients come back by themselves; nothing is lost."),
    _("Disconnected: %s."),
    lambda actor, found, _form: measures.disconnect(actor, [each.pk for each in found]),
    spares=False,
)
DISCONNECT_PEOPLE = Measure(
    "chat.can_disconnect",
    _("Disconnect"),
    _("All that they have open is closed. Their clients come back by themselves; nothing is lost."),
    _("Disconnected: %s."),
    lambda actor, people, _form: measures.disconnect_people(actor, people),
    spares=False,
)
KICK = Measure(
    "chat.can_kick",
    _("Kick"),
    _("All that they have open is closed. They are in again as soon as they reload the page."),
    _("Kicked: %s."),
    lambda actor, people, _form: measures.kick(actor, people),
)
END_SESSIONS = Measure(
    "chat.can_end_sessions",
    _("End all sessions"),
    _(
        "They are logged out everywhere, their programs included, and may log in again. All"
        " sessions of the site are looked through: it may take some seconds."
    ),
    _("Logged out: %s."),
    lambda actor, people, _form: measures.end_sessions(actor, people),
)
BAN = Measure(
    "chat.can_ban",
    _("Ban"),
    _("All that they have open is closed, and they cannot come in. Their page says until when."),
    _("Banned: %s."),
    lambda actor, people, term: measures.ban(actor, people, term.end, term.cleaned_data["reason"]),
    Term,
)
LIFT_BAN = Measure(
    "chat.can_ban",
    _("Lift the ban"),
    _("They may come in again."),
    _("May come in again: %s."),
    lambda actor, people, _form: measures.lift_ban(actor, people),
)


class Measuring(admin.ModelAdmin):
    """Rows about people, to whom something may be done."""

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        # Django would show the list once more and say nothing.
        if {*request.POST.getlist("action")} - {"", *self.get_actions(request)}:
            raise PermissionDenied
        return super().changelist_view(request, extra_context)

    def has_disconnect_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.can_disconnect")

    def has_kick_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.can_kick")

    def has_end_sessions_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.can_end_sessions")

    def has_ban_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("chat.can_ban")

    def ask_about_selected(
        self,
        request: HttpRequest,
        measure: Measure,
        rows: QuerySet,
        whom: Callable[[QuerySet], QuerySet] = QuerySet.all,
    ) -> HttpResponse | None:
        """Of an action of the list: the page that asks, or None once there is nothing to ask."""
        keys = list(rows.values_list("pk", flat=True)[: AT_ONCE + 1])
        if len(keys) > AT_ONCE:
            words = ngettext("Choose at most %d at once.", "Choose at most %d at once.", AT_ONCE)
            self.message_user(request, words % AT_ONCE, messages.ERROR)
            return None
        if not keys:
            self.message_user(request, gettext("They are not there any more."), messages.WARNING)
            return None
        concerned = list(whom(rows))
        return self.ask(request, measure, concerned, request.get_full_path(), keys)

    def ask(
        self,
        request: HttpRequest,
        measure: Measure,
        concerned: Sequence[Any],
        back: str,
        selected: Sequence[Any] = (),
    ) -> HttpResponse | None:
        """The page that asks whether to; None once it is done."""
        if not request.user.has_perm(measure.permission):
            raise PermissionDenied
        spared = _spared(request, concerned) if measure.spares else []
        answered = request.method == "POST" and "post" in request.POST and not spared
        form = measure.form(
            concerned, request.POST if answered else None, initial=request.GET.dict()
        )
        if answered and form.is_valid() and _take(measure, request, concerned, form):
            self.message_user(request, str(measure.done) % _names(concerned), messages.SUCCESS)
            return None
        page = {
            "measure": measure,
            "concerned": [_told(each) for each in concerned],
            "spared": spared,
            "form": form,
            "adminform": laid_out(form),
            "selected": selected,
            "action": next(iter(filter(None, request.POST.getlist("action"))), ""),
            "media": self.media + form.media,
            "back": back,
        }
        status = 403 if spared else 200
        return own_page(self, request, "measure", measure.title, page, status=status)


def _take(measure: Measure, request: HttpRequest, concerned: Sequence[Any], form: Any) -> bool:
    try:
        measure.take(Actor.of(request), concerned, form)
    except ChatError as error:  # what has changed while the page asked
        form.add_error(None, str(error))
        return False
    return True


def _spared(request: HttpRequest, people: Sequence[Any]) -> list[str]:
    """Why nothing is done, if somebody among them is not to be touched."""
    return [f"{who}: {why}" for who in people if (why := protection(request, who))]


def _told(one: Any) -> str:
    if isinstance(one, Connection):
        return f"{one.user}: {', '.join(filter(None, (one.address, one.client)))}"
    return str(one)


def _names(concerned: Sequence[Any]) -> str:
    users = (each.user if isinstance(each, Connection) else each for each in concerned)
    names = [*dict.fromkeys(map(str, users))]
    more = len(names) - NAMED
    shown = ", ".join(names[:NAMED])
    if more <= 0:
        return shown
    words = ngettext("%(names)s and %(count)d more", "%(names)s and %(count)d more", more)
    return words % {"names": shown, "count": more}
