"""Who gave whom which permission is in the audit log, and no password is."""

import pytest
from django.contrib.auth.models import Group, Permission

from chat.models import AuditEntry

SECRET = "correct horse battery staple"
NEW = {"password1": SECRET, "password2": SECRET, "usable_password": "true"}


def entry():
    """The newest one, which tells no password and no hash of one."""
    found = AuditEntry.objects.latest("pk")
    told = f"{found.before} {found.after} {found.comment} {found.label}"
    assert SECRET not in told
    assert "$" not in told
    return found


def fields(user, **changes):
    joined = user.date_joined
    return {
        "username": user.username,
        "date_joined_0": f"{joined:%Y-%m-%d}",
        "date_joined_1": f"{joined:%H:%M:%S}",
        "is_active": "on",
        **changes,
    }


def test_a_permission_that_somebody_is_given_is_written_down(admin_client, bob):
    may_ban = Permission.objects.get(codename="can_ban")
    place = f"/admin/auth/user/{bob.pk}/change/"
    changes = fields(bob, is_staff="on", user_permissions=[may_ban.pk])
    assert admin_client.post(place, changes).status_code == 302
    found = entry()
    assert (found.action, found.kind, found.key) == ("changed", "user", str(bob.pk))
    assert (found.before["is_staff"], found.after["is_staff"]) == (False, True)
    assert found.before["user_permissions"] == []
    assert "Can ban people" in found.after["user_permissions"][0]


def test_what_a_group_may_do_from_now_on_is_written_down(admin_client):
    group = Group.objects.create(name="Helpers")
    may_ban = Permission.objects.get(codename="can_ban")
    changes = {"name": "Helpers", "permissions": [may_ban.pk]}
    admin_client.post(f"/admin/auth/group/{group.pk}/change/", changes)
    assert "Can ban people" in entry().after["permissions"][0]
    admin_client.post(f"/admin/auth/group/{group.pk}/delete/", {"post": "yes"})
    assert (entry().action, entry().label) == ("removed", "Helpers")


def test_that_somebody_has_another_password_is_written_down_and_not_which(admin_client, bob):
    admin_client.post(f"/admin/auth/user/{bob.pk}/password/", NEW)
    found = entry()
    assert (found.action, found.label, found.after) == ("changed", "bob", {"password": "***"})
    bob.refresh_from_db()
    assert bob.check_password(SECRET)


def test_a_new_user_is_written_down_without_a_password(admin_client):
    admin_client.post("/admin/auth/user/add/", {"username": "dora", **NEW})
    found = entry()
    assert (found.action, found.label, found.after["username"]) == ("added", "dora", "dora")


@pytest.mark.django_db(transaction=True)
def test_no_password_is_changed_that_could_not_be_written_down(admin_client, bob, monkeypatch):
    def full(*args, **kwargs):
        raise RuntimeError("full")

    monkeypatch.setattr("chat.audit.record", full)
    with pytest.raises(RuntimeError):
        admin_client.post(f"/admin/auth/user/{bob.pk}/password/", NEW)
    bob.refresh_from_db()
    assert not bob.check_password(SECRET)
