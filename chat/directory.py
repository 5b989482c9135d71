"""What somebody may look up: people, rooms that are open, and who is in one. Only reads."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import Case, Func, Q, QuerySet, When
from django.db.models.functions import Collate, Lower

from . import access, users
from .errors import NotFound
from .models import Membership, Room
from .users import UserKey

LAST = "\U0010ffff"  # no character comes after this one


class Member(NamedTuple):
    """Somebody in a room, whatever its size."""

    user_id: UserKey
    username: str
    role: str
    hides: bool | None  # from the others whether they are online


class Listed(NamedTuple):
    """An open room, as those see it who are not in it."""

    room: str
    name: str
    kind: str
    members: int


def people(query: str, limit: int) -> list[str]:
    """Usernames of active users; the first ones if nothing is asked for.

    Who begins with it is found by the index of usernames. Only if they are few, all are looked at.
    """
    field = get_user_model().USERNAME_FIELD
    active = users.active().values_list(field, flat=True)
    if not query:
        return list(active.order_by(field)[:limit])
    quickly = list(active.filter(begins(field, query)).order_by(_folded(field))[:limit])
    return quickly if len(quickly) == limit else list(_containing(active, field, query)[:limit])


def open_rooms(user_id: UserKey, query: str, limit: int) -> list[Listed]:
    """Those that the user could join."""
    living = Room.objects.filter(open=True, archived=False).exclude(memberships__user=user_id)
    rows = list(_containing(living, "name", query).values_list("pk", "name", "kind")[:limit])
    members = access.count_members([pk for pk, *_ in rows])
    return [Listed(pk, name, kind, members.get(pk, 0)) for pk, name, kind in rows]


def members(
    user_id: UserKey, room_id: str, after: str, limit: int
) -> tuple[Sequence[Member], bool]:
    """The next ones by username, and whether there are more; NotFound without a seat there."""
    here = Membership.objects.filter(room=room_id)
    if not here.filter(user=user_id).exists():
        raise NotFound
    name = f"user__{get_user_model().USERNAME_FIELD}"
    rows = here.filter(**{f"{name}__gt": after}).order_by(name)
    told = ("user_id", name, "role", "user__chat_preferences__hide_presence")
    found = [Member(*row) for row in rows.values_list(*told)[: limit + 1]]
    return found[:limit], len(found) > limit


def begins(field: str, text: str) -> Q:
    """Of which a field begins with this, found by its index.

    As people write names: any other mixture of capitals is only found by looking at all.
    """
    begins = Q()
    for start in {text, text.lower(), text.upper(), text.capitalize()}:
        if connection.vendor == "sqlite":  # which uses its index for this alone
            begins |= Q(**{f"{field}__gte": start, f"{field}__lt": f"{start}{LAST}"})
        else:
            begins |= Q(**{f"{field}__startswith": start})
    return begins


def _containing(rows: QuerySet[Any], field: str, text: str) -> QuerySet[Any]:
    """Those whose field contains this; who begins with it comes first."""
    folded = _lower(text)
    begins_with_it = When(folded__startswith=folded, then=0)
    found: QuerySet[Any] = rows.annotate(folded=_folded(field)).filter(folded__contains=folded)
    return found.order_by(Case(begins_with_it, default=1), "folded")


def _folded(field: str) -> Func:
    """In lower case, as far as ASCII goes: in what is beyond it databases differ."""
    return Lower(field) if connection.vendor == "sqlite" else Lower(Collate(field, "C"))


def _lower(text: str) -> str:
    return text.encode().lower().decode()  # of bytes, ASCII alone
