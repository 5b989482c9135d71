"""What a user may see, as a version: their seats, and who else sits there. Synchronous.

Whatever changes it raises the version in the same transaction, and every worker compares that each
second.
"""

import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from sys import intern
from typing import Any, NamedTuple

from django.contrib.auth import get_user_model
from django.db.models import Count, F
from django.db.models.functions import Now

from . import conf, preferences
from .errors import NotFound, UnknownUser
from .models import Access, Membership, Room
from .preferences import Hidden, Preferred
from .users import UserKey

MANAGERS = (Membership.Role.OWNER, Membership.Role.MODERATOR)


class Fellow(NamedTuple):
    """Somebody in a room, as the others in it see them."""

    user_id: UserKey
    username: str
    delivered_rev: int
    read_seq: int
    last_seen: datetime | None  # if they are not online
    role: str
    hidden: Hidden  # from the others


Face = tuple[object, ...]
FACE = ("name", "first_seq", "slow_mode", "open", "archived", "read_only")


class Place(NamedTuple):
    """A room, as it was when it was read."""

    pk: str
    kind: str
    name: str
    seq: int
    rev: int
    first_seq: int
    slow_mode: int  # seconds
    open: bool
    archived: bool
    read_only: bool
    blocked: bool  # by either of a direct room's two

    @property
    def face(self) -> Face:
        return tuple(getattr(self, field) for field in FACE)


@dataclass(frozen=True, slots=True)
class Seat:
    """A user's membership as that user sees it. A worker has many: no models here."""

    key: int  # of the membership
    room: Place
    role: str
    blocks: bool  # the other one of a direct room
    delivered_rev: int
    read_seq: int
    members: int
    fellows: tuple[Fellow, ...]  # of a small room all, with oneself; of a large one nobody
    peer: str | None  # username of the other one in a direct room, or one's own
    muted_until: float  # by this process's monotonic clock
    notify: str
    unread_from: int | None

    @property
    def is_small(self) -> bool:
        """Whether its members see each other: receipts, presence, who is typing."""
        return self.members <= conf.SMALL_ROOM

    @property
    def may_write(self) -> bool:
        """As far as the room and the role go."""
        if self.room.archived or self.room.blocked:
            return False
        restricted = self.room.kind == Room.Kind.FEED or self.room.read_only
        return not restricted or self.role in MANAGERS

    @property
    def look(self) -> tuple[object, ...]:
        """What a client is told anew when it changes; cursors have frames of their own."""
        who = tuple((fellow.username, fellow.role, fellow.hidden) for fellow in self.fellows)
        mine = (self.role, self.notify, self.unread_from, self.blocks)
        return (*self.room.face, *mine, self.members, who)


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a user may see, and the version of it."""

    version: int
    banned_for: timedelta | None  # from now on
    closed_below: int  # connections that were admitted with a lower version are to be closed,
    close_code: int | None  # with this
    preferred: Preferred
    seats: dict[str, Seat]  # by room id

    @property
    def banned(self) -> bool:
        return self.banned_for is not None

    @property
    def banned_for_ms(self) -> int | None:
        return int(self.banned_for.total_seconds() * 1_000) + 1 if self.banned_for else None


def standing(user_id: UserKey, room_ids: Collection[str] | None = None) -> Standing:
    """What this user may see now, or only these of their rooms. UnknownUser if they are gone."""
    try:
        return standings([user_id], room_ids)[user_id]
    except KeyError:
        raise UnknownUser from None


def standings(
    user_ids: Collection[UserKey], room_ids: Collection[str] | None = None
) -> dict[UserKey, Standing]:
    """What each of these users may see now; those who are gone are missing.

    The version is read first: if something changes meanwhile, it will be found too low and the
    rooms are read once more.
    """
    banned_for = F("banned_until") - Now()  # by the one clock that all workers share
    access = Access.objects.filter(pk__in=user_ids)
    wishes = [f"user__{name}" for name in preferences.COLUMNS]
    read = access.values_list("pk", "version", banned_for, "closed_below", "close_code", *wishes)
    standings = {
        user_id: Standing(
            version,
            _ahead(banned_for),
            closed_below,
            close_code,
            preferences.preferred(*wished),
            {},
        )
        for user_id, version, banned_for, closed_below, close_code, *wished in read
    }
    mine = Membership.objects.filter(user_id__in=list(standings)).order_by("room_id")
    if room_ids is not None:
        mine = mine.filter(room_id__in=room_ids)
    muted_for = F("muted_until") - Now()
    rows = list(
        mine.values_list(
            *("user_id", "pk", "role", "blocks", "delivered_rev", "read_seq", muted_for),
            *("notify", "unread_from"),
            *("room_id", "room__kind", "room__name", "room__seq", "room__rev", "room__first_seq"),
            *("room__slow_mode", "room__open", "room__archived", "room__read_only"),
            "room__blocked",
        )
    )
    members = count_members({row[9] for row in rows})
    fellows = _fellows([room_id for room_id, n in members.items() if n <= conf.SMALL_ROOM])
    for user_id, *row in rows:
        key, role, blocks, delivered_rev, read_seq, muted_for, notify, unread_from, *room = row
        place = _place(*room)
        if place.pk in members:  # otherwise everybody has left it meanwhile
            here = fellows.get(place.pk, ())
            standings[user_id].seats[place.pk] = Seat(
                key,
                place,
                intern(role),
                blocks,
                delivered_rev,
                read_seq,
                members[place.pk],
                here,
                _peer(place, user_id, here),
                time.monotonic() + muted_for.total_seconds() if muted_for else 0,
                intern(notify),
                unread_from,
            )
    return standings


def _ahead(time_left: timedelta | None) -> timedelta | None:
    return time_left if time_left is not None and time_left > timedelta() else None


@lru_cache(maxsize=10_000)
def _place(*row: Any) -> Place:
    """The same for everybody who sees the room like this."""
    return Place(*row)


def _peer(place: Place, user_id: UserKey, fellows: Sequence[Fellow]) -> str | None:
    if place.kind != Room.Kind.DIRECT:
        return None
    others_first = sorted(fellows, key=lambda fellow: fellow.user_id == user_id)
    return next((fellow.username for fellow in others_first), None)


def seat(user_id: UserKey, room_id: str) -> Seat:
    """The user's seat in one room, or NotFound."""
    found = standing(user_id, [room_id]).seats.get(room_id)
    if found is None:
        raise NotFound
    return found


def count_members(room_ids: Collection[str]) -> dict[str, int]:
    counted = Membership.objects.filter(room_id__in=room_ids).values("room_id")
    return dict(counted.annotate(n=Count("pk")).order_by().values_list("room_id", "n"))


def _fellows(room_ids: Collection[str]) -> dict[str, tuple[Fellow, ...]]:
    name = F(f"user__{get_user_model().USERNAME_FIELD}")
    rows = (
        Membership.objects.filter(room_id__in=room_ids)
        .order_by("pk")
        .values_list(
            *("room_id", "user_id", name, "delivered_rev", "read_seq"),
            *("user__chat_last_seen__at", "role"),
            *(f"user__{column}" for column in preferences.HIDING),
        )
    )
    fellows: dict[str, list[Fellow]] = defaultdict(list)
    for room_id, user_id, username, delivered_rev, read_seq, last_seen, role, *hiding in rows:
        hidden = preferences.hidden(*hiding)
        fellow = Fellow(user_id, username, delivered_rev, read_seq, last_seen, intern(role), hidden)
        fellows[room_id].append(fellow)
    return {room_id: tuple(here) for room_id, here in fellows.items()}


def who_sees(user_id: UserKey) -> set[UserKey]:
    """Those who share a small room with this user."""
    mine = Membership.objects.filter(user_id=user_id).values_list("room_id", flat=True)
    members = count_members(list(mine))
    small = [room_id for room_id, n in members.items() if n <= conf.SMALL_ROOM]
    return set(Membership.objects.filter(room_id__in=small).values_list("user_id", flat=True))


def raise_for(user_ids: Iterable[UserKey]) -> None:
    """Make every worker look again at what these users may see. Call it inside a transaction."""
    affected = Access.objects.filter(pk__in=list(user_ids))
    list(affected.select_for_update(no_key=True).order_by("pk").values_list("pk"))  # ordered locks
    affected.update(version=F("version") + 1)
