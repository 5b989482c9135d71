"""Where one message is: committed, and on its way to each member of its room. Synchronous.

Told from cursors alone. Which worker announced it is written down nowhere.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from . import leases
from .models import Membership, Message
from .reach import Reach, reach
from .users import UserKey

CLOCKS = timedelta(seconds=1)  # by which one that dates a seat may be ahead of the database's


class Arrival(models.TextChoices):
    """How much of a message has come to a member."""

    WAITS = "waits", _("Has yet to get it")
    EARLIER = "earlier", _("Has an earlier version")
    HAS = "has", _("Has it")
    LATER = "later", _("Joined later: it is there to be read, and nothing waits")


class Shown(models.TextChoices):
    """Which members are asked for."""

    EVERYBODY = "everybody", _("Everybody")
    WAITING = "waiting", _("Has yet to get it")
    HAVING = "has", _("Has it")
    READING = "read", _("Has read it")


class Figures(NamedTuple):
    """How many of a room's members are how far."""

    members: int
    have: int
    read: int
    later: int  # came after it was said
    waiting: int
    away: int  # of those who wait: without any connection

    @property
    def connected(self) -> int:
        return self.waiting - self.away


class Member(NamedTuple):
    """One member, and where the message is on its way there."""

    user_id: UserKey
    username: str
    arrival: Arrival
    has_read: bool
    wrote_it: bool
    reach: Reach

    @property
    def waits(self) -> bool:
        return self.arrival in (Arrival.WAITS, Arrival.EARLIER)


def is_gone(message: Message) -> bool:
    """Whether its room has let go of it: an empty row is left, which nobody is sent."""
    return message.seq < message.room.first_seq


def figures(message: Message) -> Figures:
    """Two queries, however many members there are."""
    seats = Membership.objects.filter(room=message.room_id)
    waiting = _waiting(message)
    counted = seats.aggregate(
        members=Count("pk"),
        have=Count("pk", filter=_having(message)),
        read=Count("pk", filter=_reading(message)),
        waiting=Count("pk", filter=waiting),
    )
    online = leases.living_connections().values("user")
    later = counted["members"] - counted["have"] - counted["waiting"]
    away = seats.filter(waiting).exclude(user__in=online).count()
    return Figures(**counted, later=later, away=away)


def members(message: Message, shown: str = Shown.EVERYBODY, name: str = "") -> QuerySet[Membership]:
    """Those of its room, in an order of their own; `name` is what usernames begin with."""
    found = Membership.objects.filter(room=message.room_id)
    match shown:
        case Shown.WAITING:
            found = found.filter(_waiting(message))
        case Shown.HAVING:
            found = found.filter(_having(message))
        case Shown.READING:
            found = found.filter(_reading(message))
    if name:
        begins = {f"{get_user_model().USERNAME_FIELD}__startswith": name}
        people = get_user_model()._default_manager.filter(**begins)
        found = found.filter(user__in=people.values("pk"))
    return found.select_related("user").order_by("user")


def told(message: Message, seats: Sequence[Membership]) -> list[Member]:
    """Some of its `members`, with how they can be reached."""
    reaches = reach([seat.user_id for seat in seats])
    here = [seat for seat in seats if seat.user_id in reaches]  # nobody was deleted meanwhile
    return [_told(message, seat, reaches[seat.user_id]) for seat in here]


def _told(message: Message, seat: Membership, reach: Reach) -> Member:
    arrival = _arrival(message, seat)
    return Member(
        seat.user_id,
        seat.user.get_username(),
        arrival,
        has_read=seat.joined_at <= _said(message) and seat.read_seq >= message.seq,
        wrote_it=seat.user_id == message.sender_id,
        reach=reach,
    )


def _arrival(message: Message, seat: Membership) -> Arrival:
    is_later = seat.joined_at > _said(message)
    if seat.delivered_rev < message.rev:
        has_earlier = message.born <= seat.delivered_rev and not is_later
        return Arrival.EARLIER if has_earlier else Arrival.WAITS
    return Arrival.LATER if is_later else Arrival.HAS


def _waiting(message: Message) -> Q:
    return Q(delivered_rev__lt=message.rev)


def _having(message: Message) -> Q:
    return Q(delivered_rev__gte=message.rev, joined_at__lte=_said(message))


def _reading(message: Message) -> Q:
    # Who joins begins at the end of the room: their cursors say nothing of what was before.
    return Q(read_seq__gte=message.seq, joined_at__lte=_said(message))


def _said(message: Message) -> datetime:
    return message.created_at + CLOCKS
