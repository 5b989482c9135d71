"""What management commands have in common: people, times, and what may be away or in the way."""

import os
import re
import sys
from abc import abstractmethod
from argparse import ArgumentParser, ArgumentTypeError
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.management.base import BaseCommand, CommandError
from django.db import Error, connection

from chat.complaints import in_words
from chat.control import WHY_CHARS
from chat.database import is_outage, out_of_the_pool

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


class ShellCommand(BaseCommand):
    """Says in one line that the database does not answer, or what cannot be asked about."""

    def execute(self, *args: Any, **options: Any) -> None:
        if connection.connection is None:  # a pool would try for long, and not say why
            out_of_the_pool()
        try:
            super().execute(*args, **options)
            self.stdout.flush()
        except UnicodeEncodeError as error:
            raise CommandError(f"This is no text: {error.object!r}.") from None
        except BrokenPipeError:  # whoever read it, like `head`, has read enough
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self.stdout.fileno())  # for what Python has yet to flush
            sys.exit(1)
        except Error as error:
            told = in_words(error)
            raise CommandError(
                f"The database is busy or away ({told}): run it again."
                if is_outage(error)
                else f"The database cannot do that ({told}): manage.py doctor says why."
            ) from None


class PersonCommand(ShellCommand):
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


def in_print(text: str) -> str:
    """What users call themselves and their rooms must not move an operator's cursor."""
    shown = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return "".join(shown)


def duration(text: str) -> timedelta:
    """Of an option: `90s`, `10m`, `1h`, `30d` or `2w`. ArgumentTypeError."""
    if not (match := re.fullmatch(r"0*([1-9]\d{0,4})([smhdw])", text)):
        raise ArgumentTypeError("write it like 90s, 10m, 36h, 90d or 12w")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def reason(text: str) -> str:
    """Of an option: why somebody is kept out. ArgumentTypeError."""
    if len(text) > WHY_CHARS:
        raise ArgumentTypeError(f"at most {WHY_CHARS} characters")
    return text
