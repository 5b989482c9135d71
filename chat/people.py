"""What people decide about themselves and each other: preferences, blocks. Synchronous.

Each tells, by the versions of access, every worker on which somebody sees the difference.
"""

from collections.abc import Mapping

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from . import access, preferences, rooms
from .errors import BadFrame
from .models import Membership, Room
from .preferences import Preferred


def prefer(user: AbstractBaseUser, changes: Mapping[str, object]) -> Preferred:
    """Change some preferences; all of them. BadFrame if there is no such theme or language."""
    with transaction.atomic():
        before, after = preferences.store(user.pk, changes)
        seeing = access.who_sees(user.pk) if after.hidden != before.hidden else set()
        if after != before:
            access.raise_for({user.pk, *seeing})
    return after


def block(user: AbstractBaseUser, peer: AbstractBaseUser, blocked: bool) -> Room:
    """Let nobody write in the direct room of these two, or end that; each for themselves."""
    if user.pk == peer.pk:
        raise BadFrame("You cannot block yourself.")
    room = rooms.open_direct(user, peer)
    with transaction.atomic():
        room = Room.objects.select_for_update(no_key=True).get(pk=room.pk)
        seats = Membership.objects.filter(room=room)
        if seats.filter(user_id=user.pk).exclude(blocks=blocked).update(blocks=blocked):
            room.blocked = seats.filter(blocks=True).exists()
            room.save(update_fields=["blocked"])
            access.raise_for([user.pk, peer.pk])
    return room
