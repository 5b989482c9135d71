"""What people cost the database: the same, however many rooms, members and messages there are."""

from collections.abc import Iterable
from typing import Any

import pytest

from chat import authentication, bulletin, chores, conf, cursors, messaging, presence, rooms, watch
from chat.models import Room, Token
from chat.pulse import pulse
from tests.conftest import token
from tests.conversation import crowd, draft, queries, say, say_much, seat_of, statements
from tests.failures import meanwhile, until
from tests.fake_browser import browser, text_page


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that do nothing unless they are asked. Name it before them."""
    monkeypatch.setattr(watch, "CHECK_EVERY", 1_000)
    monkeypatch.setattr(watch, "BLIND_AFTER", 1_000_000)  # though they have not looked
    monkeypatch.setattr(presence, "LOOK_EVERY", 1_000)
    monkeypatch.setattr(cursors, "WRITE_EVERY", 1_000)
    monkeypatch.setattr(bulletin, "FIRST", 1_000)
    monkeypatch.setattr(chores, "FIRST", 1_000)


def open_rooms(owner: Any, guest: Any, count: int) -> list[Room]:
    return [rooms.create(owner, f"Room {n}", members=[guest]) for n in range(count)]


def say_something(sender: Any, rooms: Iterable[Room]) -> None:
    messaging.post([draft(sender, room) for room in rooms])


async def cost_of_coming_back(application: Any, token: str) -> int:
    with statements() as asked:
        async with browser(application, token):
            return len(asked)


async def test_coming_back_costs_the_same_with_few_rooms_and_with_many(
    quiet, application, tokens, alice, bob, kitchen
):
    await meanwhile(say_something, alice, [kitchen])
    few = await cost_of_coming_back(application, tokens["bob"])
    many = await meanwhile(open_rooms, alice, bob, 30)
    await meanwhile(say_something, alice, many)
    assert await cost_of_coming_back(application, tokens["bob"]) == few


async def test_coming_back_costs_the_same_among_few_members_and_among_many(
    quiet, application, tokens, alice, kitchen
):
    await meanwhile(say_something, alice, [kitchen])
    few = await cost_of_coming_back(application, tokens["bob"])
    await meanwhile(crowd, kitchen, 300)
    assert await cost_of_coming_back(application, tokens["bob"]) <= few  # no receipts in a crowd


async def test_each_page_of_what_was_missed_costs_two_queries(
    quiet, application, tokens, alice, kitchen
):
    nothing_missed = await cost_of_coming_back(application, tokens["bob"])
    await meanwhile(say_much, alice, kitchen, 5 * conf.PAGE)
    missed = await cost_of_coming_back(application, tokens["bob"])
    assert missed - nothing_missed <= 5 * 2


@pytest.fixture
async def cost_of_a_post(quiet, application, tokens):
    """Measures what it costs when alice posts to a room."""

    async def measure(room: Room) -> int:
        async with browser(application, tokens["alice"]) as page:
            with statements() as asked:
                assert (await page.post("Hello", room=room.pk))["type"] == "posted"
                return len(asked)

    return measure


async def test_a_post_costs_the_same_in_a_small_room_and_in_a_large_one(
    cost_of_a_post, kitchen, alice
):
    small = await cost_of_a_post(kitchen)
    await meanwhile(crowd, kitchen, 300)
    await meanwhile(say_much, alice, kitchen, 300)
    assert await cost_of_a_post(kitchen) == small


def test_a_batch_costs_the_same_for_one_room_and_for_fifty(alice, bob, kitchen):
    many = open_rooms(alice, bob, 50)
    one = queries(lambda: say(alice, kitchen, "Hello"))
    assert queries(lambda: say_something(alice, many)) == one


def test_reading_costs_the_same_for_one_room_and_for_fifty(alice, bob, kitchen):
    many = open_rooms(alice, bob, 50)
    say_something(alice, [kitchen, *many])
    seat, *seats = (seat_of(bob, room).pk for room in (kitchen, *many))
    one = queries(lambda: messaging.read({seat: 1}))
    assert queries(lambda: messaging.read(dict.fromkeys(seats, 1))) == one


def test_the_check_costs_the_same_for_few_and_for_many(alice, bob, kitchen):
    token(alice)
    few = queries(lambda: pulse([kitchen.pk], [alice.pk], [Token.objects.get().pk]))
    room_ids = [room.pk for room in open_rooms(alice, bob, 50)]
    crowd(kitchen, 50)
    users = list(kitchen.memberships.values_list("user", flat=True))
    for _ in range(50):
        token(alice)
    digests = list(Token.objects.values_list("pk", flat=True))
    # One of them makes the epoch, if nobody has asked for it before.
    assert queries(lambda: pulse(room_ids, users, digests)) <= few


def test_who_is_behind_a_credential_costs_the_same_however_many_there_are(alice, bob):
    secret = token(alice)
    few = queries(lambda: authentication.by_bearer(f"Bearer {secret}"))
    for _ in range(50):
        token(bob)
    assert queries(lambda: authentication.by_bearer(f"Bearer {secret}")) == few


async def test_no_connection_carries_a_dictionary_of_its_attributes(tokens, worker, application):
    """With so many, it would weigh more than all that they hold."""
    async with browser(application, tokens["alice"]), text_page(application, tokens["bob"]):
        await until(lambda: len(worker.switchboard.sockets()) == 2)
        assert not [s for s in worker.switchboard.sockets() if hasattr(s, "__dict__")]
