"""Users who are a danger: those of the demo, and superusers whom nobody needs."""

from collections.abc import Iterator
from datetime import timedelta

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password
from django.db.models import Q
from django.db.models.functions import Now

from ..management.commands.demo import PASSWORDS
from .findings import Finding, doubtful, number, ok, wrong

FORGOTTEN = timedelta(days=180)


def look() -> Iterator[Finding]:
    if not settings.DEBUG:
        yield from _demo_users()
    if _knows_superusers():
        yield from _superusers()


def _demo_users() -> Iterator[Finding]:
    model = get_user_model()
    known = {f"{model.USERNAME_FIELD}__in": list(PASSWORDS)}
    found = [
        user.get_username()
        for user in model._default_manager.filter(**known)
        if check_password(PASSWORDS[user.get_username()], user.password)  # which writes nothing
    ]
    if found:
        yield wrong(
            f"{', '.join(sorted(found))} of the demo have the passwords that everybody knows.",
            "Give each another one (manage.py changepassword NAME), or switch them off in /admin/.",
        )
    else:
        yield ok("No user of the demo has the password that everybody knows.")


def _knows_superusers() -> bool:
    fields = {field.name for field in get_user_model()._meta.get_fields()}
    return {"is_superuser", "is_active", "last_login"} <= fields


def _superusers() -> Iterator[Finding]:
    model = get_user_model()
    active = model._default_manager.filter(is_superuser=True, is_active=True)
    forgotten = active.filter(Q(last_login=None) | Q(last_login__lt=Now() - FORGOTTEN))
    names = [user.get_username() for user in forgotten.order_by("pk")[:10]]
    if names:
        yield doubtful(
            f"Superusers who have not logged in for {FORGOTTEN.days} days, or never:"
            f" {', '.join(names)}.",
            "Switch off in /admin/ whoever is not needed: they may read and change everything.",
        )
    elif count := active.count():
        yield ok(f"{number(count, 'superuser')}, and none is forgotten.")
    else:
        yield ok("Nobody may enter /admin/; manage.py createsuperuser makes somebody who may.")
