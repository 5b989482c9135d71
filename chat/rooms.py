"""Who is in which room: the domain's verbs about rooms and memberships. Synchronous; no WebSockets.

Whatever changes what somebody may see raises their `Access.version` in the same transaction; every
worker compares it each second, so nobody who calls these functions has to tell anyone.
Locks are taken in this order: rooms, memberships, access; each in the order of its keys.
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
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Count, F
from django.db.models.functions import Now

from . import conf
from .errors import BadFrame, Forbidden, Muted, NotFound, UnknownUser
from .models import Access, Membership, Room

EVERYONE = "Lobby"  # the name that the room of everybody is born with
MANAGERS = (Membership.Role.OWNER, Membership.Role.MODERATOR)

UserKey = Any  # the primary key of whatever AUTH_USER_MODEL is


class Fellow(NamedTuple):
    """Somebody in a room, as the others in it see them."""

    user_id: UserKey
    username: str
    delivered_rev: int
    read_seq: int
    last_seen: datetime | None  # if they are not online


class Place(NamedTuple):
    """A room, as it was when it was read."""

    pk: str
    kind: str
    name: str
    seq: int
    rev: int
    first_seq: int
    slow_mode: int  # seconds


@dataclass(frozen=True, slots=True)
class Seat:
    """A user's membership as that user sees it. A worker has many: no models here."""

    key: int  # of the membership
    room: Place
    role: str
    delivered_rev: int
    read_seq: int
    members: int
    fellows: tuple[Fellow, ...]  # of a small room all, with oneself; of a large one nobody
    peer: str | None  # username of the other one in a direct room, or one's own
    muted_until: float  # by this process's monotonic clock

    @property
    def is_small(self) -> bool:
        """Whether its members see each other: receipts, presence, who is typing."""
        return self.members <= conf.SMALL_ROOM

    @property
    def may_write(self) -> bool:
        """As far as the role goes."""
        return self.room.kind != Room.Kind.FEED or self.role in MANAGERS

    @property
    def look(self) -> tuple[object, ...]:
        """What a client is told anew when it changes; cursors have frames of their own."""
        who = tuple(fellow.username for fellow in self.fellows)
        room = self.room
        return (room.name, room.first_seq, room.slow_mode, self.role, self.members, who)


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a user may see, and the version of it."""

    version: int
    banned_for: timedelta | None  # from now on
    closed_below: int  # connections that were admitted with a lower version are to be closed,
    close_code: int | None  # with this
    seats: dict[str, Seat]  # by room id

    @property
    def banned(self) -> bool:
        return self.banned_for is not None

    @property
    def banned_for_ms(self) -> int | None:
        return int(self.banned_for.total_seconds() * 1_000) + 1 if self.banned_for else None


def username(user: AbstractBaseUser) -> str:
    return str(user.get_username())


def display_name(user: AbstractBaseUser) -> str:
    """The full name where the user model knows one."""
    full_name = getattr(user, "get_full_name", None)
    return (full_name() if full_name else "") or username(user)


def user_named(name: str) -> AbstractBaseUser:
    """The active user of this name, or UnknownUser."""
    model = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise UnknownUser from None
    if not user.is_active:
        raise UnknownUser
    return user


# What a user may see


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
    read = access.values_list("pk", "version", banned_for, "closed_below", "close_code")
    standings = {
        user_id: Standing(version, _ahead(banned_for), closed_below, close_code, {})
        for user_id, version, banned_for, closed_below, close_code in read
    }
    mine = Membership.objects.filter(user_id__in=list(standings)).order_by("room_id")
    if room_ids is not None:
        mine = mine.filter(room_id__in=room_ids)
    muted_for = F("muted_until") - Now()
    rows = list(
        mine.values_list(
            *("user_id", "pk", "role", "delivered_rev", "read_seq", muted_for),
            *("room_id", "room__kind", "room__name", "room__seq", "room__rev", "room__first_seq"),
            "room__slow_mode",
        )
    )
    members = _count_members({row[6] for row in rows})
    fellows = _fellows([room_id for room_id, n in members.items() if n <= conf.SMALL_ROOM])
    for user_id, key, role, delivered_rev, read_seq, muted_for, *room in rows:
        place = _place(*room)
        if place.pk in members:  # otherwise everybody has left it meanwhile
            here = fellows.get(place.pk, ())
            standings[user_id].seats[place.pk] = Seat(
                key,
                place,
                intern(role),
                delivered_rev,
                read_seq,
                members[place.pk],
                here,
                _peer(place, user_id, here),
                time.monotonic() + muted_for.total_seconds() if muted_for else 0,
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


def _count_members(room_ids: Collection[str]) -> dict[str, int]:
    counted = Membership.objects.filter(room_id__in=room_ids).values("room_id")
    return dict(counted.annotate(n=Count("pk")).order_by().values_list("room_id", "n"))


def _fellows(room_ids: Collection[str]) -> dict[str, tuple[Fellow, ...]]:
    name = F(f"user__{get_user_model().USERNAME_FIELD}")
    rows = (
        Membership.objects.filter(room_id__in=room_ids)
        .order_by("pk")
        .values_list(
            *("room_id", "user_id", name, "delivered_rev", "read_seq", "user__chat_last_seen__at")
        )
    )
    fellows: dict[str, list[Fellow]] = defaultdict(list)
    for room_id, *fellow in rows:
        fellows[room_id].append(Fellow(*fellow))
    return {room_id: tuple(here) for room_id, here in fellows.items()}


def raise_access(user_ids: Iterable[UserKey]) -> None:
    """Make every worker look again at what these users may see. Call it inside a transaction."""
    affected = Access.objects.filter(pk__in=list(user_ids))
    list(affected.select_for_update(no_key=True).order_by("pk").values_list("pk"))  # ordered locks
    affected.update(version=F("version") + 1)


# Everybody


def everyone() -> Room:
    """The room of everybody; made when it is not there yet."""
    room, _created = Room.objects.get_or_create(
        kind=Room.Kind.EVERYONE, defaults={"name": EVERYONE}
    )
    return room


def enrol(user: AbstractBaseUser) -> None:
    """Let the user into the room of everybody, and have their access counted. Cheap when done."""
    if (
        Access.objects.filter(pk=user.pk).exists()
        and Membership.objects.filter(user_id=user.pk, room__kind=Room.Kind.EVERYONE).exists()
    ):
        return
    with transaction.atomic():
        room = _lock(everyone().pk)
        Access.objects.get_or_create(pk=user.pk)
        _seat(room, [user])


def user_saved(
    instance: AbstractBaseUser, *, raw: bool, update_fields: Collection[str] | None, **_: object
) -> None:
    """On every save of a user: enrol the new one; a password or `is_active` may have changed."""
    if raw or (update_fields is not None and set(update_fields) == {"last_login"}):
        return
    with transaction.atomic():
        enrol(instance)
        raise_access([instance.pk])


# Rooms


def open_direct(user: AbstractBaseUser, peer: AbstractBaseUser) -> Room:
    """The direct room of these two; made when they meet for the first time."""
    pair = "|".join(sorted({str(user.pk), str(peer.pk)}))
    found = Room.objects.filter(pair=pair).first()
    if found is not None:
        return found
    with transaction.atomic():
        new = Room(kind=Room.Kind.DIRECT, pair=pair)
        Room.objects.bulk_create([new], ignore_conflicts=True)
        room = Room.objects.get(pair=pair)
        if room.pk == new.pk:  # otherwise somebody else opened it at the same moment
            _seat(room, {u.pk: u for u in (user, peer)}.values())
    return room


def create(
    owner: AbstractBaseUser,
    name: str,
    *,
    kind: str = Room.Kind.GROUP,
    members: Iterable[AbstractBaseUser] = (),
    open: bool = False,
) -> Room:
    """A new group or feed, with its owner and first members in it."""
    if kind not in (Room.Kind.GROUP, Room.Kind.FEED):
        raise BadFrame("A room is a group or a feed.")
    room = Room(kind=kind, name=name.strip(), open=open)
    try:
        if not room.name:
            raise BadFrame("A room needs a name.")
        room.clean_fields()
    except ValidationError as error:
        raise BadFrame("; ".join(error.messages)) from None
    if _owned(owner) >= conf.ROOMS_OWNED:
        raise Forbidden("You own as many rooms as anybody may.")
    with transaction.atomic():
        room.save(force_insert=True)
        _insert_seats(room, [owner], Membership.Role.OWNER)
        others = _insert_seats(room, [user for user in members if user.pk != owner.pk])
        _raise_access_in(room, came=[owner.pk, *others])
    return room


def _owned(user: AbstractBaseUser) -> int:
    """How many rooms; somebody who makes some at the same moment may get one more."""
    return Membership.objects.filter(user_id=user.pk, role=Membership.Role.OWNER).count()


def join(user: AbstractBaseUser, room_id: str) -> None:
    """Take a seat in an open room. A room that is not open does not exist for outsiders."""
    with transaction.atomic():
        room = _lock(room_id)
        if Membership.objects.filter(room=room, user_id=user.pk).exists():
            return
        if not room.open:
            raise NotFound
        _seat(room, [user])
        # As if they had just written: or whoever leaves and comes back would not have to wait.
        Membership.objects.filter(room=room, user_id=user.pk).update(posted_at=Now())


def leave(user: AbstractBaseUser, room_id: str) -> None:
    """Give up one's seat. The oldest moderator or member follows a last owner.

    Muted if they could come back with a voice.
    """
    with transaction.atomic():
        room = _lock(room_id)
        membership = _membership(room, user)
        if room.kind in (Room.Kind.EVERYONE, Room.Kind.DIRECT):
            raise Forbidden("Nobody can leave this room.")
        if room.open:
            _insist_on_voice(membership)
        _unseat(room, membership)


def _insist_on_voice(membership: Membership) -> None:
    muted = Membership.objects.filter(pk=membership.pk, muted_until__gt=Now())
    for muted_for in muted.values_list(F("muted_until") - Now(), flat=True):
        wait = int(muted_for.total_seconds() * 1_000) + 1
        raise Muted("You may not leave this room while you are muted.", retry_after_ms=wait)


def add(actor: AbstractBaseUser, room_id: str, user: AbstractBaseUser) -> None:
    """An owner or moderator brings somebody in."""
    with transaction.atomic():
        room = _managed_room(actor, room_id)
        _seat(room, [user])


def remove(actor: AbstractBaseUser, room_id: str, user: AbstractBaseUser) -> None:
    """An owner or moderator sends somebody out; only an owner can send an owner."""
    with transaction.atomic():
        room = _managed_room(actor, room_id)
        membership = _membership(room, user)
        if (
            membership.role == Membership.Role.OWNER
            and _membership(room, actor).role != Membership.Role.OWNER
        ):
            raise Forbidden
        _unseat(room, membership)


# On the site's own authority: nobody's role is asked


def place(user: AbstractBaseUser, room_id: str, role: str = Membership.Role.MEMBER) -> Membership:
    """Seat somebody; who has a seat keeps it as it is."""
    with transaction.atomic():
        room = _lock(room_id)
        _seat(room, [user], role)
        return _membership(room, user)


def dismiss(user: AbstractBaseUser, room_id: str) -> None:
    """Take somebody's seat away."""
    with transaction.atomic():
        room = _lock(room_id)
        _unseat(room, _membership(room, user))


def _lock(room_id: str) -> Room:
    try:
        return Room.objects.select_for_update(no_key=True).get(pk=room_id)
    except Room.DoesNotExist:
        raise NotFound from None


def _membership(room: Room, user: AbstractBaseUser) -> Membership:
    try:
        return Membership.objects.get(room=room, user_id=user.pk)
    except Membership.DoesNotExist:
        raise NotFound from None


def _managed_room(actor: AbstractBaseUser, room_id: str) -> Room:
    room = _lock(room_id)
    role = _membership(room, actor).role
    if room.kind in (Room.Kind.EVERYONE, Room.Kind.DIRECT) or role not in MANAGERS:
        raise Forbidden
    return room


def _seat(
    room: Room, users: Iterable[AbstractBaseUser], role: str = Membership.Role.MEMBER
) -> None:
    """Let users in under the room's lock; who is in already stays as they are."""
    _raise_access_in(room, came=_insert_seats(room, users, role))


def _insert_seats(
    room: Room, users: Iterable[AbstractBaseUser], role: str = Membership.Role.MEMBER
) -> list[UserKey]:
    """A new member starts at the head: history is there to read, but nothing is waiting.

    (The head of a new direct room is 0, so that its first message waits for both.)
    """
    newcomers = [
        Membership(room=room, user_id=user.pk, role=role, delivered_rev=room.rev, read_seq=room.seq)
        for user in users
    ]
    Membership.objects.bulk_create(newcomers, ignore_conflicts=True)
    return [newcomer.user_id for newcomer in newcomers]


def _unseat(room: Room, membership: Membership) -> None:
    if membership.role == Membership.Role.OWNER:
        # Another may become it: lock them in order, as whoever moves cursors does.
        list(room.memberships.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    membership.delete()
    if membership.role == Membership.Role.OWNER:
        rest = Membership.objects.filter(room=room)
        if not rest.filter(role=Membership.Role.OWNER).exists():
            heir = (
                rest.filter(role=Membership.Role.MODERATOR).order_by("pk").first()
                or rest.order_by("pk").first()
            )
            if heir is not None:
                heir.role = Membership.Role.OWNER
                heir.save(update_fields=["role"])
    _raise_access_in(room, went=[membership.user_id])


def _raise_access_in(
    room: Room, *, came: Sequence[UserKey] = (), went: Sequence[UserKey] = ()
) -> None:
    """Raise it for who came or went and, in a small room, for who sees them come or go.

    A room that was small until they came is one, too: its members learn that it is not any more.
    """
    most = conf.SMALL_ROOM + len(came)
    seeing = list(room.memberships.values_list("user_id", flat=True)[: most + 1])
    raise_access({*came, *went, *(seeing if len(seeing) <= most else ())})
