"""What is handed out: the audit log, what was said in a room, all that is known of a person.

Synchronous and lazy: rows are read some hundreds at a time, each time by their keys. Whoever takes
the lines slowly holds neither memory nor a cursor. That somebody has asked is in the audit log
before the first of them.
"""

import csv
import json
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from io import StringIO
from itertools import chain
from typing import Any, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import F, Model, Q, QuerySet
from django.utils import timezone

from . import audit
from .archive import stored_messages
from .audit import Action, Actor
from .models import (
    Access,
    AuditEntry,
    Connection,
    LastSeen,
    Membership,
    Message,
    Preferences,
    Report,
    Room,
    Token,
)
from .users import username

CHUNK = 500  # rows that are read, and handed out, at once
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would begin to calculate

Row = dict[str, Any]
Chunks = Iterator[Sequence[Row]]

ENTRY = (
    *("id", "at", "actor_name", "address", "action", "kind", "key", "label", "room"),
    *("comment", "before", "after"),
)
MESSAGE = (
    *("room", "seq", "sender", "created_at", "edited_at", "deleted", "announcement", "body"),
)


class Format(StrEnum):
    CSV = "csv"
    JSONL = "jsonl"


class Export(NamedTuple):
    """What is handed out, chunk by chunk; its rows have these columns, or are of many kinds."""

    name: str  # of a file, without its ending
    chunks: Chunks
    columns: Sequence[str] = ()

    @property
    def formats(self) -> list[Format]:
        return [*Format] if self.columns else [Format.JSONL]


# What there is


def audit_log(actor: Actor, entries: QuerySet[AuditEntry] | None = None) -> Export:
    """These entries, or all; the oldest first."""
    audit.record(actor, Action.EXPORTED, label="audit log")
    entries = AuditEntry.objects.all() if entries is None else entries
    return Export("audit-log", _read(entries, "pk", lambda row: _told(row, ENTRY)), ENTRY)


def messages(actor: Actor, room: Room) -> Export:
    """What was said in a room, up to now."""
    audit.record(actor, Action.EXPORTED, room)
    said = stored_messages().filter(room=room, seq__gte=room.first_seq, seq__lte=room.seq)
    return Export(f"messages-{room.pk}", _read(said, "seq", _message), MESSAGE)


def person(actor: Actor, user: AbstractBaseUser, *, private: bool) -> Export:
    """All that is known of somebody; without `private`, none of their words in private rooms."""
    audit.record(actor, Action.EXPORTED, user, after={"private": private})
    return Export(f"person-{user.pk}", _all_about(user, private))


def _all_about(user: AbstractBaseUser, private: bool) -> Chunks:
    head = {"person": username(user), "at": timezone.now(), "private_messages": private}
    yield [{"kind": "export", **head}, _kind("profile", _profile(user))]
    own = Q(user=user.pk)
    seats = Membership.objects.filter(own).annotate(room_name=F("room__name"))
    about = Q(kind="user", key=str(user.pk)) | Q(kind="access", key=str(user.pk))
    yield from chain(
        _kinds("access", Access.objects.filter(own), "banned_until", "ban_reason"),
        _kinds("last_seen", LastSeen.objects.filter(own), "at"),
        _kinds("preferences", Preferences.objects.filter(own), *_PREFERENCES),
        _kinds("membership", seats, *_SEAT),
        _kinds("connection", Connection.objects.filter(own), *_CONNECTION),
        _kinds("token", Token.objects.filter(own), "created_at", "expires_at"),
        _kinds("report", Report.objects.filter(reporter=user.pk), *_REPORT),
        _kinds("audit", AuditEntry.objects.filter(about), "at", "action", "comment"),
        ([_kind("message", row) for row in chunk] for chunk in _words(user, private)),
    )


_PREFERENCES = (
    *("theme", "language", "enter_sends", "hide_receipts", "hide_typing", "hide_presence"),
)
_SEAT = (
    *("room_id", "room_name", "role", "joined_at", "delivered_rev", "read_seq", "muted_until"),
    *("mute_reason", "posted_at", "notify", "unread_from", "blocks"),
)
_CONNECTION = ("address", "client", "subprotocol", "since", "active_at")
_REPORT = ("room_id", "seq", "reason", "created_at", "closed_at", "outcome")


def _profile(user: AbstractBaseUser) -> Row:
    """What the site's own model knows, but for what lets somebody in."""
    fields = [field for field in user._meta.concrete_fields if field.name != "password"]
    return {field.attname: field.value_from_object(user) for field in fields}


def _words(user: AbstractBaseUser, private: bool) -> Chunks:
    """All that somebody said, in the order in which they did."""
    keys = written_by(user)
    for start in range(0, len(keys), CHUNK):
        said = stored_messages().filter(pk__in=keys[start : start + CHUNK]).order_by("pk")
        open_to_all = Q(room__open=True) | Q(room__kind=Room.Kind.EVERYONE)
        yield [_message(message) for message in (said if private else said.filter(open_to_all))]


def written_by(user: AbstractBaseUser) -> "array[int]":
    """The keys of all messages of somebody, in order; eight bytes each.

    Found along the one index by sender there is, whose order means nothing.
    """
    found = array("q")
    mine = Message.objects.filter(sender=user.pk).order_by("client_id")
    rows = list(mine.values_list("client_id", "pk")[:CHUNK])
    while rows:
        found.extend(pk for _, pk in rows)
        rows = list(mine.filter(client_id__gt=rows[-1][0]).values_list("client_id", "pk")[:CHUNK])
    return array("q", sorted(found))


def _message(message: Message) -> Row:
    told = {"room": message.room_id, "sender": message.sender_name}
    return {name: told[name] if name in told else getattr(message, name) for name in MESSAGE}


def _kinds(kind: str, rows: QuerySet[Any], *names: str) -> Chunks:
    return _read(rows, "pk", lambda row: _kind(kind, _told(row, names)))


def _kind(kind: str, row: Row) -> Row:
    return {"kind": kind, **row}


def _told(row: Model, names: Sequence[str]) -> Row:
    return {name: getattr(row, name) for name in names}


def _read(rows: QuerySet[Any], key: str, told: Callable[[Any], Row]) -> Chunks:
    """All of these, in the order of a key that has an index."""
    rows = rows.order_by(key)
    found = list(rows[:CHUNK])
    while found:
        yield [told(row) for row in found]
        if len(found) < CHUNK:
            return
        found = list(rows.filter(**{f"{key}__gt": getattr(found[-1], key)})[:CHUNK])


# How it is written


def lines(export: Export, kind: Format) -> Iterator[bytes]:
    """In UTF-8, a piece for each chunk."""
    if kind == Format.JSONL:
        return ("".join(map(_json_line, chunk)).encode() for chunk in export.chunks)
    # The mark tells spreadsheets that it is UTF-8; other programs skip it.
    begin = "\ufeff" + _csv([export.columns])
    rows = (
        _csv([row[name] for name in export.columns] for row in chunk) for chunk in export.chunks
    )
    return (piece.encode() for piece in chain([begin], rows))


class _Encoder(DjangoJSONEncoder):
    def default(self, o: Any) -> Any:
        """Whatever fields the site's user model has."""
        try:
            return super().default(o)
        except TypeError:
            return str(o)


def _json_line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, cls=_Encoder, ensure_ascii=False) + "\n"


def _csv(rows: Any) -> str:
    text = StringIO(newline="")
    csv.writer(text).writerows([map(_cell, row) for row in rows])
    return text.getvalue()


def _cell(value: Any) -> Any:
    """As a spreadsheet shows it, and never calculates it."""
    match value:
        case datetime():
            return value.isoformat()
        case bool() | dict() | list():
            return json.dumps(value, cls=_Encoder, ensure_ascii=False)
        case str() if value.startswith(FORMULA):
            return f"'{value}"
    return value
