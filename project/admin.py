"""The site's users and groups in the admin panel: their changes are in the audit log, too."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from django.contrib import admin
from django.contrib.auth import admin as auth
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.http import HttpRequest, HttpResponse

from chat.admin.pages import Audited

admin.site.unregister([User, Group])


@admin.register(User)
class UserAdmin(Audited, auth.UserAdmin):
    def user_change_password(
        self, request: HttpRequest, id: str, form_url: str = ""
    ) -> HttpResponse:
        with transaction.atomic():  # with its entry
            answer: HttpResponse = super().user_change_password(request, id, form_url)
        return answer


@admin.register(Group)
class GroupAdmin(Audited, auth.GroupAdmin):
    pass
