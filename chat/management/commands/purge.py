"""`manage.py purge`: let go of what was said long ago."""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from chat import retention
from chat.audit import Actor
from chat.management.shell import ShellCommand, duration, in_print
from chat.models import Room


class Command(ShellCommand):
    help = (
        "Empty the messages that are older than this; their numbers stay. It may be stopped at any"
        " moment, and begun again; people go on writing meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=duration,
            metavar="AGE",
            help="like 90d, 12w or 36h; otherwise as rooms, the panel or CHAT_KEEP_DAYS say",
        )
        parser.add_argument(
            "--room",
            action="append",
            metavar="ID",
            help="only this, even if kept for ever; may be repeated",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would go, and let it be"
        )
        parser.add_argument("--quiet", action="store_true", help="say nothing unless it goes wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        age = options["older_than"]
        room_ids = options["room"]
        if room_ids and (unknown := {*room_ids} - {*_known(room_ids)}):
            raise CommandError(f"There is no room {', '.join(sorted(unknown))}.")
        say = (lambda _: None) if options["quiet"] else self.stdout.write
        done = "would go" if options["dry_run"] else "are gone"
        if age is None and not retention.terms(retention.site_days()):
            say("CHAT_KEEP_DAYS is 0: everything is kept. Say --older-than 90d to let go of more.")
            return
        count = size = 0
        actor, dry_run = Actor.in_the_shell(), options["dry_run"]
        for purged in retention.purge(age, room_ids, dry_run=dry_run, actor=actor):
            count, size = count + purged.messages, size + purged.bytes
            told = f"{purged.messages:,} messages, {purged.bytes:,} bytes"
            say(f"{in_print(purged.room)} ({purged.room_id}): {told}")
        say(f"{count:,} messages of {size:,} bytes {done}.")


def _known(room_ids: list[str]) -> list[str]:
    return list(Room.objects.filter(pk__in=room_ids).values_list("pk", flat=True))
