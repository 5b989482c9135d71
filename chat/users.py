"""Users, whatever the site's AUTH_USER_MODEL is: their keys, their names, and who is called so."""

from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet

from .errors import UnknownUser

UserKey = Any  # the primary key of whatever AUTH_USER_MODEL is


def username(user: AbstractBaseUser) -> str:
    return str(user.get_username())


def display_name(user: AbstractBaseUser) -> str:
    """The full name where the user model knows one."""
    full_name = getattr(user, "get_full_name", None)
    return (full_name() if full_name else "") or username(user)


def knows_activity() -> bool:
    """Whether the database does: a model without the field has only active users."""
    return any(field.name == "is_active" for field in get_user_model()._meta.get_fields())


def active() -> QuerySet[Any]:
    """Those who may log in; a site's own model may know of no others."""
    model = get_user_model()
    everybody = model._default_manager.all()
    return everybody.filter(is_active=True) if knows_activity() else everybody


def inactive() -> QuerySet[Any]:
    """Those who may not: as a rule the few."""
    everybody = get_user_model()._default_manager.all()
    return everybody.filter(is_active=False) if knows_activity() else everybody.none()


def named(name: str) -> AbstractBaseUser:
    """The active user of this name, or UnknownUser."""
    user = known(name)
    if not user.is_active:
        raise UnknownUser
    return user


def known(name: str) -> AbstractBaseUser:
    """The user of this name, active or not, or UnknownUser."""
    model = get_user_model()
    try:
        return model._default_manager.get_by_natural_key(name)
    except model.DoesNotExist:
        raise UnknownUser from None


def all_named(names: Iterable[str]) -> list[AbstractBaseUser]:
    """All of them, each once; UnknownUser says who is not."""
    found = {name: _named(name) for name in names}
    if unknown := [name for name, user in found.items() if user is None]:
        raise UnknownUser(f"There is nobody of this name: {', '.join(unknown)}.")
    return [user for user in found.values() if user is not None]


def _named(name: str) -> AbstractBaseUser | None:
    try:
        return named(name)
    except UnknownUser:
        return None
