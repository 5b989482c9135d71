"""What those who run the site do to connections and people: end them, keep them out. Synchronous.

Callable from anywhere: nothing here knows which worker holds a connection. It is written down, and
each worker finds it within a second by its check, whatever becomes of the channel layer.
"""

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from importlib import import_module

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from .access import raise_for
from .close_codes import CloseCode
from .errors import NotFound
from .models import Access, Connection, Epoch, Membership, Token
from .pulse import life

WHY_CHARS = 200  # of the reason for a ban, or for muting
FOR_GOOD = timedelta(days=36_500)  # of a ban


def disconnect(keys: Collection[str], code: CloseCode = CloseCode.DISCONNECTED) -> int:
    """Close these connections; how many of them there are."""
    with transaction.atomic():
        found = Connection.objects.filter(pk__in=keys).order_by("pk")
        users = list(found.select_for_update(no_key=True).values_list("user", flat=True))
        found.update(close_code=code)
        raise_for(users)  # so that their workers look
    return len(users)


def disconnect_user(user: AbstractBaseUser, code: CloseCode = CloseCode.DISCONNECTED) -> None:
    """Close what this user has open by now, on every worker, however new it is."""
    with transaction.atomic():
        Access.objects.get_or_create(pk=user.pk)
        Access.objects.filter(pk=user.pk).update(
            version=F("version") + 1, closed_below=F("version") + 1, close_code=code
        )


def disconnect_everybody() -> None:
    """Close every connection there is; clients come back spread over some seconds."""
    life()  # there is a row now
    Epoch.objects.update(closures=F("closures") + 1)


def kick(user: AbstractBaseUser) -> None:
    """Close what this user has open; clients stay away until a person acts."""
    disconnect_user(user, CloseCode.BANNED)


def ban(user: AbstractBaseUser, until: datetime | None, reason: str = "") -> None:
    """Close the user's connections and let none in before `until`; None lifts the ban."""
    with transaction.atomic():
        Access.objects.get_or_create(pk=user.pk)
        Access.objects.filter(pk=user.pk).update(
            banned_until=until, ban_reason=reason if until else "", version=F("version") + 1
        )


def mute(user: AbstractBaseUser, room_id: str, until: datetime | None, reason: str = "") -> None:
    """Let the user write nothing there before `until`; None lifts it. NotFound without a seat."""
    with transaction.atomic():
        seat = Membership.objects.filter(room_id=room_id, user_id=user.pk)
        if not seat.update(muted_until=until, mute_reason=reason if until else ""):
            raise NotFound
        raise_for([user.pk])


def sessions_of(users: Collection[AbstractBaseUser]) -> list[str]:
    """The keys of the sessions in which they are logged in.

    A session does not tell whose it is until it is decoded: this reads all there are.
    """
    keys = {str(user.pk) for user in users}
    living = Session.objects.filter(expire_date__gt=Now()).iterator()
    return [
        session.session_key for session in living if session.get_decoded().get(SESSION_KEY) in keys
    ]


def end_sessions(users: Collection[AbstractBaseUser], sessions: Iterable[str] | None = None) -> int:
    """Log users out wherever they are logged in, programs included; how many sessions that were.

    What is open ends with them. `sessions`: theirs, where they have been found already.
    """
    found = sessions_of(users) if sessions is None else list(sessions)
    store = import_module(settings.SESSION_ENGINE).SessionStore
    Token.objects.filter(user__in=[user.pk for user in users]).delete()
    for key in found:
        store(key).delete()  # where it is cached, too
    return len(found)
