"""Whom people block: in a direct room nobody writes then, whoever it was, and however they try."""

import pytest

from chat import messaging, people, rooms
from chat.errors import BadFrame, Forbidden
from chat.models import Room
from tests.callers import Caller, refusal
from tests.conftest import token
from tests.conversation import at_once, crowd, deactivate, draft, post, queries, say, seat_of
from tests.failures import meanwhile
from tests.fake_browser import browser, text_page


@pytest.fixture
def direct(alice, bob):
    """The room of alice and bob, in which both have said something."""
    room = rooms.open_direct(alice, bob)
    say(alice, room, "Hello")
    say(bob, room, "Go away")
    return room


def is_blocked(room):
    return Room.objects.get(pk=room.pk).blocked


async def test_while_alice_blocks_bob_neither_of_them_writes(
    impatient, application, elsewhere, tokens
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        room = (await alice.post("Hello", to="bob"))["room"]
        assert (await alice.ask("block", user="bob", blocked=True))["type"] == "ok"
        assert alice.client.rooms[room]["blocked"]
        for page, peer in ((alice, "bob"), (bob, "alice")):
            for where in ({"room": room}, {"to": peer}):
                refusal = await page.post("Please", **where)
                assert refusal["code"] == "forbidden"
                assert "blocked" in refusal["detail"]
        assert (await alice.ask("block", user="bob", blocked=False))["type"] == "ok"
        assert "blocked" not in alice.client.rooms[room]
        assert (await bob.post("At last", room=room))["type"] == "posted"
        await alice.sees(room, "Hello", "At last")


async def test_bob_is_not_told_that_it_is_he_who_is_blocked(
    impatient, application, elsewhere, tokens
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
        browser(application, tokens["bob"]) as here,
    ):
        room = (await alice.post("Hello", to="bob"))["room"]
        for page in (bob, here):
            await page.sees(room, "Hello")
        await alice.ask("block", user="bob", blocked=True)
        await bob.ask("ping")
        assert not any("blocked" in frame for page in (bob, here) for frame in page.of_type("room"))
    async with browser(application, tokens["bob"]) as bob:
        assert "blocked" not in bob.client.rooms[room]


async def test_nobody_sees_that_somebody_types_whom_they_block(
    impatient, application, elsewhere, tokens, alice, bob, direct
):
    await meanwhile(people.block, alice, bob, True)
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(elsewhere, tokens["bob"]) as bobs,
    ):
        assert (await bobs.ask("typing", room=direct.pk))["code"] == "forbidden"
        await alices.ask("ping")
        assert not alices.of_type("typing")


async def test_a_line_of_text_is_refused_as_well(application, tokens, alice, bob, direct):
    await meanwhile(people.block, alice, bob, True)
    async with text_page(application, tokens["bob"]) as device:
        await device.send("alice|Please")
        while not (line := await device.next()).startswith("!"):
            pass
        assert line.startswith("!forbidden|")


def test_a_post_over_http_is_refused_as_well(alice, bob, direct):
    people.block(alice, bob, True)
    body = {"id": "00000000-0000-4000-8000-000000000001", "body": "Please"}
    refused = Caller(token(bob)).ask("POST", f"/api/rooms/{direct.pk}/messages", body)
    assert refused.status_code == 403


@pytest.mark.parametrize("blocker", ["alice", "bob"])
def test_what_was_said_can_be_deleted_but_not_edited(alice, bob, direct, blocker):
    one, other = (alice, bob) if blocker == "alice" else (bob, alice)
    people.block(one, other, True)
    for user, seq in ((alice, 1), (bob, 2)):
        with pytest.raises(Forbidden, match="blocked"):
            messaging.edit(user, direct.pk, seq, "Something else")
        assert messaging.delete(user, direct.pk, seq).deleted


def test_the_retry_of_what_was_posted_before_is_known(alice, bob, direct):
    before = draft(bob, direct, "Please")
    first = post(before)
    people.block(alice, bob, True)
    again = post(before)
    assert (again.new, again.message.seq) == (False, first.message.seq)


def test_each_ends_only_their_own_block(alice, bob, direct):
    people.block(alice, bob, True)
    people.block(bob, alice, True)
    people.block(alice, bob, False)
    assert is_blocked(direct)
    assert (seat_of(alice, direct).blocks, seat_of(bob, direct).blocks) == (False, True)
    people.block(bob, alice, False)
    assert not is_blocked(direct)


def test_two_who_block_each_other_at_the_same_moment_both_do(transactional_db, alice, bob, direct):
    at_once(lambda: people.block(alice, bob, True), lambda: people.block(bob, alice, True))
    assert seat_of(alice, direct).blocks
    assert seat_of(bob, direct).blocks
    at_once(lambda: people.block(alice, bob, False), lambda: people.block(bob, alice, False))
    assert not is_blocked(direct)


def test_whom_one_has_never_met_can_be_blocked(alice, charlie):
    room = people.block(alice, charlie, True)
    assert is_blocked(room)
    with pytest.raises(Forbidden):
        post(draft(charlie, room))


async def test_who_has_been_deactivated_is_blocked_and_unblocked_as_well(
    application, tokens, alice, bob, direct
):
    await meanwhile(deactivate, bob)
    async with browser(application, tokens["alice"]) as page:
        for blocked in (True, False):
            answer = await page.ask("block", user="bob", blocked=blocked)
            assert answer["type"] == "ok"
            assert await meanwhile(is_blocked, direct) is blocked


def test_nobody_blocks_themselves(alice):
    with pytest.raises(BadFrame):
        people.block(alice, alice, True)
    assert not Room.objects.filter(kind="direct").exists()


def test_a_block_concerns_no_other_room(alice, bob, charlie, kitchen, direct):
    people.block(alice, bob, True)
    say(bob, kitchen, "Still here")
    assert post(draft(charlie, rooms.open_direct(charlie, alice))).new


@pytest.mark.parametrize("blocker", ["alice", "bob"])
@pytest.mark.parametrize("is_open", [False, True])
def test_neither_of_two_brings_the_other_into_a_room(alice, bob, charlie, blocker, is_open):
    """Whoever of them it was: who tries learns no more than by writing."""
    people.block(*((alice, bob) if blocker == "alice" else (bob, alice)), True)
    garden = rooms.create(bob, "Garden", open=is_open)
    with pytest.raises(Forbidden, match="blocks you: alice"):
        rooms.invite(bob, garden.pk, charlie, alice)
    with pytest.raises(Forbidden, match="blocks you: alice"):
        rooms.create(bob, "Cellar", members=[charlie, alice])
    assert set(garden.memberships.values_list("user", flat=True)) == {bob.pk}
    assert not Room.objects.filter(name="Cellar").exists()


def test_who_blocks_nobody_any_more_is_brought_in_again(alice, bob):
    people.block(alice, bob, True)
    people.block(alice, bob, False)
    garden = rooms.create(bob, "Garden", members=[alice])
    assert seat_of(alice, garden).role == "member"


def test_others_and_the_site_itself_seat_them_in_one_room(alice, bob, charlie):
    people.block(alice, bob, True)
    garden = rooms.create(charlie, "Garden", members=[alice, bob])
    rooms.dismiss(alice, garden.pk)
    assert rooms.place(alice, garden.pk).role == "member"


async def test_bob_is_told_whom_he_cannot_bring_in(application, tokens, alice, bob, charlie):
    await meanwhile(people.block, alice, bob, True)
    async with browser(application, tokens["bob"]) as page:
        garden = (await page.ask("create", name="Garden"))["room"]
        for refusal in (
            await page.ask("invite", room=garden, users=["charlie", "alice"]),
            await page.ask("create", name="Cellar", members=["charlie", "alice"]),
        ):
            assert refusal["code"] == "forbidden"
            assert refusal["detail"].endswith(" alice.")


def test_over_http_nobody_is_brought_in_either(alice, bob):
    people.block(alice, bob, True)
    body = {"name": "Garden", "members": ["alice"]}
    assert refusal(Caller(token(bob)).ask("POST", "/api/rooms", body)) == (403, "forbidden")
    assert not Room.objects.filter(name="Garden").exists()


def test_bringing_in_many_costs_the_same_as_bringing_in_one(alice, bob, charlie, kitchen):
    crowd(kitchen, 20)
    many = [seat.user for seat in kitchen.memberships.select_related("user")]
    one = queries(lambda: rooms.create(charlie, "Garden", members=[alice]))
    assert queries(lambda: rooms.create(charlie, "Garden", members=many)) == one


def test_a_post_costs_no_query_more_because_of_blocks(alice, bob, kitchen, direct):
    few = queries(lambda: say(alice, kitchen, "Hello"))
    assert queries(lambda: say(alice, direct, "Hello")) == few


async def test_who_is_blocked_must_be_somebody_else(application, tokens):
    async with browser(application, tokens["alice"]) as page:
        for user, code in (
            ("alice", "bad_frame"),
            ("nobody", "unknown_user"),
            ("", "unknown_user"),
        ):
            assert (await page.ask("block", user=user, blocked=True))["code"] == code
