"""`manage.py disconnect`: close connections, wherever they are; their clients come back."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from chat import measures
from chat.audit import Actor
from chat.management.shell import ShellCommand, user_named


class Command(ShellCommand):
    help = "Close WebSockets on any worker, within about a second. Their clients connect again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "connection",
            nargs="*",
            default=[],
            help="its key in `connections`",
        )
        which.add_argument("--user", metavar="NAME", help="all of this user")
        which.add_argument("--everybody", action="store_true", help="all there are")

    def handle(self, *args: Any, **options: Any) -> None:
        actor = Actor.in_the_shell()
        if options["everybody"]:
            measures.disconnect_everybody(actor)
            self.stdout.write("Every connection is being closed.")
        elif options["user"] is not None:
            measures.disconnect_people(actor, [user_named(options["user"])])
            self.stdout.write(f"Every connection of {options['user']} is being closed.")
        else:
            asked = set(options["connection"])
            if (count := measures.disconnect(actor, asked)) < len(asked):
                raise CommandError(f"{len(asked) - count} of {len(asked)} are not open (any more).")
            self.stdout.write(f"{count} being closed.")
