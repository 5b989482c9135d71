"""`manage.py end_sessions`: log a user out everywhere."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from chat import control
from chat.management.shell import PersonCommand


class Command(PersonCommand):
    help = "End all sessions, tokens and connections of a user, who may log in again."

    def act(self, user: AbstractBaseUser, options: dict[str, Any]) -> str:
        sessions = control.end_sessions(user)
        return f"is logged out: {sessions} sessions and all tokens have ended"
