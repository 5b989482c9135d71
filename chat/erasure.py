"""Taking somebody out of the chat for good: their words, their seats, their name. Synchronous.

`begin` does at once what lets them in and tells who they are; `take_back` their messages, a batch
at a time; `finish` what is left. Each may be stopped at any moment and done once more. The row of
the user stays, under a name that says nothing: the numbers of messages point to it, and rooms keep
their order. So does what the audit log says of them.
"""

import time
from array import array
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import EmailField, Field
from django.utils import timezone

from . import access, audit, control, messaging, people, rooms, users
from .audit import Action, Actor
from .errors import Forbidden, NotFound
from .models import (
    Activity,
    LastSeen,
    Membership,
    Message,
    Preferences,
    Report,
    Room,
    opaque_id,
)

BATCH = 500  # messages; a post to their room waits, on SQLite any
COUNTED = 10_000  # messages; more are "more"

USERNAME = get_user_model().USERNAME_FIELD
NAMELESS = "erased-"
NAMES = ("first_name", "last_name", "name", "full_name", "display_name", "nickname")
POWERS = ("is_active", "is_staff", "is_superuser")


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is of somebody that an erasure takes; of messages, COUNTED at the most."""

    messages: int
    seats: int  # that are taken away
    direct_rooms: int  # that stay for the other one
    reports: int  # made by them, or with a copy of their words

    @property
    def has_more(self) -> bool:
        return self.messages > COUNTED


def extent(user: AbstractBaseUser) -> Extent:
    own = Membership.objects.filter(user=user.pk)
    return Extent(
        messages=_said(user)[: COUNTED + 1].count(),
        seats=own.exclude(room__kind=Room.Kind.DIRECT).count(),
        direct_rooms=own.filter(room__kind=Room.Kind.DIRECT).count(),
        reports=_made(user).count() + _copied(user).count(),
    )


def erase(actor: Actor, user: AbstractBaseUser) -> Iterator[int]:
    """All of it; after each batch, how many messages that were. Forbidden."""
    begin(actor, user)
    yield from take_back(user)
    finish(user)


# At once


def begin(actor: Actor, user: AbstractBaseUser) -> None:
    """Let nobody in as this user any more, and call them by no name. Forbidden."""
    sessions = control.sessions_of([user])  # reads all there are: before anything is locked
    with transaction.atomic():
        if user.pk == actor.user_id:
            raise Forbidden("You cannot erase yourself.")
        _insist_on_another_superuser(user)
        audit.record(actor, Action.ERASED, user)
        _forget(user)
        control.ban(user, timezone.now() + control.FOR_GOOD)  # so that nothing more is posted
        control.end_sessions([user], sessions)
        access.raise_for({user.pk, *access.who_sees(user.pk)})


def _insist_on_another_superuser(user: AbstractBaseUser) -> None:
    if not getattr(user, "is_superuser", False):
        return
    powerful = users.active().filter(is_superuser=True).select_for_update(no_key=True)
    if not [pk for pk in powerful.order_by("pk").values_list("pk", flat=True) if pk != user.pk]:
        raise Forbidden("The last superuser cannot be erased.")


def _forget(user: AbstractBaseUser) -> None:
    """What the site's own model knows, as far as its fields are called as usual."""
    nobody = _nobody(user)
    fields = {field.name: field for field in user._meta.concrete_fields if not field.primary_key}
    known = {name: _nothing(fields[name], nobody) for name in _telling(user) if name in fields}
    known |= {name: False for name in POWERS if name in fields}
    if USERNAME in fields:  # where it is the key, it stays
        known[USERNAME] = nobody
    for name, value in known.items():
        setattr(user, name, value)
    user.set_unusable_password()
    user.save(update_fields=[*known, "password"])


def _telling(user: AbstractBaseUser) -> set[str]:
    return {*NAMES, user.get_email_field_name(), "last_login"}


def _nothing(field: "Field[Any, Any]", nobody: str) -> Any:
    if field.null:
        return None
    return nobody if field.unique else ""


def has_begun(user: AbstractBaseUser) -> bool:
    """Whether they have no name any more, and nobody comes in as them."""
    return users.username(user).startswith(NAMELESS) and not user.has_usable_password()


def _nobody(user: AbstractBaseUser) -> str:
    """The name of somebody who has none any more; they may have it already."""
    field = user._meta.get_field(USERNAME)
    end = "@erased.invalid" if isinstance(field, EmailField) else ""
    name = f"{NAMELESS}{user.pk}{end}"
    taken = type(user)._default_manager.exclude(pk=user.pk)
    while taken.filter(**{USERNAME: name}).exists():
        name = f"{NAMELESS}{opaque_id()}{end}"
    return name


# In batches


def take_back(user: AbstractBaseUser) -> Iterator[int]:
    """Leave tombstones of all that they said; after each batch, how many those were."""
    found: dict[str, array[int]] = defaultdict(lambda: array("q"))  # by room
    rows = list(_next_said(user))
    while rows:
        for _, room_id, pk in rows:
            found[room_id].append(pk)
        rows = list(_next_said(user, client_id__gt=rows[-1][0]))
    for room_id, keys in found.items():
        ordered = sorted(keys)
        for start in range(0, len(ordered), BATCH):
            began = time.monotonic()
            yield messaging.take_down_all(room_id, ordered[start : start + BATCH])
            time.sleep(time.monotonic() - began)  # SQLite hands the file to whoever asks next


def _said(user: AbstractBaseUser) -> Any:
    return Message.objects.filter(sender=user.pk, deleted=False)


def _next_said(user: AbstractBaseUser, **beyond: Any) -> Any:
    """Along the one index by sender that there is."""
    said = _said(user).filter(**beyond).order_by("client_id")
    return said.values_list("client_id", "room_id", "pk")[:BATCH]


# What is left


def finish(user: AbstractBaseUser) -> None:
    """Their words in reports, their seats, and what they wanted. Direct rooms stay for others."""
    _made(user).update(reason="")
    _copied(user).update(body="")
    for seat in Membership.objects.filter(user=user.pk).select_related("room").order_by("pk"):
        if seat.room.kind != Room.Kind.DIRECT or seat.room.pair == str(user.pk):
            with suppress(NotFound):  # somebody else was faster
                rooms.dismiss(user, seat.room_id)
        elif seat.blocks:
            _make_peace(user, seat.room)
    with transaction.atomic():
        for model in (Preferences, LastSeen, Activity):
            model._default_manager.filter(user=user.pk).delete()
        access.raise_for({user.pk, *access.who_sees(user.pk)})


def _make_peace(user: AbstractBaseUser, room: Room) -> None:
    others = Membership.objects.filter(room=room).exclude(user=user.pk).select_related("user")
    for other in others:
        people.block(user, other.user, blocked=False)


def _made(user: AbstractBaseUser) -> Any:
    return Report.objects.filter(reporter=user.pk).exclude(reason="")


def _copied(user: AbstractBaseUser) -> Any:
    return Report.objects.filter(person=user.pk).exclude(body="")
