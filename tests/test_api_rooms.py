"""Rooms over HTTP: all of mine, a new one, the direct one with somebody."""

import pytest
from django.contrib.auth import get_user_model

from chat import api, leases, rooms
from chat.models import Membership, Room
from tests.callers import Caller, refusal
from tests.conftest import token
from tests.conversation import crowd, promote, queries, say_much, seat_of


@pytest.fixture
def as_alice(alice):
    return Caller(token(alice))


def names(listed):
    return sorted(room["name"] for room in listed)


# All of mine


def test_alice_finds_her_rooms(as_alice, alice, bob, kitchen):
    say_much(bob, kitchen, 3)
    listed = {room["name"]: room for room in as_alice.get("/api/rooms")}
    assert listed.keys() == {"Kitchen", "Lobby"}
    room = listed["Kitchen"]
    assert (room["type"], room["room"], room["kind"]) == ("room", kitchen.pk, "group")
    assert (room["role"], room["members"], room["first_seq"]) == ("owner", 2, 1)
    assert (room["rev"], room["seq"], room["read_seq"], room["delivered_rev"]) == (3, 3, 0, 0)
    assert room["receipts"] == {"alice": [0, 0], "bob": [0, 3]}


def test_a_room_is_what_a_connection_is_told_of_it(as_alice, alice, bob, kitchen):
    leases.begin("one", {"b": leases.Link(bob.pk)})
    listed = {room["name"]: room for room in as_alice.get("/api/rooms")}
    assert listed["Kitchen"]["online"] == ["bob"]
    assert "ref" not in listed["Kitchen"]


def test_who_left_is_not_online_but_was_seen(as_alice, bob, kitchen):
    leases.begin("one", {"b": leases.Link(bob.pk)})
    leases.end("one")
    listed = {room["name"]: room for room in as_alice.get("/api/rooms")}
    assert listed["Kitchen"]["online"] == []
    assert listed["Kitchen"]["last_seen"].keys() == {"bob"}


def test_a_large_room_tells_neither_receipts_nor_who_is_there(as_alice, station):
    listed = {room["name"]: room for room in as_alice.get("/api/rooms")}
    assert listed["Station"]["members"] == 301
    assert not {"receipts", "online", "last_seen"} & listed["Station"].keys()


def test_who_was_made_behind_our_back_is_let_into_the_lobby(lobby):
    [dave] = get_user_model().objects.bulk_create([get_user_model()(username="dave")])
    assert names(Caller(token(dave)).get("/api/rooms")) == ["Lobby"]


def test_a_room_that_was_left_is_not_there(as_alice, alice, kitchen):
    rooms.leave(alice, kitchen.pk)
    assert names(as_alice.get("/api/rooms")) == ["Lobby"]


def test_it_takes_as_many_queries_for_many_rooms_full_of_people(as_alice, alice, bob, kitchen):
    few = queries(lambda: as_alice.get("/api/rooms"))
    for n in range(20):
        rooms.create(alice, f"Room {n}", members=[bob])
    crowd(kitchen, 40)
    seats = Membership.objects.filter(room=kitchen)
    leases.begin("one", {str(seat.pk): leases.Link(seat.user_id) for seat in seats})
    say_much(alice, kitchen, 300)
    assert queries(lambda: as_alice.get("/api/rooms")) == few
    assert len(as_alice.get("/api/rooms")) == 22


# A new one


def test_alice_creates_a_room_and_brings_bob_in(as_alice, bob):
    response = as_alice.ask("POST", "/api/rooms", {"name": "Garden", "members": ["bob"]})
    assert response.status_code == 201
    room = response.json()
    assert (room["type"], room["name"], room["kind"]) == ("room", "Garden", "group")
    assert (room["role"], room["members"], room["seq"]) == ("owner", 2, 0)
    assert names(Caller(token(bob)).get("/api/rooms")) == ["Garden", "Lobby"]


def test_in_a_feed_its_members_only_read(as_alice, bob):
    news = as_alice.post("/api/rooms", {"name": "News", "kind": "feed", "members": ["bob"]})
    assert refusal(Caller(token(bob)).say(news["room"], "Me too")) == (403, "forbidden")
    assert as_alice.say(news["room"], "Read this").status_code == 201


def test_whoever_is_named_twice_or_creates_it_has_one_seat(as_alice, bob):
    members = ["bob", "alice", "bob"]
    room = as_alice.post("/api/rooms", {"name": "Garden", "members": members})
    assert (room["members"], room["role"]) == (2, "owner")


def test_with_somebody_unknown_there_is_no_room_at_all(as_alice, bob):
    body = {"name": "Garden", "members": ["bob", "nobody"]}
    assert refusal(as_alice.ask("POST", "/api/rooms", body)) == (404, "unknown_user")
    assert not Room.objects.filter(name="Garden").exists()


def test_whoever_left_is_not_brought_in(as_alice, bob):
    bob.is_active = False
    bob.save()
    body = {"name": "Garden", "members": ["bob"]}
    assert refusal(as_alice.ask("POST", "/api/rooms", body)) == (404, "unknown_user")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "a|b"},
        {"name": "a\nb"},
        {"name": "x" * 81},
        {"name": 1},
        {"name": True},
        {"name": ["Garden"]},
        {"name": None},
        {"name": "Garden", "kind": "everyone"},
        {"name": "Garden", "kind": "direct"},
        {"name": "Garden", "kind": "GROUP"},
        {"name": "Garden", "kind": None},
        {"name": "Garden", "members": "bob"},
        {"name": "Garden", "members": {"bob": 1}},
        {"name": "Garden", "members": [1]},
        {"name": "Garden", "members": [True]},
        {"name": "Garden", "members": [None]},
        {"name": "Garden", "members": [["bob"]]},
        {"name": "Garden", "members": ["x" * 255]},
        {"name": "Garden", "members": ["bob"] * (api.INVITED + 1)},
    ],
)
def test_a_room_that_cannot_be_is_refused(as_alice, bob, body):
    assert refusal(as_alice.ask("POST", "/api/rooms", body)) == (400, "bad_frame")
    assert set(Room.objects.values_list("kind", flat=True)) == {"everyone"}


@pytest.mark.parametrize("name", ["Gar\0den", "\0"])
def test_a_name_that_cannot_be_stored_is_refused(as_alice, name):
    for body in ({"name": name}, {"name": "Garden", "members": [name]}):
        assert refusal(as_alice.ask("POST", "/api/rooms", body)) == (400, "invalid_text")


def test_nobody_makes_more_of_a_room_than_they_may(as_alice, bob):
    """What is not ours to take from a client is ignored."""
    more = {"room": "mine", "id": "mine", "open": True, "pair": "1|2", "seq": 9, "rev": 9}
    more |= {"role": "member", "owner": "bob", "first_seq": 9, "is_admin": True}
    answer = as_alice.post("/api/rooms", {"name": "Garden", **more})
    room = Room.objects.get(name="Garden")
    assert room.pk == answer["room"] != "mine"
    assert (room.open, room.pair, room.seq, room.rev, room.first_seq) == (False, None, 0, 0, 1)
    assert answer["role"] == "owner"


def test_names_are_kept_as_they_are_written(as_alice):
    name = "<script>alert(1)</script> {{7*7}} Küche 厨房"
    assert as_alice.post("/api/rooms", {"name": f" {name} "})["name"] == name


# The direct one


def test_a_direct_room_is_the_same_for_both_and_every_time(as_alice, alice, bob):
    as_bob = Caller(token(bob))
    room = as_alice.post("/api/direct", {"to": "bob"})
    assert (room["kind"], room["peer"], room["members"]) == ("direct", "bob", 2)
    assert as_alice.post("/api/direct", {"to": "bob"}) == room
    theirs = as_bob.post("/api/direct", {"to": "alice"})
    assert (theirs["room"], theirs["peer"]) == (room["room"], "alice")


def test_one_may_talk_to_oneself(as_alice):
    room = as_alice.post("/api/direct", {"to": "alice"})
    assert (room["peer"], room["members"]) == ("alice", 1)


def test_with_nobody_there_is_no_direct_room(as_alice, bob):
    bob.is_active = False
    bob.save()
    for name in ("nobody", "bob", "", "BOB", "%", "alice' OR 1=1 --"):
        answer = as_alice.ask("POST", "/api/direct", {"to": name})
        assert refusal(answer) == (404, "unknown_user")


@pytest.mark.parametrize("to", [None, 1, 1.0, True, ["bob"], {"username": "bob"}, "x" * 255])
def test_a_name_is_text(as_alice, bob, to):
    assert refusal(as_alice.ask("POST", "/api/direct", {"to": to})) == (400, "bad_frame")


# How much


def test_who_makes_rooms_too_fast_has_to_wait(as_alice, bob, settings):
    settings.CHAT_POST_RATE = 0.2  # bursts of one
    as_alice.post("/api/direct", {"to": "bob"})
    for path, body in (("/api/rooms", {"name": "Garden"}), ("/api/direct", {"to": "bob"})):
        response = as_alice.ask("POST", path, body)
        assert refusal(response) == (429, "rate_limited")
        assert 1 <= int(response["Retry-After"]) <= 5
    assert not Room.objects.filter(name="Garden").exists()


def test_a_role_is_told_as_it_is_now(as_alice, alice, bob, kitchen):
    promote(bob, kitchen)
    listed = {room["name"]: room for room in Caller(token(bob)).get("/api/rooms")}
    assert listed["Kitchen"]["role"] == seat_of(bob, kitchen).role == "moderator"
