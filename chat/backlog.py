"""What waits for people who are away: how much, since when, in which rooms. Synchronous.

Nothing is stored for it: what waits for a member is what has changed in the room beyond their
cursor. Messages, edits and deletions count alike.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import (
    Case,
    Count,
    DateTimeField,
    F,
    Min,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
)
from django.db.models.functions import Greatest

from . import users
from .models import Membership, Message, Room, Waiting
from .reach import Reach, reach
from .users import UserKey, username

CHANGES = F("room__rev") - F("delivered_rev")

# When a message became what it is. Nobody writes down when one was deleted.
_CHANGED_AT = Case(
    When(deleted=True, then=Value(None)),
    When(edited_at__isnull=False, then=F("edited_at")),
    default=F("created_at"),
    output_field=DateTimeField(),
)


class Queue(NamedTuple):
    """What waits for one user."""

    user_id: UserKey
    username: str
    changes: int
    rooms: int
    since: datetime | None  # of the oldest; None if what came first was a deletion
    reach: Reach


def summary() -> dict[str, Any]:
    """How many active people something waits for, how much, and since when (ISO), for JSON."""
    people = _by_user(waiting().exclude(user__in=users.inactive()))
    found = people.aggregate(people=Count("user"), waiting=Sum("changes"))
    oldest = _oldest() if found["people"] else None
    return {
        "people": found["people"],
        "changes": found["waiting"] or 0,
        "oldest": oldest.isoformat() if oldest else None,
    }


def waiting() -> QuerySet[Waiting]:
    """Memberships whose users have yet to get something."""
    return Waiting.objects.filter(delivered_rev__lt=F("room__rev"))


def queues(name: str = "") -> QuerySet[Waiting, Any]:
    """Everybody for whom something waits: `user`, `changes` and `rooms`.

    `name` is what their usernames begin with.
    """
    found = waiting()
    if name:
        begins = {f"{get_user_model().USERNAME_FIELD}__startswith": name}
        people = get_user_model()._default_manager.filter(**begins)
        found = found.filter(user__in=people.values("pk"))
    return _by_user(found)


def told(found: Sequence[Mapping[str, Any]]) -> list[Queue]:
    """Some of the `queues`, with what is asked of few only."""
    keys = [row["user"] for row in found]
    people = get_user_model()._default_manager.in_bulk(keys)
    since, reaches = _since(keys), reach(keys)
    return [
        Queue(
            key, username(people[key]), row["changes"], row["rooms"], since.get(key), reaches[key]
        )
        for key, row in zip(keys, found, strict=True)
        if key in people
    ]


def of(user_id: UserKey) -> QuerySet[Waiting]:
    """Where something waits for this user, most first, with `changes`, `since` and `first`.

    `first` is the key of the first message that waits; None where all of them are gone by now.
    """
    mine = _begun(waiting().filter(user=user_id)).select_related("room")
    most_first = mine.order_by(CHANGES.desc(), "pk")
    return most_first.annotate(
        changes=CHANGES, since=_first("room", _CHANGED_AT), first=_first("room")
    )


def _by_user(found: QuerySet[Waiting]) -> QuerySet[Waiting, Any]:
    return found.order_by().values("user").annotate(changes=Sum(CHANGES), rooms=Count("pk"))


def _since(user_ids: Collection[UserKey]) -> dict[UserKey, datetime]:
    theirs = _begun(waiting().filter(user__in=user_ids))
    oldest: dict[UserKey, datetime] = {}
    for user_id, since in theirs.values_list("user", _first("room", _CHANGED_AT)):
        if since is not None and since <= oldest.get(user_id, since):
            oldest[user_id] = since
    return oldest


def _oldest() -> datetime | None:
    """Room by room, for whoever is furthest behind: members are many, rooms are few."""
    here = Membership.objects.filter(room=OuterRef("pk"), delivered_rev__lt=OuterRef("rev"))
    active = here.exclude(user__in=users.inactive()).order_by().values("room")
    begin = Min(Greatest("delivered_rev", OuterRef("first_rev") - 1))
    rooms = Room.objects.alias(begin=Subquery(active.annotate(begin=begin).values("begin")))
    oldest: datetime | None = rooms.annotate(since=_first("pk", _CHANGED_AT)).aggregate(
        oldest=Min("since")
    )["oldest"]
    return oldest


def _begun(found: QuerySet[Waiting]) -> QuerySet[Waiting]:
    """With `begin`, after which there is something to get; what a room let go of there is not."""
    return found.alias(begin=Greatest("delivered_rev", F("room__first_rev") - 1))


def _first(room: str, value: str | Case = "pk") -> Subquery:
    """Of the first message that changed after `begin`."""
    changed = Message.objects.filter(room=OuterRef(room), rev__gt=OuterRef("begin"))
    return Subquery(changed.order_by("rev").values_list(value)[:1])
