"""Ready-made groups of those who run the site, each with the permissions that its duties need.

`migrate` makes the ones that are missing; what a site has changed in one, it leaves as it is.
"""

from django.apps import apps as installed
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import DEFAULT_DB_ALIAS, router

GROUPS = {
    "Chat moderators": [
        *("view_room", "view_membership", "view_message", "view_access", "view_connection"),
        *("view_report", "can_moderate", "can_read_private", "delete_message"),
        *("can_mute", "can_ban", "can_kick", "can_disconnect"),
    ],
    "Chat operators": [
        *("can_view_dashboard", "view_connection", "view_waiting", "view_message", "view_access"),
        *("view_room", "add_room", "change_room"),
        *("view_membership", "add_membership", "change_membership", "delete_membership"),
        *("can_disconnect", "can_kick", "can_end_sessions", "can_mute", "can_ban"),
        *("view_token", "delete_token", "can_announce"),
        *("view_retention", "view_purge", "can_set_retention"),
    ],
    "Chat auditors": [
        *("can_view_dashboard", "view_connection", "view_waiting", "view_message", "view_access"),
        *("view_room", "view_membership", "view_report", "view_token"),
        *("view_retention", "view_purge", "view_auditentry", "can_export"),
    ],
}


def establish(*, using: str = DEFAULT_DB_ALIAS, apps: Apps = installed, **_: object) -> None:
    """Make the groups that are missing: after `migrate`, unless it has not come as far as that."""
    if not (_are_there(apps) and router.allow_migrate_model(using, Group)):
        return
    # Django makes them, too, but later if the site names its app of users after this one.
    create_permissions(installed.get_app_config("chat"), verbosity=0, using=using, apps=apps)
    known = Permission.objects.using(using).filter(content_type__app_label="chat")
    for name, codenames in GROUPS.items():
        group, is_new = Group.objects.using(using).get_or_create(name=name)
        if is_new:
            group.permissions.set(known.filter(codename__in=codenames))


def _are_there(apps: Apps) -> bool:
    """Groups, and all permissions: some migrate an app at a time, or back."""
    try:
        return bool(apps.get_model("auth", "Group") and apps.get_model("chat", "Vitals"))
    except LookupError:
        return False
