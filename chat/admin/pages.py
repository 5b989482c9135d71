"""What pages of the panel have in common: who may do what there, and how rows are found."""

# mypy: disable-error-code="type-arg"
# Django's admin is generic only in its stubs.

from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import AdminForm
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from .. import audit
from ..audit import Action, Actor

USERNAME = get_user_model().USERNAME_FIELD


class Audited(admin.ModelAdmin):
    """Whose forms are written down in the audit log: what stood in them before, and now."""

    def construct_change_message(
        self, request: HttpRequest, form: Any, formsets: Any, add: bool = False
    ) -> Any:
        # Called in the form's transaction once all of it is saved; nothing else sees both.
        if add or form.changed_data:
            shown = [name for name in form.changed_data if "password" not in name]
            before = {name: _told(form.initial.get(name)) for name in shown}
            after = {name: _told(form.cleaned_data.get(name)) for name in shown}
            if shown != form.changed_data:
                after |= {"password": "***"}  # nothing is told of it but that there is another one
            audit.record(
                Actor.of(request),
                Action.ADDED if add else Action.CHANGED,
                form.instance if hasattr(form, "instance") else form.user,  # of a new password
                before=None if add else before,
                after=after,
            )
        return super().construct_change_message(request, form, formsets, add)

    def log_deletions(self, request: HttpRequest, queryset: Any) -> Any:
        for row in queryset:
            audit.record(Actor.of(request), Action.REMOVED, row)
        return super().log_deletions(request, queryset)


def _told(value: Any) -> Any:
    """As JSON can hold it."""
    if isinstance(value, (QuerySet, list, tuple, set)):
        return [_told(one) for one in value]
    return str(value) if isinstance(value, Model) else value


class MadeByChat(admin.ModelAdmin):
    show_full_result_count = False  # would count every row, on every page

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False


class Unchangeable(MadeByChat):
    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class Lasting(MadeByChat):
    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class ByRoomOrPerson(admin.ModelAdmin):
    """Rows that may be millions, found by two indexes; Django's own search would read them all."""

    person = "user"
    search_fields = ["room"]  # shows the field; what is searched stands below
    search_help_text = _("The id of a room, or a username")
    show_full_result_count = False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if search_term:
            people = get_user_model()._default_manager.filter(**{USERNAME: search_term})
            keys = list(people.values_list("pk", flat=True))
            queryset = queryset.filter(Q(room=search_term) | Q(**{f"{self.person}__in": keys}))
        return queryset, False


def own_page(
    panel: admin.ModelAdmin,
    request: HttpRequest,
    name: str,
    title: Any,
    context: dict[str, Any],
    *,
    status: int = 200,
) -> TemplateResponse:
    """A page that Django's admin does not have, in the same surroundings."""
    request.current_app = panel.admin_site.name
    around = {**panel.admin_site.each_context(request), "opts": panel.opts, "title": title}
    return TemplateResponse(request, f"admin/chat/{name}.html", around | context, status=status)


def laid_out(form: Any) -> AdminForm:
    """As Django lays out its own forms, by fieldset.html."""
    return AdminForm(form, [(None, {"fields": list(form.fields)})], {})


def protection(request: HttpRequest, person: Any) -> str:
    """Why whoever asks can neither kick nor ban, log out nor erase this person; "" if they can."""
    if person.pk == request.user.pk:
        return gettext("You cannot do this to yourself.")
    if getattr(person, "is_superuser", False) and not getattr(request.user, "is_superuser", False):
        return gettext("Only a superuser can do this to a superuser.")
    return ""


def link(found: Model | None) -> str:
    """To where it is looked at; a site need not have its users there."""
    if found is None:
        return "-"
    meta = found._meta
    try:
        place = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[quote(found.pk)])
    except NoReverseMatch:
        return str(found)
    return format_html('<a href="{}">{}</a>', place, found)


def person_link(user: AbstractBaseUser | None) -> str:
    """To what the chat knows of them: those who look after it need not see the site's users."""
    if user is None:
        return "-"
    place = reverse("admin:chat_access_change", args=[quote(user.pk)])
    return format_html('<a href="{}">{}</a>', place, user)
