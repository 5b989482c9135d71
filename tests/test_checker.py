"""The checker finds what is wrong with a history, and nothing in one that is as it should be."""

from dataclasses import replace

import pytest

from tests.checker import findings
from tests.history import (
    Acknowledged,
    Admitted,
    Applied,
    Barred,
    Edited,
    Entered,
    Event,
    Head,
    Left,
    Row,
    Sent,
    Settled,
    Skipped,
    Stored,
    Told,
)

TEA = Told(1, 1, "id-1", "alice", "Tea?")
MILK = Told(2, 2, "id-2", "alice", "Milk?")
YES = Told(2, 3, "id-2", "alice", "With milk?")

ROWS = (
    Row("kitchen", 1, 1, 1, "alice", "id-1", "Tea?"),
    Row("kitchen", 2, 3, 2, "alice", "id-2", "With milk?"),
)
HEADS = {"kitchen": Head(seq=2, rev=3)}


def got(device: str, told: Told) -> Applied:
    return Applied(device, "kitchen", told.rev - 1, told.rev, (told,))


# Alice posts twice and edits; bob's first device hears it live, his second comes later.
CLEAN: list[Event] = [
    Entered("alice.1", "kitchen", 0),
    Entered("bob.1", "kitchen", 0),
    Sent("alice.1", 1, "kitchen", "id-1", "Tea?"),
    Sent("alice.1", 1, "kitchen", "id-2", "Milk?"),
    got("bob.1", TEA),
    Acknowledged("alice.1", "kitchen", "id-1", 1),
    Acknowledged("alice.1", "kitchen", "id-2", 2),
    got("alice.1", TEA),
    got("alice.1", MILK),
    got("bob.1", MILK),
    Stored("bob", "kitchen", 1, 0),
    Edited("alice.1", "kitchen", 2, "With milk?"),
    got("alice.1", YES),
    got("bob.1", YES),
    Stored("bob", "kitchen", 3, 2),
    Entered("bob.2", "kitchen", 0),
    Applied("bob.2", "kitchen", 0, 3, (TEA, YES)),
    Settled("alice.1"),
    Settled("bob.1"),
    Settled("bob.2"),
]


def without(*events: Event) -> list[Event]:
    return [event for event in CLEAN if event not in events]


def found(history: list[Event], rows: tuple[Row, ...] = ROWS, head: Head | None = None) -> set[str]:
    """The invariants that are broken."""
    heads = {"kitchen": head or HEADS["kitchen"]}
    return {finding.split()[0] for finding in findings(history, rows, heads)}


def test_nothing_is_wrong_with_a_clean_history():
    assert findings(CLEAN, ROWS, HEADS) == []


def test_nothing_is_wrong_with_a_retry_that_gets_the_same_answer():
    again = [
        Sent("alice.2", 1, "kitchen", "id-1", "Tea?"),
        Acknowledged("alice.2", "kitchen", "id-1", 1),
    ]
    assert found([*CLEAN, *again]) == set()


def test_nothing_is_wrong_with_a_reset_that_says_so():
    reset = Applied("bob.1", "kitchen", 0, 3, (YES,), reset=True)
    assert found([*CLEAN, reset]) == set()


def test_nothing_is_wrong_with_a_room_that_was_left_and_entered_again():
    assert found([*CLEAN, Left("bob.1", "kitchen"), Entered("bob.1", "kitchen", 3)]) == set()


def test_an_acknowledged_message_that_is_not_stored_is_lost():
    rows = (replace(ROWS[1], seq=1, born=1), replace(ROWS[0], id="id-x"))
    assert "I1" in found(CLEAN, rows[:1], Head(1, 3))


def test_an_acknowledgement_tells_the_place():
    assert "I1" in found([*CLEAN, Acknowledged("alice.1", "kitchen", "id-1", 2)])


def test_a_message_that_nobody_sent_is_a_phantom():
    assert "I2" in found(without(Sent("alice.1", 1, "kitchen", "id-1", "Tea?")))


def test_words_that_nobody_wrote_are_a_phantom():
    assert "I2" in found(without(Edited("alice.1", "kitchen", 2, "With milk?")))


def test_a_message_in_another_room_than_it_was_sent_to_is_a_phantom():
    elsewhere = [
        Entered("bob.1", "lobby", 0),
        Applied("bob.1", "lobby", 0, 1, (TEA,)),
    ]
    heads = HEADS | {"lobby": Head(1, 1)}
    rows = (*ROWS, Row("lobby", 1, 1, 1, "alice", "id-3", "Tea?"))
    assert any(f.startswith("I2") for f in findings([*CLEAN, *elsewhere], rows, heads))


def test_a_message_may_be_stored_only_once():
    rows = (*ROWS, Row("kitchen", 3, 4, 4, "alice", "id-1", "Tea?"))
    assert "I3" in found(CLEAN, rows, Head(3, 4))


def test_a_message_may_be_shown_only_once():
    assert "I3" in found([*CLEAN, got("bob.1", Told(3, 4, "id-1", "alice", "Tea?"))])


@pytest.mark.parametrize(
    "rows",
    [
        (ROWS[0], replace(ROWS[1], seq=3)),
        (ROWS[0], replace(ROWS[1], rev=1)),
        (ROWS[0], replace(ROWS[1], rev=2)),
        (ROWS[0], replace(ROWS[1], born=1)),
    ],
    ids=["hole", "twice", "short", "birth"],
)
def test_numbers_of_a_room_have_no_holes(rows):
    assert "I4" in found(CLEAN, rows)


def test_no_rev_is_left_out():
    rows = (ROWS[0], replace(ROWS[1], rev=5))
    assert "I4" in found(CLEAN, rows, Head(2, 5))


def test_one_rev_is_one_thing():
    assert "I4" in found([*CLEAN, got("bob.2", replace(MILK, body="Milch?"))])


def test_nothing_is_applied_over_a_gap():
    assert "I5" in found(without(got("bob.1", MILK)))


def test_nothing_is_applied_out_of_order():
    backwards = Applied("bob.2", "kitchen", 0, 3, (YES, TEA))
    assert "I5" in found([*CLEAN, backwards])


def test_a_page_that_skips_a_message_leaves_a_silent_hole():
    whole = Applied("bob.2", "kitchen", 0, 3, (TEA, YES))
    holed = replace(whole, messages=(YES,))
    assert found([holed if event == whole else event for event in CLEAN]) == {"I6"}


def test_a_hole_behind_a_reset_is_silent_too():
    reset = Applied("bob.1", "kitchen", 0, 3, (TEA,), reset=True)
    assert "I6" in found([*CLEAN, reset])


def test_nobody_is_told_anything_over_a_gap():
    assert found([*CLEAN, Skipped("bob.1", "kitchen", 1, 3)]) == {"I6"}


def test_a_message_may_not_overtake_the_one_sent_before():
    first = Sent("alice.1", 1, "kitchen", "id-1", "Tea?")
    second = Sent("alice.1", 1, "kitchen", "id-2", "Milk?")
    assert found([second, *without(second)]) == {"I7"}
    assert found([replace(second, connection=0), first, *without(first, second)]) == set()


def test_whoever_is_settled_has_everything():
    assert found(without(got("alice.1", YES))) == {"I8"}


def test_whoever_is_settled_shows_what_is_stored():
    rows = (replace(ROWS[0], body=None), ROWS[1])
    assert "I8" in found(CLEAN, rows)


def test_whoever_is_not_settled_may_lack_the_end():
    assert found(without(got("alice.1", YES), Settled("alice.1"))) == set()


@pytest.mark.parametrize(
    "stored",
    [
        Stored("bob", "kitchen", 2, 2),
        Stored("bob", "kitchen", 3, 1),
        Stored("bob", "kitchen", 4, 2),
        Stored("bob", "kitchen", 3, 3),
    ],
    ids=["delivered-back", "read-back", "delivered-beyond", "read-beyond"],
)
def test_cursors_only_go_forward_and_not_beyond_the_head(stored):
    assert found([*CLEAN, stored]) == {"I9"}


def test_what_no_device_got_was_not_delivered():
    nobody = [event for event in CLEAN if getattr(event, "device", "").partition(".")[0] != "bob"]
    assert found([Entered("bob.1", "kitchen", 0), *nobody]) == {"I9"}
    assert found([Admitted("bob", "kitchen"), *nobody]) == set()


def test_whoever_is_out_is_told_nothing():
    late = [Barred("bob", "kitchen"), got("bob.1", YES)]
    assert found([*CLEAN, *late]) == {"I13"}
    back = [Barred("bob", "kitchen"), Admitted("bob", "kitchen"), got("bob.1", YES)]
    assert found([*CLEAN, *back]) == set()
