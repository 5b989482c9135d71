"""What those who run the site announce: to everybody, in a room, to some people. Synchronous.

It comes, waits and stays like any message. Whoever confirms twice says it once: the id of what is
announced is made when it is shown to be confirmed.
"""

from collections.abc import Sequence
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from . import audit, messaging, rooms, users
from .audit import Action, Actor
from .messaging import Posted
from .models import Membership, Message, Room
from .users import username

MOST_PEOPLE = 200  # to whom something is said in their direct rooms at once


def recipients(room: Room) -> int:
    """How many get it, now or when they come: members who may log in."""
    return Membership.objects.filter(room=room, user__in=users.active()).count()


def announce(
    actor: Actor, room: Room, body: str, sender: AbstractBaseUser | None, words_id: UUID
) -> Posted:
    """In one room, as somebody or as nobody in particular; not `new` if it had been said before."""
    with transaction.atomic():
        [said] = messaging.proclaim_in([room.pk], body, sender, words_id)
        if said.new:
            told = {"recipients": recipients(room)}
            message = Message.objects.get(room=room, seq=said.message.seq)
            audit.record(actor, Action.ANNOUNCED, message, label=str(room), after=told)
    return said


def announce_to(
    actor: Actor,
    people: Sequence[AbstractBaseUser],
    body: str,
    sender: AbstractBaseUser,
    words_id: UUID,
) -> bool:
    """To each of these in their direct room with the sender, or to nobody; whether it was new."""
    # First, and each for itself: an empty room is no harm, and locks are taken in one order.
    directs = [rooms.open_direct(sender, person).pk for person in people]
    with transaction.atomic():
        said = messaging.proclaim_in(directs, body, sender, words_id)
        is_new = any(posted.new for posted in said)
        if is_new:
            names = [username(person) for person in people]
            places = [str(posted.message) for posted in said]
            told = {"recipients": len(people), "people": names, "messages": places}
            audit.record(actor, Action.ANNOUNCED, label=", ".join(names), after=told)
    return is_new
