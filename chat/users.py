"""Users, whatever the site's AUTH_USER_MODEL is: their keys, their names, and who is called so."""

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser

from .errors import UnknownUser

UserKey = Any  # the primary key of whatever AUTH_USER_MODEL is


def username(user: AbstractBaseUser) -> str:
    return str(user.get_username())


def display_name(user: AbstractBaseUser) -> str:
    """The full name where the user model knows one."""
    full_name = getattr(user, "get_full_name", None)
    return (full_name() if full_name else "") or username(user)


def named(name: str) -> AbstractBaseUser:
    """The active user of this name, or UnknownUser."""
    model = get_user_model()
    try:
        user = model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise UnknownUser from None
    if not user.is_active:
        raise UnknownUser
    return user
