"""Who is in which room: the domain's verbs about rooms and memberships. Synchronous; no WebSockets.

Whatever changes what somebody may see raises their `Access.version` in the same transaction; every
worker compares it each second, so nobody who calls these functions has to tell anyone.
Locks are taken in this order: rooms, memberships, access; each in the order of its keys.
"""

from collections.abc import Collection, Iterable, Sequence

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from . import access, conf, users
from .access import MANAGERS
from .errors import BadFrame, Forbidden, Muted, NotFound
from .models import Access, Membership, Room
from .users import UserKey

OWNER = Membership.Role.OWNER
OWNERS = (OWNER,)
EVERYONE = "Lobby"  # the name that the room of everybody is born with


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
        access.raise_for([instance.pk])


# Rooms


def open_direct(user: AbstractBaseUser, peer: AbstractBaseUser) -> Room:
    """The direct room of these two; made when they meet for the first time."""
    pair = _pair(user, peer)
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


def _pair(user: AbstractBaseUser, peer: AbstractBaseUser) -> str:
    return "|".join(sorted({str(user.pk), str(peer.pk)}))


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
    room = Room(kind=kind, open=open)
    _give_name(room, name)
    if _owns_many(owner):
        raise Forbidden("You own as many rooms as anybody may.")
    members = list(members)
    _insist_on_peace(owner, members)
    with transaction.atomic():
        room.save(force_insert=True)
        _insert_seats(room, [owner], OWNER)
        others = _insert_seats(room, [user for user in members if user.pk != owner.pk])
        _raise_access_in(room, came=[owner.pk, *others])
    return room


def _give_name(room: Room, name: str) -> None:
    room.name = name.strip()
    if not room.name:
        raise BadFrame("A room needs a name.")
    try:
        room.clean_fields()
    except ValidationError as error:
        raise BadFrame("; ".join(error.messages)) from None


def _owns_many(user: AbstractBaseUser) -> bool:
    """As many as anybody may; who makes some at the same moment may get one more."""
    owned = Membership.objects.filter(user_id=user.pk, role=OWNER)
    return owned.count() >= conf.ROOMS_OWNED


def _insist_on_peace(actor: AbstractBaseUser, guests: Iterable[AbstractBaseUser]) -> None:
    """Nobody is brought in by whom they block, nor by who blocks them.

    As in their direct room: if only one way were refused, it would tell who of them it was.
    """
    pairs = {_pair(actor, guest): users.username(guest) for guest in guests}
    blocked = Room.objects.filter(pair__in=list(pairs), blocked=True)
    found = set(blocked.values_list("pair", flat=True))
    if names := ", ".join(sorted(name for pair, name in pairs.items() if pair in found)):
        raise Forbidden(f"You cannot bring in whom you block or who blocks you: {names}.")


def rename(actor: AbstractBaseUser, room_id: str, name: str) -> None:
    """An owner or moderator gives it another name."""
    with transaction.atomic():
        room = _managed_room(actor, room_id)
        _give_name(room, name)
        room.save(update_fields=["name"])


def archive(actor: AbstractBaseUser, room_id: str, archived: bool) -> None:
    """An owner closes it for good, or opens it again: it can be read, and nothing is said."""
    with transaction.atomic():
        room = _managed_room(actor, room_id, OWNERS)
        room.archived = archived
        room.save(update_fields=["archived"])


def join(user: AbstractBaseUser, room_id: str) -> None:
    """Take a seat in an open room. A room that is not open does not exist for outsiders."""
    with transaction.atomic():
        room = _lock(room_id)
        if Membership.objects.filter(room=room, user_id=user.pk).exists():
            return
        if not room.open:
            raise NotFound
        _insist_on_life(room)
        _seat(room, [user])


def _insist_on_life(room: Room) -> None:
    if room.archived:
        raise Forbidden("This room is archived: nobody comes in any more.")


def leave(user: AbstractBaseUser, room_id: str) -> None:
    """Give up one's seat. The oldest moderator or member who may log in follows a last owner.

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


def invite(actor: AbstractBaseUser, room_id: str, *guests: AbstractBaseUser) -> None:
    """An owner or moderator brings people in; into an open room anybody who is there."""
    with transaction.atomic():
        room = _lock(room_id)
        _insist_on_role(room, actor, Membership.Role.values if room.open else MANAGERS)
        _insist_on_life(room)
        _insist_on_peace(actor, guests)
        _seat(room, guests)


def remove(actor: AbstractBaseUser, room_id: str, user: AbstractBaseUser) -> None:
    """An owner or moderator sends somebody out; only an owner can send an owner."""
    if user.pk == actor.pk:
        leave(user, room_id)
        return
    with transaction.atomic():
        room = _managed_room(actor, room_id)
        membership = _membership(room, user)
        if membership.role == OWNER and _membership(room, actor).role != OWNER:
            raise Forbidden("Only an owner can send an owner out.")
        _unseat(room, membership)


def appoint(actor: AbstractBaseUser, room_id: str, user: AbstractBaseUser, role: str) -> None:
    """An owner gives somebody another role. There is always an owner left."""
    with transaction.atomic():
        room = _managed_room(actor, room_id, OWNERS)
        membership = _membership(room, user)
        if role == OWNER != membership.role and _owns_many(user):
            raise Forbidden("They own as many rooms as anybody may.")
        if membership.role == OWNER != role and not _others_own(room, membership):
            raise Forbidden("The last owner cannot step down; appoint another one first.")
        membership.role = role
        membership.save(update_fields=["role"])
        _raise_access_in(room, changed=[user.pk])


def _others_own(room: Room, membership: Membership) -> bool:
    others = room.memberships.filter(role=OWNER, user__in=users.active())
    return others.exclude(pk=membership.pk).exists()


# What concerns nobody else


def notify(user: AbstractBaseUser, room_id: str, level: str) -> None:
    """What the user wants to be told of while looking elsewhere."""
    with transaction.atomic():
        _change_own(user, room_id, notify=level)


def mark_unread(user: AbstractBaseUser, room_id: str, seq: int | None) -> None:
    """Mark it as unread from this message on; None: not any more. Nobody else is told."""
    with transaction.atomic():
        if seq is not None and not _holds(room_id, seq):
            raise NotFound
        _change_own(user, room_id, unread_from=seq)


def _holds(room_id: str, seq: int) -> bool:
    return Room.objects.filter(pk=room_id, first_seq__lte=seq, seq__gte=seq).exists()


def _change_own(user: AbstractBaseUser, room_id: str, **changes: object) -> None:
    if not Membership.objects.filter(room_id=room_id, user_id=user.pk).update(**changes):
        raise NotFound
    access.raise_for([user.pk])


# On the site's own authority: nobody's role is asked


def place(user: AbstractBaseUser, room_id: str, role: str = Membership.Role.MEMBER) -> Membership:
    """Seat somebody; who has a seat keeps it as it is."""
    with transaction.atomic():
        room = _lock(room_id)
        _seat(room, [user], role)
        return _membership(room, user)


def entrust(user: AbstractBaseUser, room_id: str, role: str) -> None:
    """Give somebody another role, the last owner too."""
    with transaction.atomic():
        room = _lock(room_id)
        membership = _membership(room, user)
        membership.role = role
        membership.save(update_fields=["role"])
        _raise_access_in(room, changed=[user.pk])


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


def _managed_room(actor: AbstractBaseUser, room_id: str, roles: Collection[str] = MANAGERS) -> Room:
    room = _lock(room_id)
    _insist_on_role(room, actor, roles)
    return room


def _insist_on_role(room: Room, actor: AbstractBaseUser, roles: Collection[str]) -> None:
    role = _membership(room, actor).role
    if room.kind in (Room.Kind.EVERYONE, Room.Kind.DIRECT) or role not in roles:
        raise Forbidden


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
        Membership(
            room=room,
            user_id=user.pk,
            role=role,
            delivered_rev=room.rev,
            read_seq=room.seq,
            # As if they had just written: or whoever leaves and comes back would not have to wait.
            posted_at=Now() if room.open else None,
        )
        for user in users
    ]
    Membership.objects.bulk_create(newcomers, ignore_conflicts=True)
    return [newcomer.user_id for newcomer in newcomers]


def _unseat(room: Room, membership: Membership) -> None:
    if membership.role == OWNER:
        # Another may become it: lock them in order, as whoever moves cursors does.
        list(room.memberships.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    membership.delete()
    if membership.role == OWNER:
        rest = Membership.objects.filter(room=room).order_by("pk")
        active = rest.filter(user__in=users.active())
        if not active.filter(role=OWNER).exists():
            heir = (
                active.filter(role=Membership.Role.MODERATOR).first()
                or active.first()
                or rest.first()  # who may be let in again
            )
            if heir is not None:
                heir.role = OWNER
                heir.save(update_fields=["role"])
    _raise_access_in(room, changed=[membership.user_id])


def _raise_access_in(
    room: Room, *, came: Sequence[UserKey] = (), changed: Sequence[UserKey] = ()
) -> None:
    """Raise it for who came, went or became something else and, in a small room, who sees it.

    A room that was small until they came is one, too: its members learn that it is not any more.
    """
    most = conf.SMALL_ROOM + len(came)
    seeing = list(room.memberships.values_list("user_id", flat=True)[: most + 1])
    access.raise_for({*came, *changed, *(seeing if len(seeing) <= most else ())})
