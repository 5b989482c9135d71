"""People, as far as they are the chat's, and what their programs come in with."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from .. import control
from ..models import Access, Token
from .exports import Exporting
from .pages import USERNAME, Lasting, Unchangeable


@admin.register(Access)
class AccessAdmin(Exporting, Lasting):
    list_display = ["user", "version", "banned_until"]
    list_select_related = ["user"]
    list_filter = [("banned_until", admin.EmptyFieldListFilter)]
    search_fields = [f"user__{USERNAME}"]
    fields = ["user", "version", "banned_until"]
    readonly_fields = ["user", "version"]

    def save_model(self, request: HttpRequest, obj: Access, form: Any, change: bool) -> None:
        control.ban(obj.user, obj.banned_until)


@admin.register(Token)
class TokenAdmin(Unchangeable):
    """Deleting one ends what was opened with it. The secrets are known to nobody."""

    list_display = ["user", "kind", "created_at", "expires_at"]
    list_filter = ["kind"]
    list_select_related = ["user"]
    search_fields = [f"user__{USERNAME}__exact"]
    fields = ["user", "kind", "created_at", "expires_at"]
