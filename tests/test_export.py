"""What is handed out is whole, comes in pieces, calculates nothing, and is written down before."""

import csv
import json
import warnings
from datetime import UTC, datetime

import pytest
from asgiref.sync import sync_to_async
from django.contrib.admin.utils import quote
from django.contrib.auth.models import Permission
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import AsyncClient
from django.test.utils import CaptureQueriesContext
from pytest_django.asserts import assertContains, assertNotContains

from chat import audit, export, messaging, preferences, reports
from chat.audit import Action, Actor
from chat.export import Format, lines
from chat.models import AuditEntry, Message, Room
from tests.conftest import token
from tests.conversation import deactivate, say, say_much

SOMEBODY = Actor("root", address="203.0.113.7")


def read(export, kind=Format.JSONL):
    """What an export says, as whoever opens it sees it."""
    text = b"".join(lines(export, kind)).decode()
    return rows(text, kind)


def rows(text, kind=Format.JSONL):
    if kind == Format.CSV:
        assert text.startswith("\ufeff")
        return [*csv.DictReader(text[1:].splitlines(keepends=True))]
    return [json.loads(line) for line in text.splitlines()]


def of_kind(rows, kind):
    return [row for row in rows if row["kind"] == kind]


# What is in it


@pytest.mark.parametrize("kind", Format)
def test_what_was_said_in_a_room_is_handed_out_in_order(alice, bob, kitchen, kind):
    say(alice, kitchen, "one, “two”", "three\nfour")
    say(bob, kitchen, "gone")
    messaging.take_down(kitchen.pk, 3)
    kitchen.refresh_from_db()
    said = read(export.messages(SOMEBODY, kitchen), kind)
    assert [row["body"] for row in said] == ["one, “two”", "three\nfour", ""]
    assert [row["sender"] for row in said] == ["alice", "alice", "bob"]
    assert [str(row["deleted"]).lower() for row in said] == ["false", "false", "true"]
    assert [int(row["seq"]) for row in said] == [1, 2, 3]


def test_what_retention_let_go_of_is_not_in_it(alice, kitchen):
    say_much(alice, kitchen, 3)
    Room.objects.filter(pk=kitchen.pk).update(first_seq=3)
    kitchen.refresh_from_db()
    assert [row["seq"] for row in read(export.messages(SOMEBODY, kitchen))] == [3]


@pytest.mark.parametrize("kind", Format)
def test_the_audit_log_is_handed_out_the_oldest_first(alice, kitchen, kind):
    audit.record(SOMEBODY, Action.BANNED, alice, before={"until": None}, after={"until": "1 h"})
    first, second = read(export.audit_log(SOMEBODY), kind)
    assert (first["action"], first["label"], first["address"]) == ("banned", "alice", "203.0.113.7")
    after = first["after"] if kind == Format.JSONL else json.loads(first["after"])
    assert after == {"until": "1 h"}
    assert second["action"] == "exported"


def test_of_a_person_everything_is_handed_out(alice, bob, kitchen, lobby):
    say(alice, kitchen, "among us")
    say(alice, lobby, "to all")
    say(bob, kitchen, "mine")
    reports.report_message(alice, kitchen.pk, 2, "rude")
    token(alice)
    preferences.store(alice.pk, {"theme": "dark"})
    audit.record(SOMEBODY, Action.MUTED, alice, comment="for shouting")
    told = read(export.person(SOMEBODY, alice, private=True))
    assert [row["body"] for row in of_kind(told, "message")] == ["among us", "to all"]
    assert {row["room_name"] for row in of_kind(told, "membership")} == {"Kitchen", "Lobby"}
    assert of_kind(told, "profile")[0]["username"] == "alice"
    assert of_kind(told, "preferences")[0]["theme"] == "dark"
    assert of_kind(told, "report")[0]["reason"] == "rude"
    assert of_kind(told, "audit")[0]["comment"] == "for shouting"
    assert len(of_kind(told, "token")) == 1
    text = json.dumps(told)
    assert "mine" not in text
    assert "password" not in text


def test_without_the_permission_words_in_private_rooms_stay_there(alice, kitchen, lobby, garden):
    say(alice, kitchen, "among us")
    say(alice, lobby, "to all")
    say(alice, garden, "to whoever comes")
    told = read(export.person(SOMEBODY, alice, private=False))
    assert [row["body"] for row in of_kind(told, "message")] == ["to all", "to whoever comes"]
    assert told[0]["private_messages"] is False


# How it is written


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_spreadsheet_calculates_what_somebody_said(alice, kitchen, start):
    alice.username = f"{start}cmd()"
    alice.save()
    say(alice, kitchen, f"{start}HYPERLINK()")
    kitchen.refresh_from_db()
    text = b"".join(lines(export.messages(SOMEBODY, kitchen), Format.CSV)).decode()
    [_, row] = csv.reader(text[1:].splitlines(keepends=True))
    told = dict(zip(export.MESSAGE, row, strict=True))
    assert told["body"] == f"'{start}HYPERLINK()"
    assert told["sender"] == f"'{start}cmd()"


def test_numbers_and_times_are_no_formulas(alice, kitchen):
    say(alice, kitchen, "hello")
    kitchen.refresh_from_db()
    [row] = read(export.messages(SOMEBODY, kitchen), Format.CSV)
    assert row["seq"] == "1"
    assert datetime.fromisoformat(row["created_at"]) <= datetime.now(UTC)


# Piece by piece


def test_rows_are_read_as_they_are_wanted(alice, kitchen, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 10)
    say_much(alice, kitchen, 35)
    kitchen.refresh_from_db()
    pieces = lines(export.messages(SOMEBODY, kitchen), Format.JSONL)
    counts = []
    for _ in range(4):
        with CaptureQueriesContext(connection) as asked:
            counts.append(len(next(pieces).splitlines()))
        assert len(asked) == 1
    assert counts == [10, 10, 10, 5]
    assert next(pieces, None) is None


def test_all_words_of_a_person_come_in_the_order_they_were_said(alice, kitchen, lobby, monkeypatch):
    monkeypatch.setattr(export, "CHUNK", 4)
    for room in (kitchen, lobby, kitchen):
        say_much(alice, room, 9)
    said = of_kind(read(export.person(SOMEBODY, alice, private=True)), "message")
    keys = Message.objects.order_by("pk").values_list("room", "seq")
    assert [(row["room"], row["seq"]) for row in said] == [*keys]


def test_it_is_written_down_before_the_first_line(alice, kitchen):
    export.messages(SOMEBODY, kitchen)
    export.person(SOMEBODY, alice, private=False)
    export.audit_log(SOMEBODY)
    noted = AuditEntry.objects.order_by("pk").values_list("action", "kind", "label")
    assert [*noted] == [
        ("exported", "room", "Kitchen"),
        ("exported", "user", "alice"),
        ("exported", "", "audit log"),
    ]


# From the panel


def permit(user, *codenames):
    user.is_staff = True
    user.save()
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    return type(user).objects.get(pk=user.pk)


def page(row):
    return f"/admin/chat/{row._meta.model_name}/{quote(row.pk)}/export/"


LOG = "/admin/chat/auditentry/export/"


@pytest.fixture
def auditor(client, charlie):
    """May see everything and export, but not read what is private."""
    views = ("view_room", "view_access", "view_auditentry")
    charlie = permit(charlie, "can_export", *views)
    client.force_login(charlie)
    return client


def text_of(response):
    assert response.status_code == 200
    return response.getvalue().decode()


def test_an_open_room_is_handed_out_as_a_file(auditor, alice, garden):
    say(alice, garden, "hello")
    response = auditor.post(page(garden), {"format": "csv"})
    assert response["Content-Disposition"] == f'attachment; filename="messages-{garden.pk}.csv"'
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert [row["body"] for row in rows(text_of(response), Format.CSV)] == ["hello"]
    assert AuditEntry.objects.get().actor_name == "charlie"


def test_who_may_finds_it_where_the_row_is(auditor, charlie, alice, kitchen, garden):
    for row in (garden, alice.chat_access):
        assertContains(auditor.get(page(row).replace("/export/", "/change/")), page(row))
    assertNotContains(auditor.get(page(kitchen).replace("/export/", "/change/")), page(kitchen))
    permit(charlie, "view_room", "view_access")
    for row in (garden, alice.chat_access):
        assertNotContains(auditor.get(page(row).replace("/export/", "/change/")), page(row))


def test_a_private_room_is_not_without_the_permission(auditor, charlie, alice, kitchen):
    say(alice, kitchen, "among us")
    assert auditor.post(page(kitchen)).status_code == 403
    assert not AuditEntry.objects.exists()
    permit(charlie, "can_export", "view_room", "can_read_private")
    assert "among us" in text_of(auditor.post(page(kitchen)))


def test_a_persons_private_words_are_left_out_without_the_permission(auditor, alice, kitchen):
    say(alice, kitchen, "among us")
    told = rows(text_of(auditor.post(page(alice.chat_access))))
    assert told[0]["private_messages"] is False
    assert of_kind(told, "message") == []


def test_the_log_is_handed_out_as_it_is_filtered(auditor, alice):
    audit.record(SOMEBODY, Action.BANNED, alice)
    audit.record(SOMEBODY, Action.UNBANNED, alice)
    told = rows(text_of(auditor.post(f"{LOG}?action__exact=banned", {"format": "jsonl"})))
    assert [row["action"] for row in told] == ["banned"]


def test_a_filter_that_makes_no_sense_is_refused(auditor):
    assert auditor.post(f"{LOG}?since=never").status_code == 400
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("missing", ["can_export", "view"])
def test_who_may_not_gets_nothing(client, charlie, alice, garden, missing):
    views = ["view_room", "view_access", "view_auditentry"]
    permit(charlie, *(views if missing == "can_export" else ["can_export", "can_read_private"]))
    client.force_login(charlie)
    for place in (page(garden), page(alice.chat_access), LOG):
        assert client.post(place).status_code == 403
    assert not AuditEntry.objects.exists()


def test_nothing_is_handed_out_by_a_link(admin_client, alice, garden):
    for place in (page(garden), page(alice.chat_access), LOG):
        assert admin_client.get(place).status_code == 405
    assert not AuditEntry.objects.exists()


def test_what_cannot_be_is_refused_and_not_written_down(admin_client, alice, garden):
    assert admin_client.post(page(garden), {"format": "xls"}).status_code == 400
    assert admin_client.post(page(alice.chat_access), {"format": "csv"}).status_code == 400
    assert admin_client.post("/admin/chat/room/nowhere/export/").status_code == 404
    assert not AuditEntry.objects.exists()


@pytest.mark.django_db(transaction=True)
async def test_a_server_reads_on_only_as_it_sends(alice, garden, monkeypatch, admin_user):
    """Django would gather the whole of an iterator that is not asynchronous, and warn of it."""
    monkeypatch.setattr(export, "CHUNK", 10)
    await sync_to_async(say_much)(alice, garden, 30)
    browser = AsyncClient()
    await browser.aforce_login(admin_user)
    real, read = export._message, []

    def noted(message):
        read.append(message.seq)
        return real(message)

    monkeypatch.setattr(export, "_message", noted)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="StreamingHttpResponse")
        response = await browser.post(page(garden), {"format": "jsonl"})
        seen = []
        async for piece in response.streaming_content:
            seen.append(len(piece.splitlines()))
            assert len(read) == sum(seen)
    assert seen == [10, 10, 10]


# From the shell


def test_the_command_writes_to_where_it_is_told(alice, kitchen, tmp_path, capsysbinary):
    say(alice, kitchen, "hello")
    call_command("export", "room", kitchen.pk, "--format=csv")
    assert b"hello" in capsysbinary.readouterr().out
    call_command("export", "person", "alice", f"--output={tmp_path / 'alice.jsonl'}")
    told = rows((tmp_path / "alice.jsonl").read_text())
    assert [row["body"] for row in of_kind(told, "message")] == ["hello"]
    assert (tmp_path / "alice.jsonl").stat().st_mode & 0o777 == 0o600
    call_command("export", "audit")
    assert b"exported" in capsysbinary.readouterr().out
    assert {entry.actor for entry in AuditEntry.objects.all()} == {None}


def test_also_who_may_not_log_in_any_more_is_handed_out(alice, capsys):
    deactivate(alice)
    call_command("export", "person", "alice")
    assert '"username": "alice"' in capsys.readouterr().out


def test_the_command_says_what_there_is_not(alice, tmp_path):
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("export", "person", "nobody")
    with pytest.raises(CommandError, match="no room nowhere"):
        call_command("export", "room", "nowhere")
    (tmp_path / "there").touch()
    with pytest.raises(CommandError, match="exists"):
        call_command("export", "audit", f"--output={tmp_path / 'there'}")
