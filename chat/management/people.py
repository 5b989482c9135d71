"""What management commands about people have in common."""

import re
from abc import abstractmethod
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class PersonCommand(BaseCommand):
    """Does something to one user, and says what."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the username")

    def handle(self, *args: Any, **options: Any) -> None:
        said = self.act(user_named(options["name"]), options)
        self.stdout.write(f"{options['name']} {said}.")

    @abstractmethod
    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        """What is true of the user now."""


def user_named(name: str) -> AbstractBaseUser:
    """Also one who is not active any more. CommandError."""
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise CommandError(f"There is no user {name!r}.") from None


def duration(text: str) -> timedelta:
    """Of an option: `90s`, `10m`, `1h`, `30d` or `2w`. ValueError."""
    if not (match := re.fullmatch(r"(\d{1,5})([smhdw])", text)):
        raise ValueError
    return timedelta(**{UNITS[match[2]]: int(match[1])})
