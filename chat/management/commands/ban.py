"""`manage.py ban`: keep somebody out, for a while or for good."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from chat import control
from chat.management.shell import PersonCommand, duration

FOR_GOOD = timedelta(days=36_500)


class Command(PersonCommand):
    help = "Close all WebSockets of a user, and let none in until the ban ends."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--for",
            dest="life",
            type=duration,
            default=FOR_GOOD,
            metavar="TIME",
            help="like 90s, 10m, 1h, 30d or 2w; without it, for good",
        )

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        until = timezone.now() + options["life"]
        control.ban(user, until)
        if options["life"] == FOR_GOOD:
            return "is banned for good"
        return f"is banned until {until:%Y-%m-%d %H:%M:%S} UTC"
