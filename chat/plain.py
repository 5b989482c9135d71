"""The chat without JavaScript: pages that are read, and a form that says something."""

# mypy: disable-error-code="type-arg"
# Django's forms are generic only in their stubs.

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, cast
from uuid import uuid4

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from . import access, allowances, archive, limits, messaging, rooms
from .access import Seat
from .archive import History
from .callers import refuse_banned
from .errors import ChatError, IdConflict, NotFound
from .messaging import Draft
from .models import Room
from .refusals import status_of
from .submission import submit
from .views import again_in

PAGE = 50  # messages
CONTEXT = 5  # of them are known already, where a page begins with what is new
PLACES = ("before", "after", "around")
DIGITS = 18  # of a place at most: what a database can count to

KINDS = {  # in the order of the chat's own list
    Room.Kind.EVERYONE: _("Everyone"),
    Room.Kind.GROUP: _("Groups"),
    Room.Kind.FEED: _("Feeds"),
    Room.Kind.DIRECT: _("Direct"),
}

# Why not, where the error's own words are not for whoever reads this page.
WHY = {
    "empty": _("Write something first."),
    "too_long": _("This is too long. Make it shorter, or send it in parts."),
    "invalid_text": _("This contains characters that cannot be stored."),
    "forbidden": _("You may not write here."),
    "muted": _("You are muted in this room."),
    "id_conflict": _(
        "Something else has already been sent from this form. If this is new, send it once more."
    ),
    "rate_limited": _("That was too fast."),
    "unavailable": _("The server is busy. Nothing is lost: send it once more in a moment."),
    "storage_full": _("The server's storage is full."),
}

View = Callable[..., HttpResponse]


class Words(forms.Form):
    """A message. Its id is made with the form: sent twice, it is one message."""

    id = forms.UUIDField(initial=uuid4, widget=forms.HiddenInput({"autocomplete": "off"}))
    body = forms.CharField(
        label=_("Message"),
        required=False,  # what is no message, the domain says
        strip=False,
        widget=forms.Textarea({"rows": 4, "dir": "auto"}),
    )


def around(view: View) -> View:
    """What is true of these pages: private, for whoever is in, and not too many at once."""

    @never_cache
    @login_required
    @wraps(view)
    def answer(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        user = _user(request)
        try:
            limits.of(request).insist(*allowances.requests(allowances.visitor(request, user)))
            refuse_banned(user)
            return view(request, *args, **kwargs)
        except NotFound:
            raise Http404 from None
        except ChatError as error:
            page = {"why": _why(error), "again": request.get_full_path()}
            return render(request, "chat/plain/refused.html", page, status=status_of(error))

    return answer


@require_safe
@around
def home(request: HttpRequest) -> HttpResponse:
    """The rooms, with what is unread in each."""
    user = _user(request)
    rooms.enrol(user)  # nobody may have seen this user before
    seats = sorted(access.standing(user.pk).seats.values(), key=_turn)
    kinds = [
        {"title": title, "rooms": [_row(seat) for seat in seats if seat.room.kind == kind]}
        for kind, title in KINDS.items()
    ]
    return render(request, "chat/plain/rooms.html", {"kinds": kinds})


@require_http_methods(["GET", "HEAD", "POST"])
@around
def room(request: HttpRequest, room: str) -> HttpResponse:
    """A room, from what is unread on or where the address says; and a form to write there."""
    user = _user(request)
    seat = access.seat(user.pk, room)
    words = Words(request.POST if request.method == "POST" else None)
    status = 200
    if words.is_valid():
        draft = Draft(user, room, words.cleaned_data["id"], _body(words))
        try:
            submit(request, draft)
        except ChatError as error:
            words = _refused(words, error)
            status = status_of(error)
        else:
            return redirect(f"{reverse('plain-room', args=[room])}#newest")
    return _show(request, user, seat, words, status)


def _show(
    request: HttpRequest, user: AbstractBaseUser, seat: Seat, words: Words, status: int
) -> HttpResponse:
    history = archive.history(user.pk, seat.room.pk, **_place(request, seat), limit=PAGE)
    page = {
        "seat": seat,
        "name": _name(seat),
        "history": history,
        "new_from": _read(seat) + 1 if _unread(seat) else None,
        "words": words,
        "closed": _closed(seat),
    }
    _mark_as_read(user, seat, history)
    return render(request, "chat/plain/room.html", page, status=status)


def _place(request: HttpRequest, seat: Seat) -> dict[str, int]:
    """Where to look: what the address says; or what is new, if that is more than a page."""
    for place in PLACES:
        asked = request.GET.get(place, "")
        if asked.isdecimal() and len(asked) <= DIGITS:
            return {place: int(asked)}
    return {"after": max(0, _read(seat) - CONTEXT)} if _unread(seat) > PAGE - CONTEXT else {}


def _mark_as_read(user: AbstractBaseUser, seat: Seat, history: History) -> None:
    """As far as this page shows, unless it skips something."""
    shown = [message.seq for message in history.messages]
    if not shown or not shown[0] <= _read(seat) + 1 <= shown[-1]:
        return
    messaging.read({seat.key: shown[-1]})
    if seat.unread_from is not None:
        rooms.mark_unread(user, seat.room.pk, None)


def _read(seat: Seat) -> int:
    read = seat.read_seq if seat.unread_from is None else min(seat.read_seq, seat.unread_from - 1)
    return max(read, seat.room.first_seq - 1)  # what is gone is not unread


def _unread(seat: Seat) -> int:
    return seat.room.seq - _read(seat)


def _closed(seat: Seat) -> str:
    """Why this user cannot write here at all, if so."""
    if seat.room.archived:
        return gettext("This room is archived: it can be read, but nothing changes any more.")
    if seat.room.blocked:
        return gettext("You cannot write to each other.")
    return "" if seat.may_write else gettext("Only moderators write here.")


def _body(words: Words) -> str:
    body: str = words.cleaned_data["body"]
    return body.replace("\r\n", "\n")  # which is how forms break lines


def _refused(words: Words, error: ChatError) -> Words:
    """The form once more, with what was written and why it was not stored."""
    if isinstance(error, IdConflict):
        words = Words({"id": uuid4(), "body": words.cleaned_data["body"]})
    words.add_error("body", _why(error))
    words.fields["body"].widget.attrs["autofocus"] = True
    return words


def _why(error: ChatError) -> str:
    why = str(WHY.get(error.code, error))
    seconds = math.ceil((error.retry_after_ms or 0) / 1_000)
    return f"{why} {again_in(seconds)}" if seconds else why


def _user(request: HttpRequest) -> AbstractBaseUser:
    return cast(AbstractBaseUser, request.user)  # login_required


def _row(seat: Seat) -> dict[str, object]:
    return {"pk": seat.room.pk, "name": _name(seat), "unread": _unread(seat)}


def _name(seat: Seat) -> str:
    return seat.room.name or seat.peer or seat.room.pk


def _turn(seat: Seat) -> str:
    return _name(seat).casefold()
