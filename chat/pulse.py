"""What every worker compares with what it knows, once a second, by primary key."""

from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass
from typing import NamedTuple

from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from . import users
from .access import FACE, Face
from .models import Access, Epoch, Room, Token
from .users import UserKey


class Life(NamedTuple):
    """Of the database: another epoch, or more closures, concern every connection there is."""

    epoch: str
    closures: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """The state of the database, as far as one worker is concerned. What is gone is missing."""

    life: Life
    heads: Mapping[str, int]  # rev by room id
    faces: Mapping[str, Face]  # by room id
    versions: Mapping[UserKey, int]  # of access, by user
    credentials: Set[str]  # keys of sessions and digests of tokens that have not expired


def pulse(
    room_ids: Collection[str], user_ids: Collection[UserKey], credentials: Collection[str]
) -> Pulse:
    """Read it for the rooms, users and credentials that have sockets on this worker."""
    rooms = list(Room.objects.filter(pk__in=room_ids).values_list("pk", "rev", *FACE))
    versions = Access.objects.filter(pk__in=user_ids).values_list("pk", "version")
    if users.knows_activity():  # whoever is switched off by a plain update has no version any more
        versions = versions.filter(user__is_active=True)
    # By the database's clock: workers whose clocks differ agree on whose time is over.
    sessions = Session.objects.filter(pk__in=credentials, expire_date__gt=Now())
    tokens = Token.objects.filter(pk__in=credentials, expires_at__gt=Now())
    return Pulse(
        life(),
        {pk: rev for pk, rev, *_ in rooms},
        {pk: tuple(face) for pk, _, *face in rooms},
        dict(versions),
        {*sessions.values_list("pk", flat=True), *tokens.values_list("pk", flat=True)},
    )


def life() -> Life:
    """Which life of the database this is; one begins when there is none yet."""
    row, _ = Epoch.objects.get_or_create(pk=1)
    return Life(row.value, row.closures)


def new_epoch() -> str:
    """Begin another life, after a backup was restored: all clients start afresh within a second."""
    return Epoch.objects.update_or_create(pk=1, defaults={"value": Epoch().value})[0].value
