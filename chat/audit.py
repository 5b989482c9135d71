"""The audit log: who did, or read, what with the powers of those who run the site. Synchronous.

Call `record` in the transaction of what it tells: neither is there without the other.
"""

import getpass
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model
from django.http import HttpRequest

from .models import AuditEntry, Room
from .users import UserKey, username

Action = AuditEntry.Action
Values = Mapping[str, Any]  # by field; whatever JSON can hold, and dates


class Actor(NamedTuple):
    """Who acts: a user over HTTP, or whoever has a shell on the server."""

    name: str
    user_id: UserKey | None = None
    address: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Self:
        user = request.user
        return cls(user.get_username(), user.pk, request.META.get("REMOTE_ADDR") or "")

    @classmethod
    def in_the_shell(cls) -> Self:
        try:
            account = getpass.getuser()
        except (KeyError, OSError):  # a container may have no name for who runs in it
            account = "?"
        return cls(f"manage.py ({account})")


def record(
    actor: Actor,
    action: Action,
    target: Model | AbstractBaseUser | None = None,
    *,
    label: str = "",
    room: str = "",
    comment: str = "",
    before: Values | None = None,
    after: Values | None = None,
) -> AuditEntry:
    """Write down that this was done; `label` and `room` are the target's, unless they are told."""
    return AuditEntry.objects.create(
        actor_id=actor.user_id,
        actor_name=_cut(actor.name, "actor_name"),
        address=_cut(actor.address, "address"),
        action=action,
        kind=_kind(target),
        key="" if target is None else _cut(str(target.pk), "key"),
        label=_cut(label or _label(target), "label"),
        room=room or _room(target),
        comment=comment,
        before=before,
        after=after,
    )


def _kind(target: Model | None) -> str:
    if isinstance(target, get_user_model()):
        return "user"  # whatever the site calls them
    return "" if target is None else str(target._meta.model_name)


def _label(target: Model | None) -> str:
    if target is None:
        return ""
    return username(target) if isinstance(target, AbstractBaseUser) else str(target)


def _room(target: Model | None) -> str:
    return str(target.pk if isinstance(target, Room) else getattr(target, "room_id", None) or "")


def _cut(text: str, field: str) -> str:
    length: int = getattr(AuditEntry._meta.get_field(field), "max_length")  # noqa: B009
    return text[:length]
