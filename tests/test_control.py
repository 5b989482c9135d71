"""What those who run the site do to connections and people, and how soon it is felt everywhere."""

import asyncio
import io
import json
import os
import socket
from contextlib import AsyncExitStack
from datetime import timedelta
from operator import attrgetter
from unittest.mock import patch

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.db import OperationalError, ProgrammingError
from django.db.models.functions import Now
from django.test import Client as HttpClient
from django.utils import timezone

from chat import conf, control, leases, presence
from chat.close_codes import CloseCode
from chat.errors import Muted, NotFound
from chat.models import Access, AuditEntry, Connection, Lease, Token
from chat.worker import Worker
from tests.conftest import PASSWORD, serve
from tests.conversation import draft, post, seat_of
from tests.failures import lost_announcements, meanwhile, until
from tests.fake_browser import browser, text_page


@pytest.fixture(autouse=True)
def attentive(monkeypatch):
    """Workers that write down ten times a second who is connected."""
    monkeypatch.setattr(presence, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(presence, "GRACE", 0.1)
    monkeypatch.setattr(presence, "SIGNS_EVERY", 0.1)
    monkeypatch.setattr(presence, "RENEW_EVERY", 0.1)


async def rows(count, **fields):
    """The connections, once there are so many that look so."""
    found = Connection.objects.filter(**fields).select_related("lease").order_by("since")
    async with asyncio.timeout(10):
        while len(seen := await meanwhile(lambda: list(found.all()))) != count:
            await asyncio.sleep(0.05)
    return seen


# Seen


async def test_each_connection_is_a_row_that_says_who_from_where_and_with_what(
    tokens, application, alice, worker
):
    headers = {"user-agent": "Firefox\x1b[31m/99"}
    async with browser(application, tokens["alice"], headers=headers):
        [row] = await rows(1, state="live")
    assert (row.user_id, row.address, row.subprotocol) == (alice.pk, "127.0.0.1", "chat.v1.json")
    assert row.client == "Firefox[31m/99"
    assert row.since <= row.active_at
    assert (row.lease.host, row.lease.pid) == (socket.gethostname(), os.getpid())


async def test_what_a_client_says_shows_in_its_row(tokens, application, kitchen):
    async with browser(application, tokens["alice"]) as page:
        [before] = await rows(1, state="live")
        await page.post("Tea?", room=kitchen.pk)
        [_] = await rows(1, active_at__gt=before.active_at)


async def test_what_a_client_is_told_is_nothing_that_it_does(tokens, application, worker, kitchen):
    async with text_page(application, tokens["bob"]) as page:
        await until(worker.switchboard.sockets)
        [socket] = worker.switchboard.sockets()
        before = socket.opened_at, socket.heard_at
        async with browser(application, tokens["alice"]) as alice:
            await alice.post("Tea?", room=kitchen.pk)
        await page.next()
        assert (socket.opened_at, socket.heard_at) == before


@pytest.mark.parametrize("address", ["fe80::1%" + "x" * 100, "unknown, \0\x1b" * 9, "2001:db8::1"])
async def test_whatever_a_server_takes_for_an_address_is_written_down(
    tokens, application, bob, address
):
    async with (
        browser(application, tokens["alice"], address=address),
        browser(application, tokens["bob"]),
    ):
        assert {row.address[:9] for row in await rows(2)} == {"127.0.0.1", address[:9]}


async def test_a_page_of_ten_lines_is_a_row_too(tokens, application):
    async with text_page(application, tokens["alice"]):
        [row] = await rows(1)
        assert row.subprotocol == "chat"


async def test_whoever_reads_too_slowly_is_shown_to_be_behind(
    tokens, application, kitchen, bob, monkeypatch
):
    monkeypatch.setattr(conf, "OUTBOX_BYTES", 1_000)
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        bobs.wire.reads.clear()
        for _ in range(5):
            await alices.post("x" * 900, room=kitchen.pk)
        await rows(1, state="behind", user=bob.pk)
        bobs.wire.reads.set()
        await rows(2, state="live")


# Ended from anywhere


async def disconnect_it(bob):
    [key] = await meanwhile(lambda: list(bob.chat_connections.values_list("pk", flat=True)))
    assert await meanwhile(control.disconnect, [key]) == 1


async def disconnect_him(bob):
    await meanwhile(control.disconnect_user, bob)


async def disconnect_everybody(bob):
    await meanwhile(control.disconnect_everybody)


async def kick_him(bob):
    await meanwhile(control.kick, bob)


ENDINGS = [
    (disconnect_it, 4010, True),
    (disconnect_him, 4010, True),
    (disconnect_everybody, 4010, True),
    (kick_him, 4503, False),
]


@pytest.mark.parametrize(("end", "code", "returns"), ENDINGS)
async def test_bobs_connection_is_ended_on_whatever_worker_also_without_the_layer(
    tokens, application, elsewhere, bob, end, code, returns
):
    """Nobody announces it: the worker finds it in the database."""
    with lost_announcements():
        async with browser(elsewhere, tokens["bob"]) as page:
            await rows(1)
            await end(bob)
            bye = await page.says_goodbye()
    assert (bye["code"], bye["reconnect"]) == (code, returns)
    assert ("retry_after_ms" in bye) == returns


@pytest.mark.parametrize("end", [disconnect_it, disconnect_him, kick_him])
async def test_nobody_else_is_touched(tokens, application, bob, worker, end):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as page,
    ):
        await rows(2)
        await end(bob)
        await page.says_goodbye()
        assert (await alice.ask(type="ping"))["type"] == "pong"


async def test_one_of_bobs_connections_can_end_alone(tokens, application, bob, worker):
    async with browser(application, tokens["bob"]) as phone:
        [row] = await rows(1)
        async with browser(application, tokens["bob"]) as laptop:
            await rows(2)
            await meanwhile(control.disconnect, [row.pk])
            assert (await phone.says_goodbye())["code"] == 4010
            assert (await laptop.ask(type="ping"))["type"] == "pong"


@pytest.mark.parametrize("end", [disconnect_him, disconnect_everybody, kick_him])
async def test_whoever_comes_back_is_let_in_and_stays(tokens, application, bob, worker, end):
    async with browser(application, tokens["bob"]) as page:
        await end(bob)
        await page.says_goodbye()
    async with browser(application, tokens["bob"]) as page:
        checked = worker.watch._seen_at
        await until(lambda: worker.watch._seen_at > checked + 1)
        assert (await page.ask(type="ping"))["type"] == "pong"


async def test_a_connection_so_new_that_it_has_no_row_ends_with_the_others_of_its_user(
    tokens, application, bob, monkeypatch
):
    monkeypatch.setattr(presence, "LOOK_EVERY", 60)
    async with browser(application, tokens["bob"]) as page:
        await meanwhile(control.kick, bob)
        assert (await page.says_goodbye())["code"] == 4503


async def test_what_was_said_is_not_lost_by_a_disconnection(tokens, application, kitchen, alice):
    async with browser(application, tokens["bob"]) as bobs:
        await rows(1)
        await meanwhile(control.disconnect_everybody)
        await bobs.says_goodbye()
    async with browser(application, tokens["alice"]) as alices:
        await alices.post("Still there?", room=kitchen.pk)
    async with browser(application, tokens["bob"], client=bobs.client) as bobs:
        await bobs.until(lambda: "Still there?" in bobs.client.bodies(kitchen.pk))


async def test_a_code_of_a_later_release_is_one_to_come_back_after(
    tokens, application, bob, worker
):
    """Its workers and ours share the database while it is rolled out."""
    async with browser(application, tokens["bob"]) as page:
        await meanwhile(control.disconnect_user, bob, 4444)
        assert (await page.says_goodbye())["code"] == 4010


# Kept out, and kept quiet


async def test_a_ban_closes_what_bob_has_open_and_says_until_when(
    tokens, application, elsewhere, bob
):
    with lost_announcements():
        async with browser(elsewhere, tokens["bob"]) as page:
            await meanwhile(control.ban, bob, timezone.now() + timedelta(hours=1), "Spam")
            bye = await page.says_goodbye()
    assert (bye["code"], bye["reconnect"]) == (4503, False)
    assert 3_500_000 < bye["retry_after_ms"] <= 3_600_001
    assert "Spam" not in str(bye)  # which is for those who run the site


def test_a_ban_keeps_its_reason_until_it_is_lifted(bob):
    control.ban(bob, timezone.now() + timedelta(hours=1), "Spam")
    assert Access.objects.get(pk=bob.pk).ban_reason == "Spam"
    control.ban(bob, None)
    lifted = Access.objects.get(pk=bob.pk)
    assert (lifted.banned_until, lifted.ban_reason) == (None, "")


def test_whoever_is_muted_writes_nothing_there_until_it_is_lifted(bob, kitchen, lobby):
    control.mute(bob, kitchen.pk, timezone.now() + timedelta(hours=1), "Spam")
    assert seat_of(bob, kitchen).mute_reason == "Spam"
    with pytest.raises(Muted):
        post(draft(bob, kitchen))
    post(draft(bob, lobby))
    control.mute(bob, kitchen.pk, None)
    assert seat_of(bob, kitchen).mute_reason == ""
    post(draft(bob, kitchen))


def test_workers_look_again_at_whoever_is_muted(bob, kitchen):
    before = Access.objects.get(pk=bob.pk).version
    control.mute(bob, kitchen.pk, timezone.now() + timedelta(hours=1))
    assert Access.objects.get(pk=bob.pk).version == before + 1


def test_nobody_is_muted_where_they_have_no_seat(charlie, kitchen):
    with pytest.raises(NotFound):
        control.mute(charlie, kitchen.pk, timezone.now() + timedelta(hours=1))


# Sessions


@pytest.mark.parametrize("engine", ["db", "cached_db"])
def test_ending_bobs_sessions_logs_him_out_everywhere_and_nobody_else(
    alice, bob, settings, tokens, engine
):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    browsers = {name: [HttpClient(), HttpClient()] for name in ("alice", "bob")}
    for name, clients in browsers.items():
        for client in clients:
            assert client.login(username=name, password=PASSWORD)
    Session.objects.create(session_key="garbage", session_data="x", expire_date=timezone.now())
    assert control.end_sessions([bob]) == 2
    assert [c.get("/").status_code for c in browsers["bob"]] == [302, 302]
    assert [c.get("/").status_code for c in browsers["alice"]] == [200, 200]
    assert not Token.objects.filter(user=bob).exists()
    assert Token.objects.filter(user=alice).exists()


async def test_what_was_opened_with_them_ends_with_them(tokens, application, bob):
    async with browser(application, tokens["bob"]) as page:
        await meanwhile(control.end_sessions, [bob])
        assert (await page.says_goodbye())["code"] == 4501


# Too many


async def refusal(application, token, **wire):
    """The goodbye to somebody who is not let in."""
    async with browser(application, token, resume=False, **wire) as page:
        return await page.says_goodbye()


async def test_a_user_has_so_many_connections_over_all_workers(
    tokens, worker, application, elsewhere, monkeypatch
):
    monkeypatch.setattr(conf, "CONNECTIONS", 2)
    async with browser(application, tokens["bob"]), browser(elsewhere, tokens["bob"]):
        await until(lambda: worker.presence.elsewhere.users.total() == 1)
        bye = await refusal(application, tokens["bob"])
        assert (bye["code"], bye["reconnect"]) == (4008, True)
        assert bye["retry_after_ms"] >= 1_000
        async with browser(application, tokens["alice"]):
            pass


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::{}"])
async def test_an_address_has_as_many_connections_as_its_people(
    tokens, application, settings, monkeypatch, address
):
    monkeypatch.setattr(conf, "CONNECTIONS", 1)
    settings.CHAT_PEOPLE_PER_ADDRESS = 2
    async with browser(application, tokens["alice"], address=address.format(1)):
        async with browser(application, tokens["bob"], address=address.format(2)):
            bye = await refusal(application, tokens["charlie"], address=address.format(3))
            assert bye["code"] == 4510
            async with browser(application, tokens["charlie"]):
                pass  # from another one
        async with browser(application, tokens["charlie"], address=address.format(3)):
            pass


async def test_what_was_opened_on_two_workers_at_the_same_moment_is_closed_again(
    tokens, worker, other_worker, application, elsewhere, monkeypatch
):
    both = [worker, other_worker]
    async with AsyncExitStack() as stack:
        for place in (application, elsewhere):
            for _ in range(3):
                await stack.enter_async_context(browser(place, tokens["bob"]))
        monkeypatch.setattr(conf, "CONNECTIONS", 4)
        await until(lambda: sum(len(w.switchboard.sockets()) for w in both) == 4)
        first = min(both, key=attrgetter("key"))
        assert len(first.switchboard.sockets()) == 3


async def test_whose_worker_has_ended_well_is_let_in_at_once(
    tokens, worker, application, bob, monkeypatch
):
    """They were told to come here, and count as online until they do."""
    monkeypatch.setattr(conf, "CONNECTIONS", 1)
    async with Worker() as ending, browser(serve(ending), tokens["bob"]):
        await rows(1)
    async with browser(application, tokens["alice"]):
        await until(lambda: bob.pk in worker.presence.elsewhere.users)
        assert bob.pk in worker.presence.online
        async with browser(application, tokens["bob"]):
            pass


async def test_whose_worker_died_is_not_turned_away_for_good(
    tokens, application, bob, worker, monkeypatch
):
    """Their connections there count until its lease runs out."""
    monkeypatch.setattr(conf, "CONNECTIONS", 1)
    await meanwhile(leases.begin, "dead", {"phone": leases.Link(bob.pk)})
    async with browser(application, tokens["alice"]):
        await until(lambda: worker.presence.elsewhere.users[bob.pk] == 1)
        assert (await refusal(application, tokens["bob"]))["reconnect"]
        await meanwhile(Lease.objects.filter(pk="dead").update, renewed_at=Now() - 2 * leases.LIFE)
        await until(lambda: not worker.presence.elsewhere.users[bob.pk])
        async with browser(application, tokens["bob"]):
            pass


# From the shell


def said(*command):
    out = io.StringIO()
    call_command(*command, stdout=out)
    return out.getvalue()


def test_the_shell_lists_who_is_connected(bob, charlie):
    firefox = leases.Link(bob.pk, "203.0.113.7", "Firefox", "chat.v1.json", "live")
    leases.begin("one", {"phone": firefox, "laptop": leases.Link(charlie.pk)})
    listed = said("connections").splitlines()
    assert len(listed) == 3
    of_bob = said("connections", "--user", "bob")
    assert all(word in of_bob for word in ("phone", "Firefox", "live"))
    assert "charlie" not in of_bob
    [record] = map(json.loads, said("connections", "--user", "bob", "--json").splitlines())
    assert (record["user"], record["address"]) == ("bob", "203.0.113.7")


def test_the_shell_lists_nobody_of_a_worker_that_died(bob):
    leases.begin("one", {"phone": leases.Link(bob.pk)})
    Lease.objects.update(renewed_at=Now() - leases.LIFE - timedelta(seconds=1))
    assert "bob" not in said("connections")


def entries():
    """What the audit log says of the shell, the oldest first."""
    log = AuditEntry.objects.order_by("pk")
    assert all(entry.actor_name.startswith("manage.py (") for entry in log)
    return [(entry.action, entry.label) for entry in log]


@pytest.mark.parametrize(
    ("command", "action"),
    [
        (("ban",), "banned"),
        (("unban",), "unbanned"),
        (("kick",), "kicked"),
        (("end_sessions",), "sessions_ended"),
        (("disconnect", "--user"), "disconnected"),
    ],
)
def test_what_is_done_from_the_shell_is_written_down(bob, command, action):
    said(*command, "bob")
    assert entries() == [(action, "bob")]


def test_who_is_disconnected_from_the_shell_is_written_down(bob):
    leases.begin("one", {"phone": leases.Link(bob.pk, "203.0.113.7")})
    said("disconnect", "phone")
    said("disconnect", "--everybody")
    assert entries() == [("disconnected", "bob"), ("disconnected", "everybody")]
    assert AuditEntry.objects.earliest("pk").after["address"] == "203.0.113.7"


def test_the_shell_keeps_why_somebody_is_banned(bob):
    said("ban", "bob", "--reason", "Spam")
    assert Access.objects.get(pk=bob.pk).ban_reason == "Spam"
    assert AuditEntry.objects.get().comment == "Spam"
    with pytest.raises(CommandError, match="at most 200 characters"):
        call_command("ban", "bob", f"--reason={'x' * 201}")


def test_nothing_is_done_that_cannot_be_written_down(bob):
    with patch("chat.measures.record", side_effect=OperationalError("full")):
        for command in ("ban", "kick", "end_sessions"):
            with pytest.raises(CommandError):
                said(command, "bob")
    bobs = Access.objects.get(pk=bob.pk)
    assert (bobs.banned_until, bobs.close_code) == (None, None)


def test_the_shell_disconnects_one(bob):
    leases.begin("one", {"phone": leases.Link(bob.pk), "-laptop": leases.Link(bob.pk)})
    said("disconnect", "phone")
    said("disconnect", "--", "-laptop")
    assert {c.close_code for c in Connection.objects.all()} == {CloseCode.DISCONNECTED}
    with pytest.raises(CommandError, match="not open"):
        said("disconnect", "fax")


def test_the_shell_bans_for_a_while_and_lifts_it(bob):
    before = timezone.now()
    assert "until" in said("ban", "bob", "--for", "1h")
    bob.chat_access.refresh_from_db()
    assert timedelta(hours=1) <= bob.chat_access.banned_until - before < timedelta(hours=2)
    assert "may come in" in said("unban", "bob")
    bob.chat_access.refresh_from_db()
    assert bob.chat_access.banned_until is None
    assert "for good" in said("ban", "bob")


@pytest.mark.parametrize("time", ["", "1", "h", "1y", "-1h", "1h2m", "999999999d"])
def test_a_time_that_is_none_is_refused(bob, time):
    with pytest.raises(CommandError):
        call_command("ban", "bob", f"--for={time}")


@pytest.mark.parametrize("command", ["connections", "disconnect"])
def test_a_name_that_is_empty_is_nobodys(db, command):
    with pytest.raises(CommandError, match="There is no user ''"):
        call_command(command, "--user", "")


@pytest.mark.parametrize("verb", ["kick", "ban", "unban", "end_sessions"])
def test_nobody_of_that_name_is_told_in_one_line(db, verb):
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        call_command(verb, "nobody")


@pytest.mark.parametrize(
    "command", [["kick", "bob"], ["connections"], ["disconnect", "--everybody"], ["new_epoch"]]
)
def test_a_database_that_is_away_is_told_in_one_line(db, command):
    with (
        patch("django.db.backends.utils.CursorWrapper.execute", side_effect=OperationalError("x")),
        pytest.raises(CommandError, match="The database is busy or away"),
    ):
        call_command(*command)


def test_tables_that_are_missing_are_told_from_a_database_that_is_away(db):
    missing = ProgrammingError('relation "chat_epoch" does not exist')
    with (
        patch("django.db.backends.utils.CursorWrapper.execute", side_effect=missing),
        pytest.raises(CommandError, match="doctor says why"),
    ):
        call_command("new_epoch")


@pytest.mark.parametrize(
    "command",
    [
        *(["kick", "\udcff"], ["connections", "--user", "\udcff"], ["disconnect", "\udcff"]),
        ["purge", "--older-than=1d", "--room=\udcff"],
    ],
)
def test_bytes_that_are_no_text_are_told_in_one_line(db, command):
    with pytest.raises(CommandError, match="This is no text"):
        call_command(*command)


def test_whoever_reads_no_further_sees_no_traceback(db):
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w") as out, pytest.raises(SystemExit):
        call_command("connections", stdout=out)


def test_no_name_moves_the_cursor_of_the_shell(bob):
    type(bob).objects.filter(pk=bob.pk).update(username="bob\x1b[2J")
    leases.begin("one", {"phone": leases.Link(bob.pk)})
    assert "bob\\x1b[2J" in said("connections")
