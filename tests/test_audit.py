"""The audit log: what those who run the site did is written down with it, and stays as it is."""

from datetime import timedelta

import pytest
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.db import IntegrityError, transaction
from django.test import RequestFactory
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains

from chat import audit
from chat.audit import Action, Actor
from chat.models import AuditEntry
from tests.conversation import queries, say, stored

LOG = "/admin/chat/auditentry/"
OLGA = Actor("olga", address="192.0.2.7")


@pytest.fixture
def auditor(client, charlie):
    """Charlie, who may read the log and nothing else; logged in to the admin panel."""
    charlie.is_staff = True
    charlie.save()
    allow(charlie, "view_auditentry")
    client.force_login(charlie)
    return client


def allow(user, *codenames):
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))


def page_of(entry):
    return f"{LOG}{entry.pk}/change/"


def shown(client, **asked):
    """What the entries on a page are about, from the top."""
    return [entry.label for entry in client.get(LOG, asked).context["cl"].result_list]


def made(days_ago, label):
    """An entry of that day."""
    at = timezone.now() - timedelta(days_ago)
    return AuditEntry.objects.create(actor_name="olga", action=Action.BANNED, label=label, at=at)


def day(days_ago):
    return (timezone.localdate() - timedelta(days_ago)).isoformat()


# What is written down


def test_an_entry_says_who_did_what_to_what_and_from_where(alice, kitchen):
    request = RequestFactory().post("/", REMOTE_ADDR="192.0.2.7")
    request.user = alice
    say(alice, kitchen, "Hello")
    [said] = stored(kitchen)
    entry = audit.record(Actor.of(request), Action.DELETED, said, comment="Spam")
    assert (entry.actor, entry.actor_name, entry.address) == (alice, "alice", "192.0.2.7")
    assert (entry.kind, entry.key, entry.label) == ("message", str(said.pk), f"{kitchen.pk}/1")
    assert (entry.room, entry.comment) == (kitchen.pk, "Spam")


def test_a_person_is_called_as_they_were_then(alice):
    entry = audit.record(OLGA, Action.BANNED, alice)
    alice.username = "alicia"
    alice.save()
    entry.refresh_from_db()
    assert (entry.kind, entry.key, entry.label) == ("user", str(alice.pk), "alice")


def test_who_is_deleted_leaves_the_log_as_it_was(auditor, alice, bob):
    audit.record(Actor("alice", alice.pk), Action.BANNED, bob)
    before = AuditEntry.objects.values().get()
    alice.delete()
    bob.delete()
    assert AuditEntry.objects.values().get() == before
    for place in (LOG, page_of(AuditEntry.objects.get())):
        assertContains(auditor.get(place), "alice")
        assertContains(auditor.get(place), "bob")


# Append-only


@pytest.mark.parametrize(
    "change",
    [
        lambda: AuditEntry.objects.get().save(),
        lambda: AuditEntry.objects.get().delete(),
        lambda: AuditEntry.objects.update(actor_name="nobody"),
        lambda: AuditEntry.objects.all().delete(),
        lambda: AuditEntry.objects.bulk_update([AuditEntry.objects.get()], ["actor_name"]),
        lambda: AuditEntry.objects.filter(actor_name="olga").delete(),
        lambda: AuditEntry.objects.update_or_create(defaults={"actor_name": "nobody"}),
        lambda: AuditEntry.objects.bulk_create(
            [AuditEntry(pk=AuditEntry.objects.get().pk, actor_name="nobody")],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=["actor_name"],
        ),
    ],
)
def test_no_entry_is_changed_or_taken_away(alice, change):
    audit.record(OLGA, Action.BANNED, alice)
    with pytest.raises(TypeError):
        change()
    assert AuditEntry.objects.get().actor_name == "olga"


def test_none_takes_the_place_of_another(alice):
    entry = audit.record(OLGA, Action.BANNED, alice)
    with pytest.raises(IntegrityError), transaction.atomic():
        AuditEntry(pk=entry.pk, actor_name="nobody", action=Action.BANNED).save()
    assert AuditEntry.objects.get().actor_name == "olga"


@pytest.mark.parametrize("page", ["add/", "{}/delete/"])
def test_not_even_a_superuser_adds_or_deletes_one(admin_client, alice, page):
    entry = audit.record(OLGA, Action.BANNED, alice)
    place = LOG + page.format(entry.pk)
    assert admin_client.get(place).status_code == 403
    assert admin_client.post(place, {"post": "yes", "actor_name": "nobody"}).status_code == 403
    assert AuditEntry.objects.get().actor_name == "olga"


def test_not_even_a_superuser_changes_one(admin_client, alice):
    entry = audit.record(OLGA, Action.BANNED, alice)
    assertNotContains(admin_client.get(page_of(entry)), 'name="_save"')
    assert admin_client.post(page_of(entry), {"actor_name": "nobody"}).status_code == 403
    assert AuditEntry.objects.get().actor_name == "olga"


def test_no_action_deletes_many(admin_client, alice):
    entry = audit.record(OLGA, Action.BANNED, alice)
    chosen = {"action": "delete_selected", "_selected_action": entry.pk, "post": "yes"}
    admin_client.post(LOG, chosen)
    assertNotContains(admin_client.get(LOG), "delete_selected")
    assert AuditEntry.objects.count() == 1


def test_who_may_not_read_the_log_does_not(client, alice, charlie):
    entry = audit.record(OLGA, Action.BANNED, alice)
    charlie.is_staff = True
    charlie.save()
    client.force_login(charlie)
    for place in (LOG, page_of(entry)):
        assert client.get(place).status_code == 403


# How it is read


def test_the_newest_entry_comes_first(auditor, alice, bob):
    for person in (alice, bob):
        audit.record(OLGA, Action.BANNED, person)
    assert shown(auditor) == ["bob", "alice"]


def test_the_log_leads_to_what_there_still_is_and_may_be_seen(auditor, charlie, kitchen, alice):
    audit.record(Actor("alice", alice.pk), Action.CHANGED, kitchen)
    place = f"/admin/chat/room/{quote(kitchen.pk)}/change/"
    assertNotContains(auditor.get(LOG), place)
    allow(charlie, "view_room", "view_access")
    assertContains(auditor.get(LOG), place)
    assertContains(auditor.get(LOG), f"/admin/chat/access/{alice.pk}/change/")
    kitchen.delete()
    assertNotContains(auditor.get(LOG), place)
    assertContains(auditor.get(LOG), "Kitchen")


def test_a_long_comment_is_shortened_in_the_list_and_whole_on_its_page(auditor, alice):
    comment = "word " * 40 + "end"
    entry = audit.record(OLGA, Action.BANNED, alice, comment=comment)
    assertNotContains(auditor.get(LOG), comment)
    assertContains(auditor.get(page_of(entry)), comment)


def test_an_entry_shows_what_was_changed(auditor, kitchen):
    entry = audit.record(
        OLGA,
        Action.CHANGED,
        kitchen,
        before={"slow_mode": 0, "archived": False},
        after={"slow_mode": 60, "archived": True, "note": "<b>"},
    )
    page = auditor.get(page_of(entry))
    for cells in (
        '<th scope="row">slow mode</th><td>0</td><td>60</td>',
        '<th scope="row">archived</th><td>No</td><td>Yes</td>',
        '<th scope="row">note</th><td>-</td><td>&lt;b&gt;</td>',
    ):
        assertContains(page, cells, html=False)


def test_the_log_is_read_by_what_was_done(auditor, alice):
    for action in (Action.BANNED, Action.KICKED):
        audit.record(OLGA, action, label=action.label)
    assert shown(auditor, action__exact="kicked") == ["Kicked"]


def test_the_log_is_read_by_days(auditor):
    for days_ago in (40, 20, 3, 0):
        made(days_ago, f"{days_ago} days ago")
    assert shown(auditor, since=day(0)) == ["0 days ago"]
    assert shown(auditor, since=day(6)) == ["0 days ago", "3 days ago"]
    assert shown(auditor, until=day(3)) == ["3 days ago", "20 days ago", "40 days ago"]
    assert shown(auditor, since=day(20), until=day(3)) == ["3 days ago", "20 days ago"]


@pytest.mark.parametrize("asked", [{"since": "yesterday"}, {"until": "9999-12-31"}])
def test_what_is_no_day_is_refused_without_a_fault(auditor, asked):
    assert auditor.get(LOG, asked).status_code in (200, 302)


def test_a_form_for_days_keeps_the_other_filters(auditor):
    page = auditor.get(LOG, {"action__exact": "banned", "q": "olga"})
    assertContains(page, '<input type="hidden" name="action__exact" value="banned">')
    assertContains(page, '<input type="hidden" name="q" value="olga">')


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("alice", ["Kitchen", "alice"]),
        ("ali", ["Kitchen", "alice"]),
        ("olga", ["bob", "alice"]),
        ("Kitchen", ["Kitchen"]),
        ("user:{bob}", ["bob"]),
        ("room:{kitchen}", ["Kitchen"]),
        ("room:nowhere", []),
        ("nonsense:1", []),
        ("zoe", []),
    ],
)
def test_the_log_is_searched_by_who_and_by_what(auditor, alice, bob, kitchen, words, found):
    audit.record(OLGA, Action.BANNED, alice)
    audit.record(OLGA, Action.BANNED, bob)
    audit.record(Actor("alice", alice.pk), Action.CHANGED, kitchen)
    assert shown(auditor, q=words.format(bob=bob.pk, kitchen=kitchen.pk)) == found


def test_who_is_gone_is_found_by_the_name_they_had(auditor, alice, bob):
    audit.record(Actor("alice", alice.pk), Action.BANNED, bob)
    alice.delete()
    assert shown(auditor, q="alice") == ["bob"]


def test_what_the_list_shows_is_handed_out_to_who_may_export(auditor, charlie, alice):
    for action in (Action.BANNED, Action.KICKED):
        audit.record(OLGA, action, alice)
    place = f"{LOG}export/?action__exact=kicked"
    assertNotContains(auditor.get(LOG), "export/")
    assert auditor.post(place, {"format": "jsonl"}).status_code == 403
    allow(charlie, "can_export")
    assertContains(auditor.get(LOG, {"action__exact": "kicked"}), f'action="{place}"')
    handed_out = auditor.post(place, {"format": "jsonl"}).getvalue().decode()
    assert '"kicked"' in handed_out
    assert '"banned"' not in handed_out
    assert AuditEntry.objects.order_by("pk").last().action == "exported"


def test_a_page_takes_as_many_queries_for_many_entries(auditor, charlie, alice, bob, kitchen):
    allow(charlie, "view_room", "view_access", "view_message")
    say(alice, kitchen, *"abc")
    messages = stored(kitchen)
    for target in (alice, kitchen, messages[0]):
        audit.record(Actor("alice", alice.pk), Action.CHANGED, target)
    few = queries(lambda: auditor.get(LOG))
    for target in [alice, bob, kitchen, *messages] * 9:
        audit.record(Actor("bob", bob.pk), Action.CHANGED, target)
    assert queries(lambda: auditor.get(LOG)) == few
