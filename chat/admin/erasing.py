"""Erasing a person: says what will go, asks for the name, and goes on until it is done."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

import time
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import erasure
from ..audit import Actor
from ..errors import Forbidden
from ..users import username
from .pages import own_page, protection

PATIENCE = 5.0  # seconds that one request takes; many messages take several


class Erasing(admin.ModelAdmin):
    """Of people: `<pk>/erase/`."""

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.erase_view)
        return [
            path("<path:object_id>/erase/", view, name="chat_access_erase"),
            *super().get_urls(),
        ]

    def has_erase_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("chat.can_erase")

    def erase_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        if not self.has_erase_permission(request):
            raise PermissionDenied  # whether there is such a person or not
        person = self.get_object(request, unquote(object_id))
        if person is None:
            raise Http404
        user = person.user
        untouchable, why_not = protection(request, user), ""
        if request.method == "POST":
            if untouchable:
                raise PermissionDenied
            if not (why_not := _begin(request, user)):
                return self._go_on(request, user)
        context = {
            "person": person,
            "name": username(user),
            "untouchable": untouchable,
            "why_not": why_not,
            "has_begun": erasure.has_begun(user),
            "extent": erasure.extent(user),
        }
        title = _("Erase %s") % username(user)
        return own_page(self, request, "access/erase", title, context)

    def _go_on(self, request: HttpRequest, user: AbstractBaseUser) -> HttpResponse:
        deadline = time.monotonic() + PATIENCE
        for _batch in erasure.take_back(user):
            if time.monotonic() > deadline:
                return redirect("admin:chat_access_erase", quote(user.pk))
        erasure.finish(user)
        told = gettext("Erased. They are called %s now.") % username(user)
        self.message_user(request, told, messages.SUCCESS)
        may_view = self.has_view_permission(request)
        return redirect(
            reverse("admin:chat_access_change", args=[quote(user.pk)])
            if may_view
            else reverse("admin:index")
        )


def _begin(request: HttpRequest, user: AbstractBaseUser) -> str:
    """Why not."""
    if erasure.has_begun(user):
        return ""
    if request.POST.get("username", "") != username(user):
        return gettext("This is not their username. Nothing was done.")
    try:
        erasure.begin(Actor.of(request), user)
    except Forbidden:
        return gettext("The last superuser cannot be erased.")
    return ""
