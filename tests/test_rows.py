"""Many rows in one statement: found, inserted and changed as they are, on both databases."""

from uuid import uuid4

import pytest
from django.db import IntegrityError
from django.utils import timezone

from chat import rows
from chat.messaging import BORN_WITH
from chat.models import Membership, Message, Room
from tests.conversation import queries, seat_of

BODIES = [
    "'; --",
    'a "quoted" word',
    r"\x00 \n \\",
    "字 😀 \u202e",
    "\x01\x7f\t\r\n",
    "{}[]%s %%",
    "",
]


def message(room, sender, seq, body="Hello"):
    """The values of a row, in the order of BORN_WITH."""
    born = (room.pk, seq, seq, seq, sender.pk, uuid4(), bytes(range(16)), body, timezone.now())
    return dict(zip(BORN_WITH, (*born, None, False, False), strict=True))


def insert(*messages):
    rows.insert(Message, BORN_WITH, [list(values.values()) for values in messages])


def test_what_was_inserted_is_there_as_it_was(alice, kitchen):
    messages = [message(kitchen, alice, seq, body) for seq, body in enumerate(BODIES, 1)]
    insert(*messages)
    assert list(Message.objects.order_by("seq").values(*BORN_WITH)) == messages


def test_rows_are_inserted_all_or_none(alice, kitchen):
    with pytest.raises(IntegrityError):
        insert(message(kitchen, alice, 1), message(kitchen, alice, 2), message(kitchen, alice, 2))


def test_each_row_is_found_by_its_own_values(alice, bob, kitchen, lobby):
    asked = [(kitchen.pk, bob.pk), ("nowhere", bob.pk), (lobby.pk, alice.pk), (lobby.pk, 4711)]
    found = rows.find(Membership, ["room_id", "user_id"], asked, "n, id")
    keys = [(0, seat_of(bob, kitchen).pk), (2, seat_of(alice, lobby).pk)]
    assert sorted(found) == keys


@pytest.mark.parametrize("wrong", ["", " ", "%", "'", '"', "\\", "{", "NULL", "字"])
def test_what_looks_alike_is_not_found(kitchen, wrong):
    asked = [[kitchen.pk + wrong], [wrong], [kitchen.pk[:-1]]]
    found = rows.find(Room, ["id"], asked, "id")
    assert found == ([] if wrong else [(kitchen.pk,)])


def test_a_time_comes_as_it_is_stored(alice, kitchen):
    values = message(kitchen, alice, 1)
    insert(values)
    key = [[values["sender_id"], values["client_id"]]]
    [[read]] = rows.find(Message, ["sender_id", "client_id"], key, "created_at")
    assert rows.moment(read) == values["created_at"]


def test_the_databases_time_is_now(kitchen):
    [[now]] = rows.find(Room, ["id"], [[kitchen.pk]], rows.now())
    assert abs((rows.moment(now) - timezone.now()).total_seconds()) < 60


def test_rows_are_changed_each_to_its_own_values(kitchen, lobby):
    rows.update(Room, ["id", "seq", "rev"], [[kitchen.pk, 3, 5], [lobby.pk, 7, 2**62]])
    assert Room.objects.filter(pk=kitchen.pk, seq=3, rev=5).exists()
    assert Room.objects.filter(pk=lobby.pk, seq=7, rev=2**62).exists()


def test_no_rows_are_no_trouble(db):
    assert rows.find(Room, ["id"], [], "id") == []
    rows.insert(Message, BORN_WITH, [])
    rows.update(Room, ["id", "seq", "rev"], [])


def test_many_rows_take_one_statement(alice, kitchen):
    messages = [message(kitchen, alice, seq) for seq in range(1, 301)]
    keys = [[values["sender_id"], values["client_id"]] for values in messages]
    assert queries(lambda: insert(*messages)) == 1
    assert queries(lambda: rows.find(Message, ["sender_id", "client_id"], keys, "n, id")) == 1
    found = rows.find(Message, ["sender_id", "client_id"], keys, "n, id")
    assert len(found) == 300
    changes = [[pk, str(n)] for n, pk in found]
    assert queries(lambda: rows.update(Message, ["id", "body"], changes)) == 1
    assert Message.objects.get(seq=300).body == "299"
