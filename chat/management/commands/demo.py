"""`manage.py demo`: people, rooms and messages to try Roost with. Run again, it changes nothing."""

from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from chat import messaging, rooms
from chat.messaging import Draft
from chat.models import Message, Room

User = get_user_model()

WELCOME = """\
Demo users, to log in with in two browsers:

  alice, bob, charlie   password: demo
  admin                 password: admin   (also at /admin/)
"""

PASSWORDS = {**dict.fromkeys(("alice", "bob", "charlie"), "demo"), "admin": "admin"}

# Whoever writes has read what was there: the order leaves Bob three unread messages in the Kitchen.
LOBBY = [
    ("alice", "Good morning, everybody!"),
    ("charlie", "Morning! My first day here."),
    ("bob", "Welcome! Close your laptop and open it again: nothing is lost, nothing comes twice."),
    ("alice", "If you want to talk to one of us alone, write to us directly."),
]
KITCHEN = [
    ("alice", "Who has finished the coffee?"),
    ("bob", "Me. There is more on the second shelf, behind the tea."),
    ("alice", "Found it, thanks!"),
    ("alice", "Lunch at half past twelve?"),
    ("alice", "Charlie is paying, but does not know it yet."),
]
DIRECT = [
    ("bob", "Do you still have the notes from yesterday?"),
    ("alice", "Here they are: https://example.org/notes"),
    ("bob", "Thank you!"),
]


class Command(BaseCommand):
    help = "Add demo users, rooms and messages (only with DEBUG on)."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEBUG:
            raise CommandError("Everybody knows the passwords of demo users: only with DEBUG=1.")
        with transaction.atomic():
            _fill()
        self.stdout.write(WELCOME)


def _fill() -> None:
    people = {name: _person(name) for name in ("alice", "bob", "charlie")}
    if not User.objects.filter(username="admin").exists():
        User.objects.create_superuser("admin", password=PASSWORDS["admin"], first_name="Admin")
    alice, bob = people["alice"], people["bob"]
    talks = [
        (rooms.everyone(), "lobby", LOBBY),
        (_kitchen(alice, bob), "kitchen", KITCHEN),
        (rooms.open_direct(alice, bob), "direct", DIRECT),
    ]
    messaging.post(
        [
            Draft(people[name], room.pk, _client_id(talk, place), body)
            for room, talk, lines in talks
            for place, (name, body) in enumerate(lines)
        ]
    )


def _person(name: str) -> AbstractBaseUser:
    found = User.objects.filter(username=name).first()
    return found or User.objects.create_user(
        name, password=PASSWORDS[name], first_name=name.title()
    )


def _kitchen(alice: AbstractBaseUser, bob: AbstractBaseUser) -> Room:
    """Known by its first message, whatever it is called by now."""
    first = Message.objects.filter(sender_id=alice.pk, client_id=_client_id("kitchen", 0)).first()
    return first.room if first else rooms.create(alice, "Kitchen", members=[bob])


def _client_id(talk: str, place: int) -> UUID:
    """The same in every run, so that no message is stored twice."""
    return uuid5(NAMESPACE_URL, f"https://roost.example/demo/{talk}/{place}")
