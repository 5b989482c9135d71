"""`manage.py unban`: let somebody in again."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from chat import control
from chat.management.shell import PersonCommand


class Command(PersonCommand):
    help = "Lift a ban."

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        control.ban(user, None)
        return "may come in"
