"""Ready-made groups of those who run the site, each with the permissions that its duties need.

`migrate` makes the ones that are missing; what a site has changed in one, it leaves as it is.
"""

from django.contrib.auth.models import Group, Permission

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


def establish(**_: object) -> None:
    """Make the groups that are missing: after `migrate`, which has made the permissions."""
    for name, codenames in GROUPS.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            group.permissions.set(
                Permission.objects.filter(content_type__app_label="chat", codename__in=codenames)
            )
