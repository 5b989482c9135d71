"""Who is in which room, what they may see, and whose access is counted anew when it changes."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import update_last_login
from django.db import IntegrityError, transaction
from django.utils import timezone

from chat import access, archive, conf, control, messaging, rooms, users
from chat.archive import Cursor
from chat.errors import BadFrame, Forbidden, Muted, NotFound, RateLimited, UnknownUser
from chat.models import Access, Membership, Room, opaque_id
from tests.conftest import user
from tests.conversation import (
    at_once,
    bodies,
    crowd,
    deactivate,
    draft,
    post,
    promote,
    queries,
    say,
    say_much,
    seat_of,
)

OWNER, MODERATOR, MEMBER = Membership.Role.OWNER, Membership.Role.MODERATOR, Membership.Role.MEMBER


def names(room: Room) -> set[str]:
    return set(room.memberships.values_list("user__username", flat=True))


def roles(room: Room) -> dict[str, str]:
    return dict(room.memberships.values_list("user__username", "role"))


def versions() -> dict[str, int]:
    return dict(Access.objects.values_list("user__username", "version"))


@contextmanager
def access_raised() -> Iterator[set[str]]:
    """Whose access was raised meanwhile; to be looked at afterwards."""
    before, raised = versions(), set[str]()
    yield raised
    raised |= {name for name, version in versions().items() if version > before.get(name, 0)}


# Everybody


def test_whoever_signs_up_is_in_the_room_of_everybody(alice, bob, lobby):
    assert (lobby.kind, lobby.name) == ("everyone", "Lobby")
    assert names(lobby) == {"alice", "bob"}


def test_no_command_takes_the_key_of_a_room_for_an_option():
    assert not any(opaque_id().startswith("-") for _ in range(1_000))


def test_there_is_one_room_of_everybody(lobby):
    assert rooms.everyone() == lobby
    with pytest.raises(IntegrityError), transaction.atomic():
        Room.objects.create(kind=Room.Kind.EVERYONE)


def test_the_room_of_everybody_may_be_renamed(alice, lobby):
    Room.objects.filter(pk=lobby.pk).update(name="Hall")
    user("dora")
    assert names(rooms.everyone()) == {"alice", "dora"}
    assert rooms.everyone().name == "Hall"


def test_a_seat_in_the_room_of_everybody_is_repaired(alice, lobby):
    Membership.objects.all().delete()
    rooms.enrol(alice)
    assert names(lobby) == {"alice"}


def test_an_access_that_is_missing_is_repaired(alice):
    Access.objects.all().delete()
    rooms.enrol(alice)
    assert not access.standing(alice.pk).banned


def test_enrolling_again_changes_nothing_and_is_cheap(alice):
    with access_raised() as raised:
        assert queries(lambda: rooms.enrol(alice)) == 2
    assert raised == set()


@pytest.mark.django_db(transaction=True)
def test_many_may_sign_up_at_the_same_moment():
    at_once(*[partial(user, f"guest{n}") for n in range(8)])
    assert len(names(rooms.everyone())) == 8
    assert Room.objects.count() == 1


# Direct rooms


def test_a_direct_room_is_of_two(alice, bob):
    room = rooms.open_direct(alice, bob)
    assert room.kind == "direct"
    assert roles(room) == {"alice": "member", "bob": "member"}


def test_there_is_one_direct_room_per_pair(alice, bob, charlie):
    room = rooms.open_direct(alice, bob)
    assert rooms.open_direct(alice, bob) == rooms.open_direct(bob, alice) == room
    assert rooms.open_direct(alice, charlie) != room


@pytest.mark.django_db(transaction=True)
def test_two_who_open_their_direct_room_at_once_meet_in_it(alice, bob):
    opened = at_once(
        *[partial(rooms.open_direct, alice, bob)] * 5, *[partial(rooms.open_direct, bob, alice)] * 5
    )
    assert len({room.pk for room in opened}) == 1
    assert names(opened[0]) == {"alice", "bob"}


def test_one_can_talk_to_oneself(alice):
    room = rooms.open_direct(alice, alice)
    assert rooms.open_direct(alice, alice) == room
    assert names(room) == {"alice"}
    assert access.seat(alice.pk, room.pk).peer == "alice"


def test_each_of_two_sees_the_other_as_peer(alice, bob):
    room = rooms.open_direct(alice, bob)
    assert access.seat(alice.pk, room.pk).peer == "bob"
    assert access.seat(bob.pk, room.pk).peer == "alice"


def test_the_first_message_of_a_direct_room_waits_for_both(alice, bob):
    room = rooms.open_direct(alice, bob)
    say(alice, room, "Hello")
    for person in (alice, bob):
        cursor = Cursor(seat_of(person, room).delivered_rev)
        [page] = archive.replay({room.pk: cursor})
        assert bodies(page.messages) == ["Hello"]


# Groups and feeds


def test_nobody_owns_rooms_without_end(alice, bob, monkeypatch):
    monkeypatch.setattr(conf, "ROOMS_OWNED", 2)
    rooms.create(alice, "Attic")
    rooms.create(alice, "News", kind="feed")
    with pytest.raises(Forbidden):
        rooms.create(alice, "Cellar")
    rooms.create(bob, "Cellar", members=[alice])


def test_whoever_creates_a_room_owns_it(alice, bob):
    room = rooms.create(alice, " Kitchen ", members=[bob])
    assert (room.kind, room.name, room.open) == ("group", "Kitchen", False)
    assert roles(room) == {"alice": "owner", "bob": "member"}


def test_nobody_is_in_a_new_room_twice(alice, bob):
    room = rooms.create(alice, "Kitchen", members=[bob, alice, bob])
    assert sorted(room.memberships.values_list("user__username", flat=True)) == ["alice", "bob"]
    assert roles(room)["alice"] == "owner"


def test_two_rooms_may_have_the_same_name(alice, bob):
    assert rooms.create(alice, "Kitchen") != rooms.create(bob, "Kitchen")


@pytest.mark.parametrize(
    "name",
    ["", "  \t ", "a|b", "|", "a\nb", "a\rb", "a\r\nb", "a\0b", "x" * 81],
    ids=ascii,
)
def test_a_room_needs_a_name_that_every_dialect_can_say(alice, name):
    with pytest.raises(BadFrame):
        rooms.create(alice, name)


@pytest.mark.parametrize("name", ["x" * 80, "厨房", "<b>Kitchen</b>", "a:b/c?d", "{{7*7}}"])
def test_any_other_name_is_as_good_as_another(alice, name):
    assert rooms.create(alice, name).name == name


@pytest.mark.parametrize("kind", ["direct", "everyone", "", "channel"])
def test_nobody_creates_a_room_of_another_kind(alice, kind):
    with pytest.raises(BadFrame):
        rooms.create(alice, "Kitchen", kind=kind)


def test_rooms_cannot_be_guessed(alice):
    ids = {rooms.create(alice, "Kitchen").pk for _ in range(5)}
    assert len(ids) == 5
    assert all(len(room_id) == 16 for room_id in ids)


# Come and go


def test_anybody_joins_an_open_room(charlie, garden):
    rooms.join(charlie, garden.pk)
    assert roles(garden)["charlie"] == "member"


def test_a_room_that_is_not_open_does_not_exist_for_an_outsider(charlie, kitchen):
    for room_id in (kitchen.pk, "nowhere"):
        with pytest.raises(NotFound) as refused:
            rooms.join(charlie, room_id)
        assert str(refused.value) == NotFound.detail
    assert "charlie" not in names(kitchen)


def test_a_direct_room_cannot_be_joined(alice, bob, charlie):
    with pytest.raises(NotFound):
        rooms.join(charlie, rooms.open_direct(alice, bob).pk)


def test_whoever_joins_again_stays_as_they_are(alice, bob, garden, kitchen):
    rooms.join(alice, garden.pk)
    rooms.join(bob, kitchen.pk)
    assert roles(garden) == {"alice": "owner"}


def test_a_newcomer_starts_at_the_head(alice, charlie, kitchen):
    say_much(alice, kitchen, 3)
    messaging.edit(alice, kitchen.pk, 1, "edited")
    rooms.invite(alice, kitchen.pk, charlie)
    seat = seat_of(charlie, kitchen)
    assert (seat.delivered_rev, seat.read_seq) == (4, 3)


def test_whoever_comes_back_starts_at_the_head_again(alice, charlie, garden):
    rooms.join(charlie, garden.pk)
    rooms.leave(charlie, garden.pk)
    say(alice, garden, "while charlie was out")
    rooms.join(charlie, garden.pk)
    assert seat_of(charlie, garden).delivered_rev == 1


def test_to_leave_a_slow_room_and_come_back_is_no_way_around_waiting(alice, charlie, garden):
    Room.objects.filter(pk=garden.pk).update(slow_mode=60)
    rooms.join(charlie, garden.pk)
    Membership.objects.filter(room=garden).update(posted_at=None)
    post(draft(charlie, garden))
    rooms.leave(charlie, garden.pk)
    rooms.join(charlie, garden.pk)
    with pytest.raises(RateLimited):
        post(draft(charlie, garden))
    assert post(draft(alice, garden)).new


def test_whoever_is_muted_cannot_leave_to_come_back_with_a_voice(charlie, garden):
    rooms.join(charlie, garden.pk)
    mute = Membership.objects.filter(user=charlie, room=garden).update
    mute(muted_until=timezone.now() + timedelta(hours=1))
    with pytest.raises(Muted) as refused:
        rooms.leave(charlie, garden.pk)
    assert 3_500_000 < refused.value.retry_after_ms <= 3_600_001
    mute(muted_until=timezone.now() - timedelta(hours=1))
    rooms.leave(charlie, garden.pk)
    assert "charlie" not in names(garden)


def test_whoever_is_muted_may_leave_where_only_others_let_them_in(bob, kitchen):
    Membership.objects.filter(user=bob, room=kitchen).update(
        muted_until=timezone.now() + timedelta(hours=1)
    )
    rooms.leave(bob, kitchen.pk)
    assert "bob" not in names(kitchen)


def test_bob_leaves(bob, kitchen):
    rooms.leave(bob, kitchen.pk)
    assert names(kitchen) == {"alice"}
    with pytest.raises(NotFound):
        access.seat(bob.pk, kitchen.pk)


def test_nobody_leaves_the_room_of_everybody_or_a_direct_room(alice, bob, lobby):
    for room in (lobby, rooms.open_direct(alice, bob)):
        with pytest.raises(Forbidden):
            rooms.leave(alice, room.pk)


def test_nobody_leaves_a_room_they_are_not_in(charlie, kitchen):
    for room_id in (kitchen.pk, "nowhere"):
        with pytest.raises(NotFound):
            rooms.leave(charlie, room_id)


def test_what_was_said_stays_when_everybody_has_left(alice, bob, kitchen):
    say(alice, kitchen, "Hello")
    for person in (alice, bob):
        rooms.leave(person, kitchen.pk)
    assert names(kitchen) == set()
    assert kitchen.messages.count() == 1


@pytest.fixture
def office(alice, bob, charlie):
    """Owned by alice; bob, charlie and dora came in this order."""
    return rooms.create(alice, "Office", members=[bob, charlie, user("dora")])


def test_the_oldest_member_follows_a_last_owner(alice, office):
    rooms.leave(alice, office.pk)
    assert roles(office) == {"bob": "owner", "charlie": "member", "dora": "member"}


def test_a_moderator_follows_a_last_owner_before_any_member(alice, charlie, office):
    promote(charlie, office)
    rooms.leave(alice, office.pk)
    assert roles(office) == {"bob": "member", "charlie": "owner", "dora": "member"}


def test_nobody_follows_while_there_is_another_owner(alice, charlie, office):
    promote(charlie, office, OWNER)
    rooms.leave(alice, office.pk)
    assert roles(office) == {"bob": "member", "charlie": "owner", "dora": "member"}


def test_nobody_inherits_a_room_who_may_not_log_in(alice, bob, office):
    deactivate(bob)
    rooms.leave(alice, office.pk)
    assert roles(office) == {"bob": "member", "charlie": "owner", "dora": "member"}


def test_an_owner_who_may_not_log_in_is_followed_as_well(alice, bob, office):
    promote(bob, office, OWNER)
    deactivate(bob)
    with pytest.raises(Forbidden):
        rooms.appoint(alice, office.pk, alice, "member")
    rooms.leave(alice, office.pk)
    assert roles(office) == {"bob": "owner", "charlie": "owner", "dora": "member"}


# Bring in and send out


@pytest.mark.parametrize("role", [OWNER, MODERATOR])
def test_who_manages_a_room_brings_somebody_in(bob, charlie, kitchen, role):
    promote(bob, kitchen, role)
    rooms.invite(bob, kitchen.pk, charlie)
    assert roles(kitchen)["charlie"] == "member"


def test_a_member_brings_nobody_in(bob, charlie, kitchen):
    with pytest.raises(Forbidden):
        rooms.invite(bob, kitchen.pk, charlie)


def test_an_outsider_brings_nobody_in(charlie, kitchen):
    for room_id in (kitchen.pk, "nowhere"):
        with pytest.raises(NotFound):
            rooms.invite(charlie, room_id, charlie)


def test_whoever_is_brought_in_again_stays_as_they_are(alice, bob, kitchen):
    say(bob, kitchen, "Hello")
    promote(bob, kitchen)
    rooms.invite(alice, kitchen.pk, bob)
    assert roles(kitchen)["bob"] == "moderator"
    assert seat_of(bob, kitchen).delivered_rev == 0


def test_an_owner_sends_anybody_out(alice, bob, charlie, office):
    promote(bob, office, OWNER)
    promote(charlie, office)
    for person in (bob, charlie):
        rooms.remove(alice, office.pk, person)
    assert names(office) == {"alice", "dora"}


def test_a_moderator_sends_members_and_moderators_out(bob, charlie, office):
    promote(bob, office)
    rooms.remove(bob, office.pk, charlie)
    assert names(office) == {"alice", "bob", "dora"}


def test_a_moderator_cannot_send_an_owner_out(alice, bob, office):
    promote(bob, office)
    with pytest.raises(Forbidden):
        rooms.remove(bob, office.pk, alice)


def test_a_member_sends_nobody_out(bob, charlie, office):
    with pytest.raises(Forbidden):
        rooms.remove(bob, office.pk, charlie)


def test_an_outsider_sends_nobody_out(bob, charlie, kitchen):
    with pytest.raises(NotFound):
        rooms.remove(charlie, kitchen.pk, bob)


def test_whoever_is_not_in_cannot_be_sent_out(alice, charlie, kitchen):
    with pytest.raises(NotFound):
        rooms.remove(alice, kitchen.pk, charlie)


def test_nobody_is_brought_into_or_sent_out_of_a_direct_room_or_the_room_of_everybody(
    alice, bob, charlie, lobby
):
    direct = rooms.open_direct(alice, bob)
    for room in (direct, lobby):
        promote(alice, room, OWNER)
        with pytest.raises(Forbidden):
            rooms.remove(alice, room.pk, bob)
        with pytest.raises(Forbidden):
            rooms.invite(alice, room.pk, charlie)


def test_an_owner_who_sends_themselves_out_is_followed(alice, kitchen):
    rooms.remove(alice, kitchen.pk, alice)
    assert roles(kitchen) == {"bob": "owner"}


# Whose access is counted anew


def test_signing_up_concerns_whoever_sees_it_in_the_room_of_everybody(alice, bob):
    with access_raised() as raised:
        user("dora")
    assert raised == {"alice", "bob", "dora"}


def test_opening_a_direct_room_concerns_the_two(alice, bob, charlie):
    with access_raised() as raised:
        rooms.open_direct(alice, bob)
    assert raised == {"alice", "bob"}


def test_opening_it_again_concerns_nobody(alice, bob):
    rooms.open_direct(alice, bob)
    with access_raised() as raised:
        rooms.open_direct(bob, alice)
    assert raised == set()


def test_a_new_room_concerns_whoever_is_in_it(alice, bob, charlie):
    with access_raised() as raised:
        rooms.create(alice, "Kitchen", members=[bob])
    assert raised == {"alice", "bob"}


def test_whoever_joins_concerns_all_who_see_it(alice, bob, charlie, garden):
    with access_raised() as raised:
        rooms.join(charlie, garden.pk)
    assert raised == {"alice", "charlie"}


def test_joining_again_concerns_nobody(alice, garden):
    with access_raised() as raised:
        rooms.join(alice, garden.pk)
    assert raised == set()


def test_whoever_is_brought_in_concerns_all_who_see_it(alice, bob, charlie, kitchen):
    user("dora")
    with access_raised() as raised:
        rooms.invite(alice, kitchen.pk, charlie)
    assert raised == {"alice", "bob", "charlie"}


def test_whoever_leaves_concerns_all_who_see_it(alice, bob, charlie, kitchen):
    with access_raised() as raised:
        rooms.leave(bob, kitchen.pk)
    assert raised == {"alice", "bob"}


def test_whoever_is_sent_out_concerns_all_who_see_it(alice, bob, charlie, kitchen):
    with access_raised() as raised:
        rooms.remove(alice, kitchen.pk, bob)
    assert raised == {"alice", "bob"}


def test_whoever_makes_a_room_large_concerns_all_who_saw_each_other(
    alice, bob, charlie, kitchen, monkeypatch
):
    monkeypatch.setattr(conf, "SMALL_ROOM", 2)
    with access_raised() as raised:
        rooms.invite(alice, kitchen.pk, charlie)
    assert raised == {"alice", "bob", "charlie"}
    with access_raised() as raised:
        rooms.leave(charlie, kitchen.pk)
    assert raised == {"alice", "bob", "charlie"}


def test_in_a_large_room_it_concerns_only_whoever_comes_or_goes(
    alice, bob, charlie, kitchen, monkeypatch
):
    monkeypatch.setattr(conf, "SMALL_ROOM", 1)
    with access_raised() as raised:
        rooms.invite(alice, kitchen.pk, charlie)
    assert raised == {"charlie"}
    with access_raised() as raised:
        rooms.leave(bob, kitchen.pk)
    assert raised == {"bob"}


def test_a_large_room_costs_no_more_than_a_small_one(alice, charlie, kitchen, station):
    in_the_kitchen = queries(lambda: rooms.invite(alice, kitchen.pk, charlie))
    assert queries(lambda: rooms.invite(alice, station.pk, charlie)) == in_the_kitchen


def test_a_ban_concerns_the_banned(alice, bob):
    with access_raised() as raised:
        control.ban(bob, timezone.now() + timedelta(days=1))
    assert raised == {"bob"}
    with access_raised() as raised:
        control.ban(bob, None)
    assert raised == {"bob"}


def test_a_new_password_concerns_its_user(alice, bob):
    with access_raised() as raised:
        bob.set_password("another")
        bob.save()
    assert raised == {"bob"}


def test_a_deactivated_user_is_concerned(alice, bob):
    bob.is_active = False
    with access_raised() as raised:
        bob.save(update_fields=["is_active"])
    assert raised == {"bob"}


def test_logging_in_concerns_nobody(alice):
    with access_raised() as raised:
        update_last_login(None, alice)
    assert raised == set()


def test_what_fails_or_is_said_concerns_nobody(alice, bob, charlie, kitchen):
    with access_raised() as raised:
        say(alice, kitchen, "Hello")
        messaging.edit(alice, kitchen.pk, 1, "Goodbye")
        for refused in (rooms.join, rooms.leave):
            with pytest.raises(NotFound):
                refused(charlie, kitchen.pk)
        with pytest.raises(Forbidden):
            rooms.invite(bob, kitchen.pk, charlie)
    assert raised == set()


@pytest.mark.django_db(transaction=True)
def test_no_change_of_access_is_lost_among_simultaneous_ones(alice, bob, charlie):
    before = versions()["bob"]
    at_once(*[partial(control.ban, bob, None)] * 5, *[partial(rooms.create, alice, "Tea")] * 3)
    assert versions()["bob"] == before + 5


def test_a_ban_holds_for_who_was_never_enrolled(db):
    [zed] = get_user_model().objects.bulk_create([get_user_model()(username="zed")])
    control.ban(zed, timezone.now() + timedelta(days=1))
    rooms.enrol(zed)
    assert access.standing(zed.pk).banned


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_in_a_circle_to_raise_the_access_of_many(alice, kitchen):
    crowd(kitchen, 300)
    users = list(kitchen.memberships.values_list("user", flat=True))
    Access.objects.bulk_create([Access(pk=pk) for pk in users], ignore_conflicts=True)
    before = sum(versions().values())

    def look_again_at_all(number):
        chance = random.Random(number)
        for _ in range(10):
            with transaction.atomic():
                access.raise_for(chance.sample(users, len(users)))

    at_once(*[partial(look_again_at_all, number) for number in range(4)])
    assert sum(versions().values()) == before + 40 * len(users)


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_in_a_circle_to_make_rooms_with_each_other(alice, bob):
    def make_rooms(owner, other):
        for _ in range(20):
            rooms.create(owner, "Tea", members=[other])

    at_once(*[partial(make_rooms, *pair) for pair in ((alice, bob), (bob, alice)) * 2])
    assert Room.objects.filter(name="Tea").count() == 80


@pytest.mark.django_db(transaction=True)
def test_nobody_waits_in_a_circle_while_owners_leave_and_cursors_move(alice, bob):
    left = [rooms.create(bob, "Left", members=[alice]) for _ in range(30)]
    for room in left:
        promote(alice, room, OWNER)
        promote(bob, room, MEMBER)
        say(alice, room, "Goodbye")
    seats = [sorted(room.memberships.values_list("pk", flat=True)) for room in left]

    def leave():
        for room in left:
            rooms.leave(alice, room.pk)

    def acknowledge():
        for _ in range(20):
            for pair in seats:
                messaging.acknowledge(dict.fromkeys(pair, 1))

    at_once(leave, acknowledge)
    assert all(roles(room) == {"bob": OWNER} for room in left)


# What a user may see


def test_a_user_sees_their_rooms(alice, bob, charlie, kitchen, lobby):
    direct = rooms.open_direct(alice, bob)
    assert set(access.standing(alice.pk).seats) == {kitchen.pk, lobby.pk, direct.pk}
    assert set(access.standing(charlie.pk).seats) == {lobby.pk}


def test_a_user_sees_only_the_rooms_they_ask_for(alice, charlie, kitchen, lobby):
    assert set(access.standing(alice.pk, [kitchen.pk, "nowhere"]).seats) == {kitchen.pk}
    assert access.standing(charlie.pk, [kitchen.pk]).seats == {}


def test_a_seat_tells_the_room_the_role_and_how_far_everybody_got(alice, bob, kitchen):
    say_much(alice, kitchen, 3)
    messaging.acknowledge({seat_of(bob, kitchen).pk: 2})
    seat = access.seat(alice.pk, kitchen.pk)
    assert (seat.room.pk, seat.role, seat.members, seat.peer) == (kitchen.pk, OWNER, 2, None)
    got = [(f.username, f.delivered_rev, f.read_seq) for f in seat.fellows]
    assert got == [("alice", 0, 3), ("bob", 2, 0)]


def test_an_outsider_has_no_seat(charlie, kitchen):
    for room_id in (kitchen.pk, "nowhere"):
        with pytest.raises(NotFound):
            access.seat(charlie.pk, room_id)


def test_a_large_room_does_not_show_who_is_in_it(alice, kitchen):
    crowd(kitchen, conf.SMALL_ROOM)
    seat = access.seat(alice.pk, kitchen.pk)
    assert (seat.members, seat.fellows) == (conf.SMALL_ROOM + 2, ())


def test_a_seat_looks_different_when_somebody_comes_but_not_when_somebody_speaks(
    alice, charlie, kitchen
):
    before = access.seat(alice.pk, kitchen.pk).look
    say(alice, kitchen, "Hello")
    assert access.seat(alice.pk, kitchen.pk).look == before
    rooms.invite(alice, kitchen.pk, charlie)
    assert access.seat(alice.pk, kitchen.pk).look != before


def test_a_seat_looks_different_when_its_room_becomes_slow(bob, kitchen):
    before = access.seat(bob.pk, kitchen.pk).look
    Room.objects.filter(pk=kitchen.pk).update(slow_mode=30)
    assert access.seat(bob.pk, kitchen.pk).look != before


def test_a_user_is_banned_until_the_ban_ends(bob):
    control.ban(bob, timezone.now() + timedelta(days=1))
    assert access.standing(bob.pk).banned
    control.ban(bob, timezone.now() - timedelta(seconds=1))
    assert not access.standing(bob.pk).banned


def test_whoever_is_gone_may_see_nothing(alice):
    key = alice.pk
    alice.delete()
    with pytest.raises(UnknownUser):
        access.standing(key)


def test_the_peer_of_somebody_who_is_gone_sees_their_room_still(alice, bob):
    room = rooms.open_direct(alice, bob)
    bob.delete()
    assert access.seat(alice.pk, room.pk).peer == "alice"


def test_a_room_that_empties_while_it_is_looked_at_is_left_out(alice, lobby, monkeypatch):
    garden = rooms.create(alice, "Garden")
    really_count = access.count_members

    def leave_then_count(room_ids):
        rooms.leave(alice, garden.pk)
        return really_count(room_ids)

    monkeypatch.setattr(access, "count_members", leave_then_count)
    assert set(access.standing(alice.pk).seats) == {lobby.pk}


def test_what_a_user_may_see_costs_the_same_for_many_rooms(alice, kitchen):
    few = queries(lambda: access.standing(alice.pk))
    for n in range(10):
        rooms.create(alice, f"Room {n}")
    assert queries(lambda: access.standing(alice.pk)) == few


def test_somebody_is_found_by_name(bob):
    assert users.named("bob") == bob


@pytest.mark.parametrize("name", ["nobody", "", "bob ", "b%", "inactive"])
def test_nobody_is_found_by_a_name_that_is_not_theirs(bob, name):
    get_user_model().objects.create_user("inactive", is_active=False)
    with pytest.raises(UnknownUser):
        users.named(name)
