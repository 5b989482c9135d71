"""Each page and each action of the admin panel wants its own permission; no other opens it."""

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Group, Permission

from chat import duties, leases, reports
from chat.models import AuditEntry, Message
from tests.conftest import token, user
from tests.conversation import say, stored

LOOKING = {  # where one may look with a permission, and with it alone
    "vitals/": "can_view_dashboard",
    "vitals/live/": "can_view_dashboard",
    "connection/": "view_connection",
    "connection/phone/change/": "view_connection",
    "waiting/": "view_waiting",
    "message/": "view_message",
    "message/{message}/change/": "view_message",
    "message/{message}/whereabouts/": "view_message",
    "announcement/": "can_announce",
    "announcement/add/": "can_announce",
    "report/": "view_report",
    "report/{report}/change/": "view_report",
    "room/": "view_room",
    "room/{room}/change/": "view_room",
    "room/add/": "add_room",
    "membership/": "view_membership",
    "membership/{seat}/change/": "view_membership",
    "membership/add/": "add_membership",
    "access/": "view_access",
    "access/{bob}/change/": "view_access",
    "access/{bob}/ban/": "can_ban",
    "access/{bob}/mute/": "can_mute",
    "access/{bob}/unmute/": "can_mute",
    "access/{bob}/kick/": "can_kick",
    "access/{bob}/disconnect/": "can_disconnect",
    "access/{bob}/end_sessions/": "can_end_sessions",
    "access/{bob}/erase/": "can_erase",
    "connection/phone/disconnect/": "can_disconnect",
    "token/": "view_token",
    "retention/": "view_retention",
    "auditentry/": "view_auditentry",
    "auditentry/{entry}/change/": "view_auditentry",
}
ACTING = {  # what is sent there by whoever has all permissions but this one is refused
    "access/{bob}/ban/": "can_ban",
    "access/{bob}/lift_ban/": "can_ban",
    "access/{bob}/mute/": "can_mute",
    "access/{bob}/unmute/": "can_mute",
    "access/{bob}/kick/": "can_kick",
    "access/{bob}/disconnect/": "can_disconnect",
    "access/{bob}/end_sessions/": "can_end_sessions",
    "access/{bob}/export/": "can_export",
    "access/{bob}/erase/": "can_erase",
    "connection/phone/disconnect/": "can_disconnect",
    "message/{message}/read/": "can_read_private",
    "message/{message}/delete/": "delete_message",
    "announcement/add/": "can_announce",
    "report/{report}/read/": "can_read_private",
    "report/{report}/change/": "can_moderate",
    "report/{report}/reopen/": "can_moderate",
    "room/add/": "add_room",
    "room/{room}/change/": "change_room",
    "room/{room}/export/": "can_export",
    "membership/add/": "add_membership",
    "membership/{seat}/delete/": "delete_membership",
    "token/{token}/delete/": "delete_token",
    "auditentry/export/": "can_export",
}
NOBODY = [  # not even superusers
    "auditentry/add/",
    "auditentry/{entry}/delete/",
    "room/{room}/delete/",
    "message/add/",
    "access/add/",
    "access/{bob}/delete/",
    "vitals/add/",
]
OURS = Permission.objects.filter(content_type__app_label="chat")


@pytest.fixture
def place(alice, bob, kitchen):
    """Fills in an address."""
    say(alice, kitchen, "between us")
    token(bob)
    leases.begin("one", {"phone": leases.Link(bob.pk)})
    keys = {
        "message": Message.objects.get().pk,
        "report": reports.report_message(bob, kitchen.pk, 1, "Rude").pk,
        "room": quote(kitchen.pk),
        "seat": kitchen.memberships.get(user=bob).pk,
        "bob": bob.pk,
        "token": bob.chat_tokens.get().pk,
        "entry": AuditEntry.objects.create(actor_name="somebody", action="changed").pk,
    }
    return lambda page: f"/admin/chat/{page.format(**keys)}"


@pytest.fixture
def staff(client, db):
    """A browser of somebody who may do this, and nothing else."""

    def log_in(permissions):
        somebody = user("staff")
        type(somebody).objects.filter(pk=somebody.pk).update(is_staff=True)
        somebody.user_permissions.set(permissions)
        client.force_login(somebody)
        return client

    return log_in


@pytest.mark.parametrize(("page", "permission"), LOOKING.items())
def test_whoever_has_the_permission_may_look(staff, place, page, permission):
    assert staff(OURS.filter(codename=permission)).get(place(page)).status_code == 200


@pytest.mark.parametrize(("page", "permission"), LOOKING.items())
def test_whoever_has_only_the_others_may_not(staff, place, page, permission):
    others = OURS.exclude(codename__in=[permission, *_opening(permission)])
    assert staff(others).get(place(page)).status_code == 403


def _opening(permission):
    """Who may change something, as a mute does, may look at it, too."""
    changing = permission.replace("view_", "change_")
    return [changing, "can_mute"] if permission == "view_membership" else [changing]


@pytest.mark.parametrize(("page", "permission"), ACTING.items())
def test_nothing_is_done_for_whoever_lacks_the_permission(staff, place, kitchen, page, permission):
    panel = staff(OURS.exclude(codename=permission))
    address = place(page)
    before = [*stored(kitchen), *AuditEntry.objects.order_by("pk")]
    answer = {"post": "yes", "life": "1h", "reason": "why", "username": "bob", "name": "New"}
    assert panel.post(address, answer).status_code == 403
    assert [*stored(kitchen), *AuditEntry.objects.order_by("pk")] == before


@pytest.mark.parametrize("page", NOBODY)
def test_there_is_what_nobody_may_do(admin_client, place, page):
    assert admin_client.post(place(page), {"post": "yes"}).status_code == 403


def test_outsiders_are_sent_to_the_log_in_from_wherever_they_look(as_charlie, place):
    for page in (*LOOKING, *ACTING):
        answer = as_charlie.get(place(page))
        assert (answer.status_code, "/admin/login/" in answer.url) == (302, True), page


def test_what_outsiders_send_is_not_even_looked_at(as_charlie, place, kitchen):
    entries = AuditEntry.objects.count()
    for page in ACTING:
        assert as_charlie.post(place(page), {"post": "yes"}).status_code == 302, page
    assert AuditEntry.objects.count() == entries
    assert stored(kitchen)[0].body == "between us"


@pytest.mark.parametrize("name", duties.GROUPS)
def test_each_group_sees_its_pages_and_no_others(client, place, bob, charlie, name):
    duties.establish()
    type(charlie).objects.filter(pk=charlie.pk).update(is_staff=True)
    charlie.groups.set(Group.objects.filter(name=name))
    client.force_login(charlie)
    for page, permission in LOOKING.items():
        may = permission in duties.GROUPS[name]
        may |= permission.replace("view_", "change_") in duties.GROUPS[name]
        assert client.get(place(page)).status_code == (200 if may else 403), page
