"""`manage.py erase`: take somebody out of the chat for good, with all that they said."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management.base import CommandError

from chat import erasure
from chat.audit import Actor
from chat.errors import Forbidden
from chat.management.shell import PersonCommand
from chat.users import username


class Command(PersonCommand):
    help = (
        "Leave empty tombstones of all messages of a user, take their seats, their name and their"
        " password away. It cannot be undone. It may be stopped at any moment, and begun again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would go, and let it be"
        )
        parser.add_argument(
            "--no-input", dest="asks", action="store_false", help="do it without asking"
        )

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        extent = erasure.extent(user)
        told = f"{extent.messages:,} messages{' or more' if extent.has_more else ''}"
        told += f", {extent.seats:,} rooms, {extent.reports:,} reports"
        if options["dry_run"]:
            return f"would be erased: {told}"
        if options["asks"]:
            self._ask(username(user), told)
        try:
            erasure.begin(Actor.in_the_shell(), user)
        except Forbidden as error:
            raise CommandError(str(error)) from None
        self.stdout.write(
            f"Nobody comes in as {options['name']} any more. To go on if this is stopped:"
        )
        self.stdout.write(f"    manage.py erase {username(user)}")
        count = sum(erasure.take_back(user))
        erasure.finish(user)
        return f"is erased, with {count:,} messages: {username(user)}"

    def _ask(self, name: str, told: str) -> None:
        self.stdout.write(f"{name}: {told}. This cannot be undone.")
        try:
            answer = input("Type the username to erase them: ")
        except EOFError:
            answer = ""
        if answer != name:
            raise CommandError("Nothing was done.")
