"""Whoever is erased is gone, with all they said; rooms keep their order, and others their seats."""

from datetime import timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth import authenticate, get_user_model
from django.core.management import CommandError, call_command
from django.utils import timezone

from chat import access, control, erasure, messaging, people, preferences, reports, rooms
from chat.audit import Actor
from chat.errors import Banned, Forbidden
from chat.models import (
    Access,
    AuditEntry,
    LastSeen,
    Membership,
    Message,
    Preferences,
    Report,
    Room,
    Token,
)
from tests.client import Client
from tests.conftest import PASSWORD, token
from tests.conversation import bodies, deactivate, draft, post, say, say_much, seat_of, stored
from tests.failures import meanwhile
from tests.fake_browser import browser

SOMEBODY = Actor("root", address="203.0.113.7")


def erase(user, actor=SOMEBODY):
    return sum(erasure.erase(actor, user))


@pytest.fixture
def superuser(db):
    return get_user_model().objects.create_superuser("root", password=PASSWORD)


# What they said


def test_messages_become_tombstones_and_keep_their_places(alice, bob, kitchen):
    say(alice, kitchen, "one")
    say(bob, kitchen, "two")
    say(alice, kitchen, "three")
    assert erase(alice) == 2
    assert bodies(stored(kitchen)) == ["", "two", ""]
    assert [m.deleted for m in stored(kitchen)] == [True, False, True]
    assert [m.rev for m in stored(kitchen)] == [4, 2, 5]
    kitchen.refresh_from_db()
    assert (kitchen.seq, kitchen.rev) == (3, 5)


def test_what_was_gone_already_takes_no_number(alice, kitchen):
    say(alice, kitchen, "one", "two")
    messaging.take_down(kitchen.pk, 1)
    assert erase(alice) == 1
    kitchen.refresh_from_db()
    assert kitchen.rev == 4


def test_nothing_tells_that_it_was_edited(alice, kitchen):
    say(alice, kitchen, "one")
    messaging.edit(alice, kitchen.pk, 1, "two")
    erase(alice)
    assert stored(kitchen)[0].edited_at is None


def test_it_goes_by_batches_in_every_room(alice, kitchen, lobby, monkeypatch):
    monkeypatch.setattr(erasure, "BATCH", 4)
    for room in (kitchen, lobby):
        say_much(alice, room, 10)
    assert list(erasure.erase(SOMEBODY, alice)) == [4, 4, 2, 4, 4, 2]
    assert not Message.objects.exclude(body="").exists()


def test_it_may_be_stopped_and_begun_again(alice, kitchen, monkeypatch):
    monkeypatch.setattr(erasure, "BATCH", 4)
    say_much(alice, kitchen, 10)
    with patch("time.sleep", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        erase(alice)
    assert erasure.has_begun(alice)
    assert erasure.extent(alice).messages == 6
    assert erase(alice) == 6
    assert erase(alice) == 0
    kitchen.refresh_from_db()
    assert kitchen.rev == 20
    assert not Membership.objects.filter(user=alice).exists()


def test_nothing_is_posted_any_more(alice, kitchen):
    """What is on its way through a journal by then."""
    erasure.begin(SOMEBODY, alice)
    with pytest.raises(Banned):
        post(draft(alice, kitchen))


def test_copies_of_their_words_go_and_reports_stay(alice, bob, kitchen):
    say(alice, kitchen, "rude")
    say(bob, kitchen, "ruder")
    reports.report_message(bob, kitchen.pk, 1, "how rude")
    reports.report_message(alice, kitchen.pk, 2, "he began")
    erase(alice)
    told = Report.objects.order_by("seq").values_list("body", "reason")
    assert [*told] == [("", "how rude"), ("ruder", "")]


# Who they were


def test_the_name_is_gone_and_nobody_comes_in(alice, kitchen, client):
    alice.first_name, alice.last_name, alice.email = "Alice", "Liddell", "alice@example.org"
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    token(alice)
    erase(alice)
    alice.refresh_from_db()
    assert alice.username == f"erased-{alice.pk}"
    assert (alice.first_name, alice.last_name, alice.email) == ("", "", "")
    assert (alice.is_active, alice.is_staff, alice.last_login) == (False, False, None)
    assert not alice.has_usable_password()
    assert authenticate(username=alice.username, password=PASSWORD) is None
    assert not Token.objects.exists()
    assert client.get("/").status_code == 302


def test_a_name_that_somebody_has_taken_is_not_taken_twice(alice, bob):
    bob.username = f"erased-{alice.pk}"
    bob.save()
    erase(alice)
    alice.refresh_from_db()
    assert alice.username.startswith("erased-")
    assert alice.username != bob.username


def test_what_they_wanted_and_when_they_were_here_is_forgotten(alice, kitchen):
    preferences.store(alice.pk, {"theme": "dark"})
    LastSeen.objects.create(user=alice, at=timezone.now())
    erase(alice)
    assert not Preferences.objects.exists()
    assert not LastSeen.objects.exists()


def test_the_audit_log_keeps_what_it_says_of_them(alice, kitchen):
    control.ban(alice, timezone.now() + timedelta(days=1))
    erase(alice)
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.key, entry.label) == ("erased", str(alice.pk), "alice")


# Where they were


def test_rooms_keep_an_owner_and_lose_a_member(alice, bob, kitchen, lobby):
    erase(alice)
    assert seat_of(bob, kitchen).role == "owner"
    assert not Membership.objects.filter(user=alice).exists()


def test_a_direct_room_stays_for_the_other_one(alice, bob):
    room = rooms.open_direct(alice, bob)
    say(alice, room, "hello")
    say(bob, room, "hello, alice")
    people.block(alice, bob, blocked=True)
    erase(alice)
    seat = access.seat(bob.pk, room.pk)
    assert (seat.peer, seat.room.blocked) == (f"erased-{alice.pk}", False)
    assert bodies(stored(room)) == ["", "hello, alice"]


def test_a_room_with_oneself_does_not(alice):
    room = rooms.open_direct(alice, alice)
    erase(alice)
    assert not Membership.objects.filter(room=room).exists()


def test_whoever_saw_them_sees_it(alice, bob, kitchen):
    before = Access.objects.get(pk=bob.pk).version
    erasure.begin(SOMEBODY, alice)
    assert Access.objects.get(pk=bob.pk).version > before
    assert {fellow.username for fellow in access.seat(bob.pk, kitchen.pk).fellows} == {
        "bob",
        f"erased-{alice.pk}",
    }


async def test_open_pages_see_it_and_their_own_close(
    impatient, application, elsewhere, tokens, alice, kitchen
):
    away = Client()
    await meanwhile(say_much, alice, kitchen, 10)
    async with browser(application, tokens["bob"], client=away) as bob:
        await bob.sees(kitchen.pk, *map(str, range(1, 11)))
        async with browser(elsewhere, tokens["alice"]) as hers:
            await meanwhile(erase, alice)
            bye = await hers.says_goodbye()
            assert not bye["reconnect"]
        await bob.until(lambda: bob.client.bodies(kitchen.pk) == [None] * 10)


# What must not be


def test_the_last_superuser_stays(superuser, alice):
    with pytest.raises(Forbidden, match="last superuser"):
        erase(superuser)
    superuser.refresh_from_db()
    assert superuser.is_active
    assert not AuditEntry.objects.exists()
    get_user_model().objects.filter(pk=alice.pk).update(is_superuser=True)
    erase(superuser)
    superuser.refresh_from_db()
    assert not superuser.is_superuser


def test_a_superuser_who_may_not_log_in_is_no_other(superuser, alice):
    get_user_model().objects.filter(pk=alice.pk).update(is_superuser=True, is_active=False)
    with pytest.raises(Forbidden, match="last superuser"):
        erase(superuser)


def test_nobody_erases_themselves(alice):
    with pytest.raises(Forbidden, match="yourself"):
        erase(alice, Actor("alice", alice.pk))


# The command


def test_the_command_asks_for_the_name(alice, kitchen, capsys):
    say(alice, kitchen, "hello")
    with patch("builtins.input", return_value="yes"), pytest.raises(CommandError, match="Nothing"):
        call_command("erase", "alice")
    assert bodies(stored(kitchen)) == ["hello"]
    with patch("builtins.input", return_value="alice"):
        call_command("erase", "alice")
    assert bodies(stored(kitchen)) == [""]
    assert "1 messages" in capsys.readouterr().out
    assert AuditEntry.objects.get().actor_name.startswith("manage.py")


def test_the_command_tells_what_would_go(alice, kitchen, lobby, capsys):
    say(alice, kitchen, "hello")
    call_command("erase", "alice", "--dry-run")
    assert "1 messages, 2 rooms, 0 reports" in capsys.readouterr().out
    assert bodies(stored(kitchen)) == ["hello"]
    assert not AuditEntry.objects.exists()


def test_the_command_that_was_stopped_goes_on_by_the_new_name(alice, kitchen, capsys, monkeypatch):
    monkeypatch.setattr(erasure, "BATCH", 4)
    say_much(alice, kitchen, 10)
    with patch("time.sleep", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        call_command("erase", "alice", "--no-input")
    name = f"erased-{alice.pk}"
    assert f"manage.py erase {name}" in capsys.readouterr().out
    call_command("erase", name, "--no-input")
    assert bodies(stored(kitchen)) == [""] * 10


def test_also_who_may_not_log_in_any_more_is_erased(alice, kitchen):
    say(alice, kitchen, "hello")
    deactivate(alice)
    call_command("erase", "alice", "--no-input")
    assert bodies(stored(kitchen)) == [""]


def test_the_command_leaves_the_last_superuser(superuser):
    with pytest.raises(CommandError, match="last superuser"):
        call_command("erase", "root", "--no-input")


def test_large_rooms_are_read_few_questions_each(alice, kitchen, django_assert_max_num_queries):
    say_much(alice, kitchen, 500)
    with django_assert_max_num_queries(12):
        assert list(erasure.take_back(alice)) == [500]
    assert Room.objects.get(pk=kitchen.pk).rev == 1_000
