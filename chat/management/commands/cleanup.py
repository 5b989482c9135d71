"""`manage.py cleanup`: clear away what has run out."""

from typing import Any

from django.core.management.base import CommandParser

from chat import leftovers
from chat.management.shell import ShellCommand


class Command(ShellCommand):
    help = "Remove tokens, tickets and sessions that have expired, and leases of dead workers."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only say what would go")
        parser.add_argument("--quiet", action="store_true", help="say nothing unless it goes wrong")

    def handle(self, *args: Any, **options: Any) -> None:
        found = leftovers.leftovers() if options["dry_run"] else leftovers.remove()
        verb = "would be removed" if options["dry_run"] else "removed"
        for what, count in found:
            if not options["quiet"]:
                self.stdout.write(f"{what}: {count:,} {verb}")
