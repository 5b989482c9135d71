"""Old messages go, and nobody is deceived: numbers stay, cursors below are reset, retries known."""

from datetime import UTC, datetime, timedelta
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError

from chat import access, archive, leases, messaging, retention
from chat.archive import Cursor
from chat.authentication import issue_token
from chat.errors import NotFound
from chat.models import AuditEntry, Lease, Message, Purge, Retention, Room, Token
from chat.retention import be_due, days_of, purge, set_days, step
from chat.serializers import room_frame
from tests.client import Client
from tests.conversation import (
    Reader,
    at_once,
    bodies,
    draft,
    post,
    read_on,
    say,
    say_much,
    seqs,
    stored,
)
from tests.failures import meanwhile
from tests.fake_browser import browser

DAY = timedelta(days=1)
LONG_AGO = timedelta(days=100)


def age(room, upto, by=LONG_AGO):
    """As if these messages had been said that much earlier."""
    old = Message.objects.filter(room=room, seq__lte=upto)
    old.update(created_at=datetime.now(UTC) - by)


def purge_all(**options):
    return [*purge(90 * DAY, **options)]


@pytest.fixture
def old(alice, kitchen):
    """Ten messages, of which six are old."""
    say_much(alice, kitchen, 10)
    age(kitchen, upto=6)
    return kitchen


# What is stored


def test_old_messages_are_emptied_and_keep_their_numbers(old):
    [purged] = purge_all()
    assert (purged.room, purged.room_id, purged.messages, purged.bytes) == ("Kitchen", old.pk, 6, 6)
    assert bodies(stored(old)) == ["", "", "", "", "", "", "7", "8", "9", "10"]
    assert [m.deleted for m in stored(old)] == [True] * 6 + [False] * 4
    assert seqs(stored(old)) == [*range(1, 11)]
    old.refresh_from_db()
    assert (old.first_seq, old.first_rev, old.seq, old.rev) == (7, 7, 10, 10)


def test_purging_again_changes_nothing(old):
    purge_all()
    assert purge_all() == []


def test_it_may_be_stopped_and_begun_again(old, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    with patch("time.sleep", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        purge_all()
    old.refresh_from_db()
    assert (old.first_seq, bodies(stored(old))[:3]) == (3, ["", "", "3"])
    assert purge_all()[0].messages == 4


def test_bytes_are_those_that_are_stored(alice, kitchen):
    say(alice, kitchen, "Grüße")
    age(kitchen, upto=1)
    [purged] = purge_all()
    assert purged.bytes == 7


def test_a_dry_run_tells_and_changes_nothing(old, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 4)
    [purged] = purge_all(dry_run=True)
    assert (purged.messages, purged.bytes) == (6, 6)
    assert bodies(stored(old))[0] == "1"
    old.refresh_from_db()
    assert old.first_seq == 1


def test_other_rooms_stay_as_they_are(old, alice, garden):
    say(alice, garden, "Hello")
    age(garden, upto=1)
    assert [purged.room for purged in purge_all(room_ids=[old.pk])] == ["Kitchen"]
    assert bodies(stored(garden)) == ["Hello"]


def test_a_retry_of_a_purged_message_is_recognised_years_later(alice, kitchen):
    first = draft(alice, kitchen, "Hello", uuid4())
    post(first)
    age(kitchen, upto=1)
    purge_all()
    again = post(first)
    assert (again.new, again.message.seq) == (False, 1)


def test_what_is_gone_can_neither_be_edited_nor_deleted(old, alice):
    purge_all()
    with pytest.raises(NotFound):
        messaging.edit(alice, old.pk, 3, "Changed")
    with pytest.raises(NotFound):
        messaging.delete(alice, old.pk, 3)
    old.refresh_from_db()
    assert old.rev == 10


# What readers see


def test_a_reader_who_was_away_is_reset_to_what_is_kept(old):
    reader = Reader(old)
    reader.cursor = Cursor(3)
    purge_all()
    assert reader.read_a_page().reset
    assert reader.bodies == ["7", "8", "9", "10"]


def test_a_reader_who_had_everything_that_went_goes_on(old):
    purge_all()
    [page] = read_on(old, Cursor(6))
    assert (page.reset, seqs(page.messages)) == (False, [7, 8, 9, 10])


def test_a_reader_who_missed_a_change_of_what_went_is_reset(old, alice):
    messaging.edit(alice, old.pk, 2, "edited")
    purge_all()
    [page] = read_on(old, Cursor(10))
    assert page.reset
    assert bodies(page.messages) == ["7", "8", "9", "10"]


def test_a_room_that_is_empty_now_is_reset_to_nothing(old):
    age(old, upto=10)
    purge_all()
    [page] = read_on(old, Cursor(3))
    assert (page.messages, page.reset, page.upto, page.complete) == ([], True, 10, True)


@pytest.mark.parametrize("place", [{"before": 9}, {"around": 3}, {"after": 2}, {}])
def test_history_ends_where_the_room_begins(old, bob, place):
    purge_all()
    history = archive.history(bob.pk, old.pk, **place)
    assert set(seqs(history.messages)) <= {7, 8, 9, 10}
    assert not history.more_before


@pytest.mark.parametrize("place", [{"around": 3}, {"after": 2}])
def test_who_asks_for_what_is_gone_is_led_to_what_is_kept(old, bob, place):
    purge_all()
    history = archive.history(bob.pk, old.pk, **place, limit=2)
    assert seqs(history.messages)[0] == 7
    assert history.more_after


def test_what_is_gone_is_not_unread(old, bob):
    purge_all()
    frame = room_frame(access.seat(bob.pk, old.pk), bob.pk, lambda _: False)
    assert (frame.seq - frame.read_seq, frame.first_seq) == (4, 7)


async def test_a_purge_reaches_who_is_connected_and_who_was_away(
    impatient, application, tokens, alice, kitchen
):
    away = Client()
    async with browser(application, tokens["bob"], client=away):
        pass
    await meanwhile(say_much, alice, kitchen, 10)
    async with browser(application, tokens["bob"]) as bob:
        await bob.sees(kitchen.pk, *map(str, range(1, 11)))
        await meanwhile(age, kitchen, 6)
        assert len(await meanwhile(purge_all)) == 1
        await bob.until(lambda: bob.client.rooms[kitchen.pk]["first_seq"] == 7)
        assert bob.client.bodies(kitchen.pk) == ["7", "8", "9", "10"]
        await bob.post("11", room=kitchen.pk)
        await bob.sees(kitchen.pk, "10", "11")
        history = await bob.ask("history", room=kitchen.pk, before=8)
        assert [m["seq"] for m in history["messages"]] == [7]
        assert not history["more_before"]
        assert bob.client.resets == 0
    async with browser(application, tokens["bob"], client=away) as late:
        await late.sees(kitchen.pk, "7", "8", "9", "10", "11")
        assert late.client.resets == 1
        assert late.client.bodies(kitchen.pk) == bob.client.bodies(kitchen.pk)


async def test_everybody_in_a_large_room_is_told_by_few_questions(
    impatient, application, worker, tokens, alice, kitchen, monkeypatch
):
    await meanwhile(say_much, alice, kitchen, 4)
    await meanwhile(age, kitchen, 2)
    monkeypatch.setattr("chat.watch.SEATS_AT_ONCE", 2)
    async with (
        browser(application, tokens["alice"]) as one,
        browser(application, tokens["alice"]) as two,
        browser(application, tokens["bob"]) as three,
    ):
        with patch("chat.watch.access.standings", wraps=access.standings) as asked:
            await meanwhile(purge_all)
            for page in (one, two, three):
                await page.until(lambda p=page: p.client.rooms[kitchen.pk]["first_seq"] == 3)
        assert asked.call_count == 2


# Which days count


def keep(room, days):
    Room.objects.filter(pk=room.pk).update(retention_days=days)
    room.refresh_from_db()


@pytest.mark.parametrize(
    ("own", "panel", "setting", "days"),
    [(7, 30, 90, 7), (0, 30, 90, 0), (None, 30, 90, 30), (None, 0, 90, 0), (None, None, 90, 90)],
)
def test_a_room_counts_before_the_panel_and_the_panel_before_the_setting(
    kitchen, settings, own, panel, setting, days
):
    settings.CHAT_KEEP_DAYS = setting
    set_days(panel)
    keep(kitchen, own)
    assert days_of(kitchen) == days


def test_each_room_lets_go_by_its_own_days(old, alice, garden, lobby):
    for room in (garden, lobby):
        say_much(alice, room, 10)
        age(room, upto=6)
    keep(garden, 0)
    keep(lobby, 101)
    set_days(99)
    assert [purged.room for purged in purge(dry_run=True)] == ["Kitchen"]
    keep(lobby, 99)
    assert {purged.room for purged in purge()} == {"Kitchen", "Lobby"}


def test_what_a_room_keeps_for_ever_goes_only_if_somebody_names_it(old):
    keep(old, 0)
    assert purge_all() == []
    assert [purged.messages for purged in purge_all(room_ids=[old.pk])] == [6]


def test_days_beyond_all_times_keep_everything(old):
    keep(old, 2_000_000_000)
    assert [*purge()] == []


# What workers do by themselves


def run():
    """Steps until nothing is due any more; how many."""
    count = 1
    while step() is not None:
        count += 1
    return count


def test_workers_let_go_of_what_the_panel_says(old, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 4)
    set_days(90)
    assert run() == 2
    assert bodies(stored(old))[5:7] == ["", "7"]
    purge_run = Purge.objects.get()
    assert (purge_run.rooms, purge_run.messages, purge_run.bytes) == (1, 6, 6)
    assert purge_run.ended_at >= purge_run.started_at


def test_many_rooms_of_few_messages_take_several_steps(alice, bob, kitchen, garden, monkeypatch):
    monkeypatch.setattr(retention, "ROOMS", 1)
    for room in (kitchen, garden):
        say(alice, room, "long ago")
        age(room, upto=1)
        keep(room, 90)
    be_due()
    assert run() == 3
    assert (Purge.objects.get().rooms, Purge.objects.get().messages) == (2, 2)


def test_the_setting_alone_removes_nothing(old, settings):
    settings.CHAT_KEEP_DAYS = 90
    be_due()
    assert run() == 1
    assert bodies(stored(old))[0] == "1"
    assert not Purge.objects.exists()


def test_days_of_a_room_need_nobody_to_begin(old):
    keep(old, 90)
    assert run() == 1
    assert bodies(stored(old))[5:7] == ["", "7"]


def test_the_next_run_begins_an_hour_later_or_when_somebody_asks(old, alice):
    set_days(90)
    run()
    age(old, upto=7)
    assert run() == 1
    assert bodies(stored(old))[6] == "7"
    be_due()
    run()
    assert bodies(stored(old))[6] == ""
    age(old, upto=8)
    Retention.objects.update(due_at=datetime.now(UTC) - timedelta(seconds=1))
    run()
    assert bodies(stored(old))[7] == ""
    assert Retention.objects.get().due_at > datetime.now(UTC) + timedelta(minutes=55)


def test_what_becomes_due_meanwhile_is_not_forgotten(old):
    set_days(90)

    def asked_meanwhile():
        be_due()
        return False

    with patch("chat.retention._empty_next", side_effect=asked_meanwhile):
        step()
    run()
    assert bodies(stored(old))[0] == ""


def test_a_worker_that_dies_lets_another_carry_on(old, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 4)
    set_days(90)
    step()
    with (
        patch("chat.retention._empty_next", side_effect=OperationalError),
        pytest.raises(OperationalError),
    ):
        step()
    assert step() is None  # the claim of the dead one still holds
    Retention.objects.update(due_at=datetime.now(UTC) - timedelta(seconds=1))
    run()
    assert bodies(stored(old))[5:7] == ["", "7"]
    assert Purge.objects.get().messages == 6


def test_of_two_workers_one_does_it(transactional_db, alice, kitchen):
    say_much(alice, kitchen, 10)
    age(kitchen, upto=6)
    set_days(90)
    assert at_once(step, step) == [None, None]
    assert Purge.objects.get().messages == 6
    assert bodies(stored(kitchen))[5:7] == ["", "7"]


def test_days_that_are_taken_back_end_the_run(old, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 4)
    set_days(90)
    assert step() is not None
    set_days(None)
    assert step() is None
    assert bodies(stored(old))[3:5] == ["", "5"]
    assert Purge.objects.get().ended_at


def test_nothing_due_costs_one_question(db, django_assert_num_queries):
    run()
    with django_assert_num_queries(1):
        assert step() is None


# The commands


def test_the_command_is_written_down_with_what_went(old):
    call_command("purge", "--older-than=90d", "--dry-run")
    assert not Purge.objects.exists()
    assert not AuditEntry.objects.exists()
    call_command("purge", "--older-than=90d")
    call_command("purge", "--older-than=90d")  # of nothing there is nothing to tell
    purge_run, entry = Purge.objects.get(), AuditEntry.objects.get()
    assert (purge_run.rooms, purge_run.messages, purge_run.bytes) == (1, 6, 6)
    assert purge_run.ended_at
    assert (entry.action, entry.actor, entry.label) == ("purged", None, "Kitchen")
    assert entry.actor_name.startswith("manage.py")
    assert entry.after == {"rooms": 1, "older_than_days": 90}


def test_a_command_that_is_stopped_has_told_what_went(old, monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 2)
    with patch("time.sleep", side_effect=KeyboardInterrupt), pytest.raises(KeyboardInterrupt):
        call_command("purge", "--older-than=90d")
    assert (Purge.objects.get().messages, Purge.objects.get().rooms) == (2, 0)
    assert Purge.objects.get().ended_at
    assert AuditEntry.objects.get().action == "purged"


def test_the_command_does_what_the_panel_says(old, settings, capsys):
    settings.CHAT_KEEP_DAYS = 1_000
    set_days(99)
    call_command("purge")
    assert "6 messages of 6 bytes are gone." in capsys.readouterr().out


def test_the_command_tells_each_room_and_the_sum(old, capsys):
    call_command("purge", "--older-than=90d")
    said = capsys.readouterr().out
    assert f"Kitchen ({old.pk}): 6 messages, 6 bytes" in said
    assert "6 messages of 6 bytes are gone." in said


def test_no_name_of_a_room_moves_the_cursor_of_the_shell(old, capsys):
    Room.objects.filter(pk=old.pk).update(name="Kitchen\x1b[2J")
    call_command("purge", "--older-than=90d")
    assert f"Kitchen\\x1b[2J ({old.pk})" in capsys.readouterr().out


def test_without_an_age_the_setting_counts(old, settings, capsys):
    call_command("purge")
    assert "CHAT_KEEP_DAYS is 0" in capsys.readouterr().out
    settings.CHAT_KEEP_DAYS = 99
    call_command("purge", dry_run=True)
    assert "6 messages of 6 bytes would go." in capsys.readouterr().out
    call_command("purge", quiet=True)
    assert capsys.readouterr().out == ""
    assert bodies(stored(old))[5:7] == ["", "7"]


@pytest.mark.parametrize("older_than", ["0d", "d", "-1d", "90", "1y", "9999999999d"])
def test_an_age_that_makes_no_sense_is_refused(older_than):
    with pytest.raises(CommandError, match="90d"):
        call_command("purge", f"--older-than={older_than}")


def test_a_room_that_does_not_exist_is_refused(old):
    with pytest.raises(CommandError, match="no room nowhere"):
        call_command("purge", "--older-than=90d", "--room=nowhere", f"--room={old.pk}")
    assert bodies(stored(old))[0] == "1"


@pytest.mark.parametrize("command", [["purge", "--older-than=90d"], ["cleanup"]])
def test_a_database_that_is_away_is_told_in_one_line(db, command):
    with (
        patch("django.db.models.query.QuerySet.__iter__", side_effect=OperationalError("gone")),
        pytest.raises(CommandError, match="OperationalError: gone"),
    ):
        call_command(*command)


@pytest.fixture
def leftovers(alice, client):
    client.force_login(alice)
    live = issue_token(alice)[0]
    issue_token(alice)
    Token.objects.filter(kind="bearer").exclude(digest=Token.objects.first().pk).update(
        expires_at=datetime.now(UTC) - DAY
    )
    leases.begin("dead", {})
    leases.begin("living", {})
    Lease.objects.filter(pk="dead").update(renewed_at=datetime.now(UTC) - DAY)
    return live


def test_cleanup_removes_what_has_run_out_and_nothing_else(leftovers, client, capsys):
    call_command("cleanup", dry_run=True)
    assert "Bearer tokens that have expired: 1 would be removed" in capsys.readouterr().out
    assert (Token.objects.count(), Lease.objects.count()) == (2, 2)
    call_command("cleanup")
    said = capsys.readouterr().out
    assert "Bearer tokens that have expired: 1 removed" in said
    assert "Sessions that have expired: 0 removed" in said
    assert "Leases of workers that died: 1 removed" in said
    assert (Token.objects.count(), [lease.pk for lease in Lease.objects.all()]) == (1, ["living"])
    assert client.get("/").status_code == 200
