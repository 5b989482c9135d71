"""The admin panel's front page: the chat first, in the order in which those who run it look."""

from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.apps import AdminConfig
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

ORDER = [
    *("Vitals", "Connection", "Waiting", "Message", "Announcement", "Report"),
    *("Room", "Membership", "Access", "Token", "Retention", "AuditEntry"),
]


class Panel(AdminSite):
    site_header = _("Roost admin")
    site_title = _("Roost admin")
    index_title = _("Overview")

    def get_app_list(self, request: HttpRequest, app_label: str | None = None) -> list[Any]:
        apps = super().get_app_list(request, app_label)
        for app in apps:
            if app["app_label"] == "chat":
                app["models"].sort(key=_turn)
        return sorted(apps, key=lambda app: app["app_label"] != "chat")  # the others as they were


def _turn(model: dict[str, Any]) -> int:
    name = model["object_name"]
    return ORDER.index(name) if name in ORDER else len(ORDER)


class PanelConfig(AdminConfig):
    """Django's own, with this site in the place of its own."""

    default_site = "project.panel.Panel"
