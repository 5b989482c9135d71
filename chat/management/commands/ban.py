"""`manage.py ban`: keep somebody out, for a while or for good."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from chat import measures
from chat.audit import Actor
from chat.control import FOR_GOOD
from chat.management.shell import PersonCommand, duration, reason


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
        parser.add_argument(
            "--reason",
            type=reason,
            default="",
            metavar="TEXT",
            help="for those who run the site: the user is not told",
        )

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        until = timezone.now() + options["life"]
        measures.ban(Actor.in_the_shell(), [user], until, options["reason"])
        if options["life"] == FOR_GOOD:
            return "is banned for good"
        return f"is banned until {until:%Y-%m-%d %H:%M:%S} UTC"
