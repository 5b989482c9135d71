"""Three groups of those who run the site: what each may do, and what it may not."""

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.db.migrations.loader import MigrationLoader

from chat import duties

MODERATORS, OPERATORS, AUDITORS = "Chat moderators", "Chat operators", "Chat auditors"


@pytest.fixture
def groups(db):
    """As `migrate` makes them; tests with transactions of their own leave none."""
    Group.objects.all().delete()
    duties.establish()


@pytest.fixture
def holder(groups, charlie):
    """Charlie, in a group."""

    def join(name):
        charlie.groups.set([Group.objects.get(name=name)])
        return type(charlie).objects.get(pk=charlie.pk)

    return join


def codenames(name):
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def test_migrate_makes_three_groups(groups):
    assert set(Group.objects.values_list("name", flat=True)) == {MODERATORS, OPERATORS, AUDITORS}


@pytest.mark.parametrize("name", duties.GROUPS)
def test_each_has_all_that_it_names_and_each_permission_exists(groups, name):
    assert codenames(name) == set(duties.GROUPS[name])
    permissions = Group.objects.get(name=name).permissions
    assert set(permissions.values_list("content_type__app_label", flat=True)) == {"chat"}


def test_what_a_site_has_changed_stays_as_it_is(groups):
    moderators = Group.objects.get(name=MODERATORS)
    moderators.permissions.clear()
    Group.objects.get(name=AUDITORS).delete()
    duties.establish()
    assert codenames(MODERATORS) == set()
    assert codenames(AUDITORS) == set(duties.GROUPS[AUDITORS])


def test_a_group_of_this_name_that_was_there_is_not_touched(db):
    Group.objects.all().delete()
    own = Group.objects.create(name=MODERATORS)
    own.permissions.add(Permission.objects.get(codename="view_room"))
    duties.establish()
    assert codenames(MODERATORS) == {"view_room"}


@pytest.mark.parametrize(
    "last", [("contenttypes", "0002_remove_content_type_name"), ("chat", "0001_initial")]
)
def test_who_migrates_an_app_at_a_time_has_no_groups_without_permissions(groups, last):
    Group.objects.all().delete()
    duties.establish(apps=MigrationLoader(connection).project_state(last).apps)
    assert not Group.objects.exists()


def test_a_site_may_name_the_chat_before_its_users(groups):
    Group.objects.all().delete()
    Permission.objects.filter(content_type__app_label="chat").delete()
    duties.establish()
    assert codenames(AUDITORS) == set(duties.GROUPS[AUDITORS])


@pytest.mark.parametrize(
    ("name", "may", "may_not"),
    [
        (
            MODERATORS,
            ["view_report", "can_moderate", "delete_message", "can_mute", "can_ban"],
            ["can_announce", "can_export", "can_erase", "can_set_retention", "view_auditentry"],
        ),
        (
            OPERATORS,
            ["can_view_dashboard", "can_disconnect", "can_announce", "can_set_retention"],
            ["can_moderate", "can_read_private", "can_export", "can_erase", "view_auditentry"],
        ),
        (
            AUDITORS,
            ["view_auditentry", "can_export", "can_view_dashboard", "view_report"],
            ["can_moderate", "can_read_private", "can_ban", "can_announce", "can_erase"],
        ),
    ],
)
def test_each_may_do_its_duties_and_no_more(holder, name, may, may_not):
    somebody = holder(name)
    assert [what for what in may if not somebody.has_perm(f"chat.{what}")] == []
    assert [what for what in may_not if somebody.has_perm(f"chat.{what}")] == []


def test_auditors_change_nothing(groups):
    changing = ("add_", "change_", "delete_", "can_")
    does = {name for name in codenames(AUDITORS) if name.startswith(changing)}
    assert does == {"can_view_dashboard", "can_export"}


def test_nobody_is_given_the_power_to_erase_people(groups):
    assert not Group.objects.filter(permissions__codename="can_erase").exists()
