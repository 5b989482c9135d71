"""`manage.py unban`: let somebody in again."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from chat import measures
from chat.audit import Actor
from chat.management.shell import PersonCommand


class Command(PersonCommand):
    help = "Lift a ban."

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        measures.lift_ban(Actor.in_the_shell(), [user])
        return "may come in"
