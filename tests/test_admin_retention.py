"""Days are set once somebody has seen what would go; by those who may, and written down."""

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from pytest_django.asserts import assertContains, assertNotContains, assertRedirects

from chat import rooms
from chat.models import AuditEntry, Message, Purge, Retention, Room
from chat.retention import days_set, set_days, step
from tests.conversation import bodies, queries, say_much, stored

PAGE = "/admin/chat/retention/"
SITE = f"{PAGE}dry-run/"
RUN = f"{PAGE}run/"


def of(room):
    return f"{PAGE}room/{quote(room.pk)}/"


@pytest.fixture
def panel(admin_client):
    return admin_client


@pytest.fixture
def old(alice, kitchen):
    """Ten messages, of which six are a hundred days old."""
    say_much(alice, kitchen, 10)
    then = datetime.now(UTC) - timedelta(days=100)
    Message.objects.filter(room=kitchen, seq__lte=6).update(created_at=then)
    return kitchen


def days_of(room):
    return Room.objects.get(pk=room.pk).retention_days


def as_staff(client, user, *codenames):
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client.force_login(user)
    return client


# For the whole site


def test_days_are_set_after_the_dry_run_and_then_it_goes(panel, old):
    page = panel.get(SITE, {"days": "90"})
    assertContains(page, "6 messages")
    assertContains(page, "Kitchen")
    assert days_set() is None
    assertRedirects(panel.post(SITE, {"days": "90", "was": ""}), PAGE)
    assert step() is None
    assert bodies(stored(old))[5:7] == ["", "7"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.actor_name) == ("retention", "admin")
    assert (entry.before, entry.after) == ({"days": None}, {"days": 90})
    assertContains(panel.get(PAGE), "90 days")


def test_who_saw_other_days_looks_again(panel, old):
    set_days(30)
    page = panel.post(SITE, {"days": "90", "was": ""})
    assertContains(page, "meanwhile")
    assertContains(page, 'name="was" value="30"')
    assert days_set() == 30
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("days", ["-1", "many", "36501", "99999999999999999999"])
def test_days_that_make_no_sense_change_nothing(panel, old, days):
    for page in (panel.get(SITE, {"days": days}), panel.post(SITE, {"days": days, "was": ""})):
        assertContains(page, "errorlist")
        assertNotContains(page, 'name="was"')
    assert days_set() is None


@pytest.mark.parametrize("was", ["x", "1.5"])
def test_a_confirmation_that_was_made_up_changes_nothing(panel, old, was):
    assert panel.post(SITE, {"days": "90", "was": was}).status_code == 200
    assert days_set() is None


def test_a_confirmation_without_days_is_none(panel, old):
    set_days(30)
    panel.post(SITE, {})
    assert days_set() == 30


def test_what_the_setting_says_is_left_to_the_command(panel, old, settings):
    settings.CHAT_KEEP_DAYS = 90
    set_days(0)
    page = panel.get(SITE, {"days": ""})
    assertContains(page, "manage.py purge")
    assertContains(page, "6 messages")
    panel.post(SITE, {"days": "", "was": "0"})
    assert days_set() is None
    assertContains(panel.get(PAGE), "CHAT_KEEP_DAYS")


def test_rooms_with_days_of_their_own_are_left_alone(panel, old):
    Room.objects.filter(pk=old.pk).update(retention_days=0)
    assertContains(panel.get(SITE, {"days": "90"}), "Nothing.")
    page = panel.get(PAGE)
    assertContains(page, "Kitchen")
    assertContains(page, "For ever")


def test_a_run_can_be_asked_for(panel, old):
    set_days(90)
    step()
    assert Retention.objects.get().due_at > datetime.now(UTC)
    assertRedirects(panel.post(RUN), PAGE)
    assert Retention.objects.get().due_at <= datetime.now(UTC) + timedelta(seconds=5)


def test_runs_are_shown(panel, db):
    Purge.objects.create(rooms=3, messages=1234, bytes=2048)
    page = panel.get(PAGE)
    assertContains(page, "1234")
    assertContains(page, "Still running")


def test_the_row_itself_is_the_page(panel, db):
    set_days(90)
    assertRedirects(panel.get(f"{PAGE}1/change/"), PAGE)


# For one room


def test_a_room_has_its_own_dry_run(panel, old, garden):
    page = panel.get(of(old), {"days": "90"})
    assertContains(page, "6 messages")
    assertRedirects(panel.post(of(old), {"days": "90", "was": ""}), PAGE)
    assert days_of(old) == 90
    assert step() is None
    assert bodies(stored(old))[5:7] == ["", "7"]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.label, entry.room) == ("retention", "Kitchen", old.pk)


def test_a_room_goes_back_to_what_counts_for_the_site(panel, old):
    set_days(90)
    Room.objects.filter(pk=old.pk).update(retention_days=0)
    page = panel.get(of(old), {"days": ""})
    assertContains(page, "As for the whole site: 90 days")
    assertContains(page, "6 messages")
    panel.post(of(old), {"days": "", "was": "0"})
    assert days_of(old) is None


def test_a_room_that_is_not_there_is_not_found(panel, db):
    assert panel.get(f"{PAGE}room/nowhere/").status_code == 404


# Who may


def test_who_may_only_look_changes_nothing(client, charlie, old):
    set_days(30)
    row = Retention.objects.get()
    page = as_staff(client, charlie, "view_retention").get(PAGE)
    assertContains(page, "30 days")
    assertNotContains(page, "Run now")
    for place in (SITE, of(old)):
        assert client.get(place, {"days": "1"}).status_code == 403
        assert client.post(place, {"days": "1", "was": "30"}).status_code == 403
    assert client.post(RUN).status_code == 403
    assert (days_set(), days_of(old)) == (30, None)
    assert Retention.objects.get().due_at == row.due_at


@pytest.mark.parametrize("codename", ["change_room", "can_export"])
def test_outsiders_see_nothing(client, charlie, old, codename):
    as_staff(client, charlie, codename)
    for place in (PAGE, SITE, of(old)):
        assert client.get(place).status_code == 403


def test_who_may_set_it_may(client, charlie, old):
    as_staff(client, charlie, "view_retention", "can_set_retention")
    assertRedirects(client.post(SITE, {"days": "90", "was": ""}), PAGE)
    assert days_set() == 90


def test_nothing_begins_by_a_link(panel, db):
    assert panel.get(RUN).status_code == 405


# With many


def test_the_page_takes_as_few_questions_for_many_rooms(panel, alice, kitchen):
    def look():
        assert panel.get(PAGE).status_code == 200

    Room.objects.filter(pk=kitchen.pk).update(retention_days=7)
    look()
    few = queries(look)
    for n in range(30):
        rooms.create(alice, f"Room {n}")
    Room.objects.update(retention_days=7)
    Purge.objects.bulk_create([Purge(messages=n) for n in range(30)])
    assert queries(look) <= few
    assertContains(panel.get(PAGE), "?page=2")
    assertContains(panel.get(PAGE, {"page": "2"}), "?page=1")
    assert panel.get(PAGE, {"page": "x"}).status_code == 200
