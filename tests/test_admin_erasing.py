"""A person is erased from the panel by who may, once their name was typed, and in turns."""

from unittest.mock import patch

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from chat import erasure
from chat.models import AuditEntry, Membership
from tests.conversation import bodies, say_much, stored


def page(user):
    return f"/admin/chat/access/{user.pk}/erase/"


def person(user):
    return f"/admin/chat/access/{user.pk}/change/"


@pytest.fixture
def panel(admin_client):
    return admin_client


def as_staff(client, user, *codenames):
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


def test_it_says_what_will_go_and_asks_for_the_name(panel, alice, kitchen, lobby):
    say_much(alice, kitchen, 3)
    answer = panel.get(page(alice))
    assertContains(answer, "3 messages")
    assertContains(answer, "2 seats")
    assertContains(answer, "Type alice")
    assertContains(panel.get(person(alice)), page(alice))


def test_who_typed_the_name_has_erased_them(panel, alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    assertRedirects(panel.post(page(alice), {"username": "alice"}), person(alice))
    assert bodies(stored(kitchen)) == ["", "", ""]
    alice.refresh_from_db()
    assert alice.username == f"erased-{alice.pk}"
    assert not Membership.objects.filter(user=alice).exists()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name, entry.label) == ("erased", "admin", "alice")


@pytest.mark.parametrize("typed", ["", "bob", "Alice", "alice "])
def test_another_name_erases_nobody(panel, alice, kitchen, typed):
    assertContains(panel.post(page(alice), {"username": typed}), "Nothing was done")
    alice.refresh_from_db()
    assert alice.is_active
    assert not AuditEntry.objects.exists()


def test_what_takes_long_goes_on_with_the_next_request(panel, alice, kitchen, monkeypatch):
    monkeypatch.setattr("chat.admin.erasing.PATIENCE", -1)
    monkeypatch.setattr(erasure, "BATCH", 2)
    say_much(alice, kitchen, 3)
    assertRedirects(panel.post(page(alice), {"username": "alice"}), page(alice))
    answer = panel.get(page(alice))
    assertContains(answer, "1 message:")
    assertContains(answer, f"manage.py erase erased-{alice.pk}")
    panel.post(page(alice))
    assertRedirects(panel.post(page(alice)), person(alice))
    assert bodies(stored(kitchen)) == [""] * 3
    assert not Membership.objects.filter(user=alice).exists()
    assert AuditEntry.objects.filter(action="erased").count() == 1


def test_the_last_superuser_is_told_of(client, panel, admin_user, alice):
    get_user_model().objects.filter(pk=alice.pk).update(is_superuser=True, is_staff=True)
    client.force_login(alice)
    with patch("chat.users.active", return_value=get_user_model().objects.none()):
        answer = client.post(page(admin_user), {"username": "admin"})
    assertContains(answer, "last superuser")
    admin_user.refresh_from_db()
    assert admin_user.is_active


def test_nobody_erases_themselves_or_who_may_do_more(panel, client, admin_user, charlie):
    assert panel.post(page(admin_user), {"username": "admin"}).status_code == 403
    as_staff(client, charlie, "can_erase", "view_access")
    assert client.post(page(admin_user), {"username": "admin"}).status_code == 403
    assertNotContains(client.get(page(admin_user)), "Erase for good")
    admin_user.refresh_from_db()
    assert admin_user.is_active


@pytest.mark.parametrize("codename", ["view_access", "can_ban", "can_export"])
def test_who_may_not_erases_nobody(client, charlie, alice, kitchen, codename):
    as_staff(client, charlie, codename)
    assert client.get(page(alice)).status_code == 403
    assert client.post(page(alice), {"username": "alice"}).status_code == 403
    alice.refresh_from_db()
    assert alice.is_active


def test_who_may_only_erase_may(client, charlie, alice, kitchen):
    as_staff(client, charlie, "can_erase")
    response = client.post(page(alice), {"username": "alice"})
    assertRedirects(response, "/admin/")


def test_who_is_not_there_is_not_found(panel, db):
    assert panel.get("/admin/chat/access/4711/erase/").status_code == 404
