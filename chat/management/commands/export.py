"""`manage.py export`: hand out the audit log, what was said in a room, or all about a person."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from chat import export
from chat.audit import Actor
from chat.export import Export, Format
from chat.management.shell import ShellCommand, user_named
from chat.models import Room


class Command(ShellCommand):
    help = "Write the audit log, what was said in a room, or all that is known of a person."

    def add_arguments(self, parser: ArgumentParser) -> None:
        kinds = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
        person = kinds.add_parser("person", help="all that is known of somebody, as JSON lines")
        person.add_argument("name", help="the username")
        room = kinds.add_parser("room", help="what was said in a room")
        room.add_argument("id")
        log = kinds.add_parser("audit", help="the audit log")
        for kind in (room, log):
            kind.add_argument("--format", choices=[*Format], default=Format.JSONL)
        for kind in (person, room, log):
            kind.add_argument(
                "--output", type=Path, metavar="FILE", help="a new one, for nobody else to read"
            )

    def handle(self, *args: Any, **options: Any) -> None:
        pieces = export.lines(_asked(options), options.get("format", Format.JSONL))
        if options["output"] is None:
            for piece in pieces:
                self.stdout.write(piece.decode(), ending="")
            return
        try:
            options["output"].touch(mode=0o600, exist_ok=False)
            with options["output"].open("wb") as file:
                file.writelines(pieces)
        except OSError as error:
            raise CommandError(f"{options['output']}: {error.strerror}.") from None


def _asked(options: dict[str, Any]) -> Export:
    actor = Actor.in_the_shell()
    match options["what"]:
        case "person":
            return export.person(actor, user_named(options["name"]), private=True)
        case "room":
            room = Room.objects.filter(pk=options["id"]).first()
            if room is None:
                raise CommandError(f"There is no room {options['id']}.")
            return export.messages(actor, room)
        case _:
            return export.audit_log(actor)
