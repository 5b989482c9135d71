"""`manage.py end_sessions`: log a user out everywhere."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from chat import measures
from chat.audit import Actor
from chat.doctor.findings import number
from chat.management.shell import PersonCommand


class Command(PersonCommand):
    help = "End all sessions, tokens and connections of a user, who may log in again."

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        ended = number(measures.end_sessions(Actor.in_the_shell(), [user]), "session")
        return f"is logged out: {ended} and all tokens have ended"
