"""What somebody may look up: the same on every database, and quickly among many."""

import pytest

from chat import directory, rooms
from chat.errors import NotFound
from chat.models import Room
from tests.conftest import user
from tests.conversation import crowd, queries


@pytest.fixture
def people(alice, bob, charlie):
    for name in ("Alma", "malia", "zed"):
        user(name)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("al", ["alice", "Alma", "malia"]),
        ("AL", ["alice", "Alma", "malia"]),
        ("ALICE", ["alice"]),
        ("aLmA", ["Alma"]),
        ("lia", ["malia"]),
        ("z", ["zed"]),
        ("nobody", []),
        *[(wildcard, []) for wildcard in ("%", "_", "a%e", "b_b", "\\", "'")],
    ],
)
def test_who_begins_with_it_comes_before_who_contains_it(people, query, found):
    assert directory.people(query, 50) == found


def test_the_first_ones_are_found_without_a_query(people):
    assert len(directory.people("", 50)) == 6
    assert len(directory.people("", 2)) == 2


def test_a_full_page_of_those_who_begin_with_it_is_answered_by_one_query(people):
    assert queries(lambda: directory.people("al", 2)) == 1
    assert directory.people("al", 2) == ["alice", "Alma"]


def test_whoever_may_not_log_in_is_not_found(people, bob):
    bob.is_active = False
    bob.save()
    assert directory.people("bob", 50) == []


def test_letters_beyond_ascii_are_found_as_they_are(people):
    user("Émile")
    assert directory.people("Émi", 50) == directory.people("mil", 50) == ["Émile"]


def test_only_open_rooms_of_others_are_found(alice, bob, kitchen, garden):
    archived = rooms.create(alice, "Garden of old", open=True)
    rooms.archive(alice, archived.pk, True)
    assert [room.name for room in directory.open_rooms(bob.pk, "gard", 50)] == ["Garden"]
    assert directory.open_rooms(alice.pk, "gard", 50) == []


def test_of_a_found_room_its_size_is_told(alice, bob, garden):
    crowd(garden, 3)
    [found] = directory.open_rooms(bob.pk, "", 50)
    assert found == (garden.pk, "Garden", "group", 4)


def test_members_come_by_username_behind_the_last_one(alice, bob, charlie, kitchen):
    rooms.invite(alice, kitchen.pk, charlie)
    first, more = directory.members(bob.pk, kitchen.pk, "", 2)
    assert ([member.username for member in first], more) == (["alice", "bob"], True)
    rest, more = directory.members(bob.pk, kitchen.pk, "bob", 2)
    assert ([member.username for member in rest], more) == (["charlie"], False)


def test_an_outsider_is_told_of_no_member(charlie, kitchen):
    for room_id in (kitchen.pk, "nowhere"):
        with pytest.raises(NotFound):
            directory.members(charlie.pk, room_id, "", 200)


def test_looking_up_costs_the_same_among_few_and_among_many(alice, kitchen):
    few = queries(lambda: directory.members(alice.pk, kitchen.pk, "", 200))
    crowd(kitchen, 300)
    Room.objects.bulk_create(Room(kind="group", name=f"Open {n}", open=True) for n in range(50))
    assert queries(lambda: directory.members(alice.pk, kitchen.pk, "", 200)) == few
    assert queries(lambda: directory.open_rooms(alice.pk, "open", 50)) == 2
