"""`manage.py announcement`: tell everybody, or those in a room, as those who run the site."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from chat import messaging, rooms
from chat.errors import ChatError, NotFound
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
        room_id = options["room"] or rooms.everyone().pk
        try:
            message = messaging.proclaim(room_id, options["text"], sender)
        except NotFound:
            raise CommandError(f"There is no room {room_id}.") from None
        except ChatError as error:
            raise CommandError(str(error)) from None
        room = Room.objects.get(pk=room_id)
        self.stdout.write(f"Said in {in_print(str(room))}, as its message {message.seq}.")
