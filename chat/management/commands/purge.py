"""`manage.py purge`: let go of what was said long ago."""

from contextlib import suppress
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error

from chat import conf, retention
from chat.complaints import in_words
from chat.management.people import duration
from chat.models import Room


class Command(BaseCommand):
    help = (
        "Empty the messages that are older than this; their numbers stay. It may be stopped at any"
        " moment, and begun again; people go on writing meanwhile."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than", default="", help="like 90d, 12w or 36h; otherwise CHAT_KEEP_DAYS"
        )
        parser.add_argument(
            "--room", action="append", metavar="ID", help="only this; may be repeated"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would go, and let it be"
        )
        parser.add_argument("--quiet", action="store_true", help="say nothing unless it goes wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        age = _age(options["older_than"]) if options["older_than"] else _kept()
        room_ids = options["room"]
        if room_ids and (unknown := {*room_ids} - {*_known(room_ids)}):
            raise CommandError(f"There is no room {', '.join(sorted(unknown))}.")
        say = (lambda _: None) if options["quiet"] else self.stdout.write
        done = "would go" if options["dry_run"] else "are gone"
        if age is None:
            say("CHAT_KEEP_DAYS is 0: everything is kept. Say --older-than 90d to let go of more.")
            return
        count = size = 0
        try:
            for purged in retention.purge(age, room_ids, dry_run=options["dry_run"]):
                count, size = count + purged.messages, size + purged.bytes
                told = f"{purged.messages:,} messages, {purged.bytes:,} bytes"
                say(f"{purged.room} ({purged.room_id}): {told}")
        except Error as error:
            raise CommandError(
                f"The database is busy or away ({in_words(error)}): run it again."
            ) from None
        say(f"{count:,} messages of {size:,} bytes {done}.")


def _age(text: str) -> timedelta:
    with suppress(ValueError):
        if age := duration(text):
            return age
    raise CommandError("Say how old: --older-than 90d, 12w or 36h.")


def _kept() -> timedelta | None:
    return timedelta(days=days) if (days := conf.keep_days()) else None


def _known(room_ids: list[str]) -> list[str]:
    return list(Room.objects.filter(pk__in=room_ids).values_list("pk", flat=True))
