"""What those who run the site do to people and connections, with its entry in the audit log.

Synchronous. Each is one transaction: all of it, for all of them, or nothing.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from operator import attrgetter

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from . import control, rooms
from .audit import Action, Actor, record
from .models import Access, Connection, Membership

People = Iterable[AbstractBaseUser]


def disconnect(actor: Actor, keys: Collection[str]) -> int:
    """Close these connections, whose clients come back; how many of them there are."""
    with transaction.atomic():
        found = Connection.objects.filter(pk__in=keys).select_related("user").order_by("pk")
        closing = list(found)
        control.disconnect([connection.pk for connection in closing])
        for connection in closing:
            told = {"connection": connection.pk, "address": connection.address}
            record(actor, Action.DISCONNECTED, connection.user, after=told)
    return len(closing)


def disconnect_people(actor: Actor, people: People) -> None:
    """Close all that they have open; their clients come back."""
    with transaction.atomic():
        for person in _in_order(people):
            control.disconnect_user(person)
            record(actor, Action.DISCONNECTED, person)


def disconnect_everybody(actor: Actor) -> None:
    with transaction.atomic():
        control.disconnect_everybody()
        record(actor, Action.DISCONNECTED, label="everybody")


def kick(actor: Actor, people: People) -> None:
    """Close all that they have open; their clients stay away until a person acts."""
    with transaction.atomic():
        for person in _in_order(people):
            control.kick(person)
            record(actor, Action.KICKED, person)


def end_sessions(actor: Actor, people: People) -> int:
    """Log them out everywhere, programs included; how many sessions that were."""
    people = _in_order(people)
    sessions = control.sessions_of(people)  # before there are locks: it reads them all
    with transaction.atomic():
        control.end_sessions(people, sessions)
        for person in people:
            record(actor, Action.SESSIONS_ENDED, person)
    return len(sessions)


def ban(actor: Actor, people: People, until: datetime, reason: str) -> None:
    """Close what they have open, and let them in no more before `until`."""
    with transaction.atomic():
        for person in _in_order(people):
            before = _ban_of(person)
            control.ban(person, until, reason)
            record(
                *(actor, Action.BANNED, person),
                comment=reason,
                before={"banned_until": before},
                after={"banned_until": until},
            )


def lift_ban(actor: Actor, people: People) -> None:
    with transaction.atomic():
        for person in _in_order(people):
            before = _ban_of(person)
            control.ban(person, None)
            record(
                *(actor, Action.UNBANNED, person),
                before={"banned_until": before},
                after={"banned_until": None},
            )


def mute(
    actor: Actor, person: AbstractBaseUser, room_id: str, until: datetime | None, reason: str = ""
) -> None:
    """Let somebody write nothing there before `until`; None lifts it. NotFound without a seat."""
    with transaction.atomic():
        mine = Membership.objects.filter(room=room_id, user_id=person.pk)
        before = mine.values_list("muted_until", flat=True).first()
        control.mute(person, room_id, until, reason)
        record(
            *(actor, Action.MUTED if until else Action.UNMUTED, person),
            room=room_id,
            comment=reason,
            before={"muted_until": before},
            after={"muted_until": until},
        )


def seat(actor: Actor, person: AbstractBaseUser, room_id: str, role: str) -> Membership:
    """Bring somebody in; who has a seat keeps it as it is, and nothing is written down."""
    with transaction.atomic():
        had_one = Membership.objects.filter(room=room_id, user_id=person.pk).exists()
        membership = rooms.place(person, room_id, role)
        if not had_one:
            record(actor, Action.ADDED, membership, after={"role": membership.role})
    return membership


def unseat(actor: Actor, membership: Membership) -> None:
    """Take somebody's seat away."""
    with transaction.atomic():
        record(actor, Action.REMOVED, membership, before={"role": membership.role})
        rooms.dismiss(membership.user, membership.room_id)


def entrust(actor: Actor, membership: Membership, role: str) -> None:
    """Give somebody another role in a room."""
    with transaction.atomic():
        before = Membership.objects.values_list("role", flat=True).get(pk=membership.pk)
        rooms.entrust(membership.user, membership.room_id, role)
        told = (actor, Action.CHANGED, membership)
        record(*told, before={"role": before}, after={"role": role})


def _in_order(people: People) -> list[AbstractBaseUser]:
    """As locks are taken: in the order of their keys."""
    return sorted(people, key=attrgetter("pk"))


def _ban_of(person: AbstractBaseUser) -> datetime | None:
    return Access.objects.filter(pk=person.pk).values_list("banned_until", flat=True).first()
