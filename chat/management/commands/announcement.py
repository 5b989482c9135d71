"""`manage.py announcement`: tell everybody, or those in a room, as those who run the site."""

from argparse import ArgumentParser
from typing import Any
from uuid import uuid4

from django.core.management.base import CommandError

from chat import announcing, rooms
from chat.audit import Actor
from chat.errors import ChatError
from chat.management.shell import ShellCommand, in_print, user_named
from chat.models import Room


class Command(ShellCommand):
    help = "Say something to everybody. It comes and stays like any message, and looks different."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("text")
        parser.add_argument("--room", metavar="ID", help="only there; without it, to everybody")
        parser.add_argument(
            "--from", dest="sender", metavar="NAME", help="who says so; without it, the system"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        sender = user_named(options["sender"]) if options["sender"] else None
        room = room_of(options["room"]) if options["room"] else rooms.everyone()
        try:
            said = announcing.announce(
                Actor.in_the_shell(), room, options["text"], sender, uuid4()
            ).message
        except ChatError as error:
            raise CommandError(str(error)) from None
        count = announcing.recipients(room)
        people = "1 person" if count == 1 else f"{count} people"
        self.stdout.write(f"Said in {in_print(str(room))}, as its message {said.seq}, to {people}.")


def room_of(room_id: str) -> Room:
    try:
        return Room.objects.get(pk=room_id)
    except Room.DoesNotExist:
        raise CommandError(f"There is no room {room_id}.") from None
