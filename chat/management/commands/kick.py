"""`manage.py kick`: close what a user has open; their clients stay away until a person acts."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from chat import measures
from chat.audit import Actor
from chat.management.shell import PersonCommand


class Command(PersonCommand):
    help = "Close all WebSockets of a user. Who reloads the page is in again: see `ban`."

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        measures.kick(Actor.in_the_shell(), [user])
        return "is kicked"
