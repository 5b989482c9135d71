"""`manage.py new_epoch`: part of restoring a backup."""

from typing import Any

from chat import pulse
from chat.management.shell import ShellCommand


class Command(ShellCommand):
    help = (
        "Begin a new life of the database, after a backup was restored: all clients load their"
        " rooms anew, and send again what they could not send."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(
            f"The epoch is now {pulse.new_epoch()}. Workers that run find it within a second: all"
            " clients come back, load their rooms anew, and send again, with the same ids, what"
            " had not been acknowledged. Nobody has to restart anything."
        )
