"""Who may log in, in production."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest

DEMO_PASSWORDS = ("demo", "admin")  # of `manage.py demo`; too short to be anybody's own


class NoDemoUsers(ModelBackend):
    """A database that was tried out with DEBUG on may have become the real one."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        user = super().authenticate(request, username, password, **kwargs)
        return None if password in DEMO_PASSWORDS else user
