"""Charlie, who is not in the kitchen: nothing there can be seen, touched or even told to exist."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from chat import control, messaging, rooms, users
from chat.api import api
from chat.models import Membership, Message, Room, Token
from tests.callers import Caller, messages, refusal
from tests.client import Client
from tests.conftest import token
from tests.conversation import say
from tests.failures import meanwhile
from tests.fake_browser import browser, text_page

NOWHERE = "AAAAAAAAAAAAAAAA"

EVERY_REQUEST: list[dict[str, Any]] = [
    {"type": "post", "id": "00000000-0000-4000-8000-000000000001", "body": "Hello?"},
    {"type": "edit", "seq": 1, "body": "Changed"},
    {"type": "delete", "seq": 1},
    {"type": "read", "seq": 1},
    {"type": "join"},
    {"type": "leave"},
    {"type": "rename", "name": "Charlie's"},
    {"type": "archive", "archived": True},
    {"type": "invite", "users": ["charlie"]},
    {"type": "remove", "user": "alice"},
    {"type": "appoint", "user": "charlie", "role": "owner"},
    {"type": "notify", "level": "none"},
    {"type": "unread", "seq": 1},
    {"type": "unread"},
    {"type": "members"},
    {"type": "report", "seq": 1, "reason": "Spam"},
    {"type": "report", "user": "alice", "reason": "Spam"},
    {"type": "history"},
    {"type": "history", "before": 1},
    {"type": "history", "after": 1},
    {"type": "history", "around": 1},
    {"type": "history", "around": 2**63 - 1, "limit": 2**63 - 1},
]


@pytest.mark.parametrize("request_", EVERY_REQUEST, ids=lambda r: f"{r['type']}-{len(r)}")
async def test_a_room_of_others_is_answered_like_one_that_does_not_exist(
    application, tokens, alice, kitchen, request_
):
    await meanwhile(say, alice, kitchen, "Secret")
    async with browser(application, tokens["charlie"]) as charlie:
        answers = [await charlie.ask(**request_, room=room) for room in (kitchen.pk, NOWHERE)]
    for answer in answers:
        assert (answer["type"], answer["code"]) == ("error", "not_found")
    assert answers[0]["detail"] == answers[1]["detail"]
    assert await meanwhile(bodies, kitchen) == ["Secret"]


def bodies(room: Room) -> list[str]:
    return [message.body for message in Message.objects.filter(room=room).order_by("seq")]


@pytest.mark.parametrize("room", ["", "1", "0", "-1", "%", "' OR 1=1 --", "x" * 64, "キッチン"])
async def test_a_room_cannot_be_guessed(application, tokens, alice, kitchen, room):
    async with browser(application, tokens["charlie"]) as charlie:
        for request in EVERY_REQUEST:
            answer = await charlie.ask(**request, room=room)
            assert (answer["type"], answer["code"]) in (
                ("error", "not_found"),
                ("error", "bad_frame"),
            )


async def test_who_resumes_a_room_of_others_is_told_what_is_told_of_none(
    application, tokens, alice, kitchen
):
    await meanwhile(say, alice, kitchen, "Secret")
    client = Client()
    client.cursors = {kitchen.pk: 0, NOWHERE: 0}
    async with browser(application, tokens["charlie"], client=client) as charlie:
        for room in (kitchen.pk, NOWHERE):
            told = [frame for frame in charlie.of_type("room") if frame["room"] == room]
            assert told == [{"type": "room", "room": room, "left": True}]
        assert "Secret" not in str(charlie.frames)


async def test_who_acknowledges_in_a_room_of_others_moves_nothing(
    application, tokens, alice, charlie, kitchen, lobby
):
    await meanwhile(say, alice, kitchen, "Secret")
    async with browser(application, tokens["charlie"]) as page:
        await page.send({"type": "ack", "cursors": {kitchen.pk: 1}})
        assert (await page.ask("ping"))["type"] == "pong"
    seats = Membership.objects.filter(room=kitchen)
    assert set(await meanwhile(lambda: list(seats.values_list("delivered_rev", flat=True)))) == {0}


LATE = ("presence",)  # of all who meet in the lobby, whenever there is time


def told(page: Any, before: int, *but: str) -> list[str]:
    """The types of what has come since then."""
    types = [frame["type"] for frame in page.frames[before:]]
    return [name for name in types if name not in but]


async def test_nothing_that_happens_in_the_kitchen_reaches_charlie(
    impatient, application, elsewhere, tokens, alice, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(elsewhere, tokens["bob"]) as bob,
        browser(application, tokens["charlie"]) as here,
        browser(elsewhere, tokens["charlie"]) as there,
        text_page(application, tokens["charlie"]) as device,
    ):
        known = [len(page.frames) for page in (here, there)]
        await alices.post("Secret", room=kitchen.pk)
        await alices.ask("edit", room=kitchen.pk, seq=1, body="Still secret")
        await bob.sees(kitchen.pk, "Still secret")
        await bob.send({"type": "read", "room": kitchen.pk, "seq": 1})
        await alices.until(lambda: any(r["user"] == "bob" for r in alices.of_type("receipt")))
        await alices.ask("delete", room=kitchen.pk, seq=1)
        await meanwhile(rooms.invite, alice, kitchen.pk, await meanwhile(users.named, "alice"))
        for page, before in zip((here, there), known, strict=True):
            await page.ask("ping")
            assert told(page, before, *LATE) == ["pong"]
        assert await device.nothing_more()


async def test_nothing_of_a_direct_room_reaches_charlie(application, tokens):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
        browser(application, tokens["charlie"]) as charlie,
    ):
        room = (await alice.post("Between us", to="bob"))["room"]
        await bob.sees(room, "Between us")
        for request in EVERY_REQUEST:
            assert (await charlie.ask(**request, room=room))["code"] == "not_found"
        assert "Between us" not in str(charlie.frames)
        assert room not in charlie.client.rooms


async def test_nobody_leaves_a_direct_room_or_the_lobby(application, tokens):
    async with browser(application, tokens["alice"]) as alice:
        direct = (await alice.ask("open", to="bob"))["room"]
        for room in (direct, alice.room("Lobby")):
            answer = await alice.ask("leave", room=room)
            assert (answer["type"], answer["code"]) == ("error", "forbidden")


async def test_to_open_a_direct_room_twice_opens_one(application, tokens):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        answers = await asyncio.gather(alice.ask("open", to="bob"), bob.ask("open", to="alice"))
        assert answers[0]["room"] == answers[1]["room"]
        assert (answers[0]["peer"], answers[1]["peer"]) == ("bob", "alice")


async def test_an_open_room_can_be_joined_and_left(application, tokens, garden):
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["charlie"]) as charlie,
    ):
        await alices.post("Before", room=garden.pk)
        joined = await charlie.ask("join", room=garden.pk)
        assert (joined["type"], joined["role"], joined["members"]) == ("room", "member", 2)
        await alices.post("Welcome", room=garden.pk)
        await charlie.sees(garden.pk, "Welcome")
        assert (await charlie.ask("leave", room=garden.pk))["type"] == "ok"
        await alices.post("After", room=garden.pk)
        await charlie.ask("ping")
        assert garden.pk not in charlie.client.rooms
        assert "After" not in str(charlie.frames)


# Members may not do everything, either


async def test_nobody_edits_what_others_said(application, tokens, alice, kitchen):
    await meanwhile(say, alice, kitchen, "Mine")
    async with browser(application, tokens["bob"]) as bob:
        for answer in (
            await bob.ask("edit", room=kitchen.pk, seq=1, body="Yours"),
            await bob.ask("delete", room=kitchen.pk, seq=1),
        ):
            assert (answer["type"], answer["code"]) == ("error", "forbidden")
    assert await meanwhile(bodies, kitchen) == ["Mine"]


async def test_the_owner_may_delete_what_others_said(application, tokens, bob, kitchen):
    await meanwhile(say, bob, kitchen, "Rude")
    async with browser(application, tokens["alice"]) as alice:
        assert (await alice.ask("delete", room=kitchen.pk, seq=1))["type"] == "ok"
        await alice.sees(kitchen.pk, None)


async def test_the_owner_may_not_edit_what_others_said(application, tokens, bob, kitchen):
    await meanwhile(say, bob, kitchen, "Bob's own words")
    async with browser(application, tokens["alice"]) as alice:
        answer = await alice.ask("edit", room=kitchen.pk, seq=1, body="Put into his mouth")
        assert (answer["type"], answer["code"]) == ("error", "forbidden")


async def test_only_managers_write_in_a_feed(application, tokens, alice, bob):
    news = await meanwhile(rooms.create, alice, "News", kind=Room.Kind.FEED, members=[bob])
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        answer = await bobs.post("Me too", room=news.pk)
        assert (answer["type"], answer["code"]) == ("error", "forbidden")
        await alices.post("News", room=news.pk)
        await bobs.sees(news.pk, "News")


async def test_forged_fields_change_nothing(application, tokens, kitchen):
    async with browser(application, tokens["bob"]) as bob:
        posted = await bob.ask(
            "post",
            room=kitchen.pk,
            id=str(uuid4()),
            body="Signed by alice",
            sender="alice",
            user="alice",
            seq=99,
            rev=99,
            at="1970-01-01T00:00:00.000Z",
            created_at="1970-01-01T00:00:00.000Z",
            is_admin=True,
            deleted=True,
            __proto__={"sender": "alice"},
        )
        assert (posted["seq"], posted["rev"]) == (1, 1)
        await bob.sees(kitchen.pk, "Signed by alice")
        [message] = bob.client.messages[kitchen.pk].values()
    assert message["sender"] == "bob"
    assert message["at"] > "2020"
    assert "deleted" not in message


async def test_a_receipt_is_always_ones_own(application, tokens, alice, kitchen):
    await meanwhile(say, alice, kitchen, "one")
    async with browser(application, tokens["bob"]) as bob:
        await bob.send({"type": "read", "room": kitchen.pk, "seq": 1, "user": "alice"})
        await bob.until(lambda: any(r["read_seq"] for r in bob.of_type("receipt")))
        assert {r["user"] for r in bob.of_type("receipt") if r["read_seq"]} == {"bob"}


async def test_one_users_retry_tells_nothing_of_anothers_message(
    application, tokens, alice, kitchen
):
    message = {"id": str(uuid4()), "room": kitchen.pk}
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["charlie"]) as charlie,
    ):
        await alices.post("Secret", **message)
        answer = await charlie.post("Secret", **message)
        assert (answer["type"], answer["code"]) == ("error", "not_found")


async def test_a_removed_sender_cannot_edit_or_read_on(application, tokens, alice, bob, kitchen):
    await meanwhile(say, bob, kitchen, "Bob was here")
    await meanwhile(rooms.remove, alice, kitchen.pk, bob)
    async with browser(application, tokens["bob"]) as page:
        for request in EVERY_REQUEST:
            assert (await page.ask(**request, room=kitchen.pk))["code"] == "not_found"
    assert await meanwhile(bodies, kitchen) == ["Bob was here"]


async def test_who_is_removed_while_they_post_is_refused(application, tokens, alice, bob, kitchen):
    """The membership is looked up under the room's lock, in the transaction that stores."""
    outcome = await meanwhile(remove_and_then_post, alice, bob, kitchen)
    assert outcome.code == "not_found"


def remove_and_then_post(alice: Any, bob: Any, kitchen: Room) -> Any:
    lock = messaging._lock

    def removed_just_before(*args: Any, **kwargs: Any) -> Any:
        rooms.remove(alice, kitchen.pk, bob)
        return lock(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messaging, "_lock", removed_just_before)
        [outcome] = messaging.post([messaging.Draft(bob, kitchen.pk, uuid4(), "Me, still")])
    return outcome


MANAGING: list[dict[str, Any]] = [
    {"type": "rename", "name": "Bob's"},
    {"type": "archive", "archived": True},
    {"type": "invite", "users": ["charlie"]},
    {"type": "remove", "user": "alice"},
    {"type": "appoint", "user": "bob", "role": "owner"},
]


@pytest.mark.parametrize("request_", MANAGING, ids=lambda request: request["type"])
async def test_a_mere_member_changes_nothing_of_a_room(
    application, tokens, kitchen, lobby, request_
):
    async with browser(application, tokens["bob"]) as bob:
        direct = (await bob.ask("open", to="alice"))["room"]
        for room in (kitchen.pk, lobby.pk, direct):
            assert (await bob.ask(**request_, room=room))["code"] == "forbidden"


async def test_what_one_keeps_in_mind_is_told_to_nobody_else(
    application, tokens, alice, bob, kitchen
):
    await meanwhile(say, alice, kitchen, "one", "two")
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        known = len(alices.frames)
        await bobs.ask("notify", room=kitchen.pk, level="none")
        await bobs.ask("unread", room=kitchen.pk, seq=1)
        await alices.ask("ping")
        assert told(alices, known, *LATE, "receipt") == ["pong"]


async def test_charlie_finds_no_room_that_is_not_open(application, tokens, kitchen, garden):
    async with browser(application, tokens["charlie"]) as charlie:
        found = (await charlie.ask("find", query=""))["rooms"]
    assert [room["name"] for room in found] == ["Garden"]


# Over HTTP


GOOD_BODIES: dict[str, Any] = {
    "/api/token": {"username": "alice", "password": "demo"},
    "/api/ticket": None,
    "/api/rooms": {"name": "Garden"},
    "/api/direct": {"to": "alice"},
    "/api/rooms/{room}/messages": {"id": "29346786-8239-4dc0-998a-4a0ba54ef949", "body": "Hello"},
}


def operations() -> list[tuple[str, str]]:
    """All that the API can be asked, by its own description: what is added is tested, too."""
    paths = api.get_openapi_schema(path_prefix="/api/")["paths"]
    return [(method.upper(), path) for path, methods in paths.items() for method in methods]


ASKING = [operation for operation in operations() if operation != ("POST", "/api/token")]
WRITING = [operation for operation in ASKING if operation[0] != "GET"]


def ask(caller: Any, method: str, path: str, room: Any, **options: Any) -> Any:
    """Something that would work for a member."""
    body = GOOD_BODIES[path] if method == "POST" else None
    return caller.ask(method, path.replace("{room}", room), body, **options)


def test_the_api_is_not_forgotten():
    assert len(ASKING) >= 7


@pytest.mark.parametrize(("method", "path"), ASKING)
def test_whoever_is_not_logged_in_is_asked_to(alice, kitchen, method, path):
    answers = [ask(Caller(), method, path, room) for room in (kitchen.pk, NOWHERE)]
    assert [refusal(answer) for answer in answers] == [(401, "forbidden")] * 2
    assert answers[0].content == answers[1].content
    assert nothing_was_done()


@pytest.mark.parametrize(("method", "path"), ASKING)
def test_whoever_is_banned_is_told_so(alice, kitchen, method, path):
    """That they are logged in shows that it is not about the password."""
    caller = Caller(token(alice))
    control.ban(alice, timezone.now() + timedelta(hours=1))
    assert refusal(ask(caller, method, path, kitchen.pk)) == (403, "forbidden")
    assert nothing_was_done()


@pytest.mark.parametrize(("method", "path"), ASKING)
def test_a_member_is_answered(alice, kitchen, method, path):
    """Or the tests above would say nothing."""
    assert ask(Caller(token(alice)), method, path, kitchen.pk).status_code in (200, 201)


def nothing_was_done() -> bool:
    made = Room.objects.exclude(name__in=["Kitchen", "Lobby"]).exists()
    return not (made or Message.objects.exists() or Token.objects.filter(kind="ticket").exists())


class LoggedIn(Caller):
    """A browser with a session, whose requests a page of another site may have caused."""

    def __init__(self, user: Any) -> None:
        super().__init__()
        self._client.force_login(user)
        self.csrf_token = self._client.get("/").cookies["csrftoken"].value


@pytest.mark.parametrize(("method", "path"), WRITING)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-CSRFToken": "made-up"},
        {"X-CSRFToken": "a" * 64},
        {"X-CSRFToken": "good", "Origin": "https://evil.example"},
        {"X-CSRFToken": "good", "Origin": "null"},
        {"Authorization": ""},
    ],
)
def test_a_page_of_another_site_writes_nothing_with_somebodys_cookie(
    alice, kitchen, method, path, headers
):
    caller = LoggedIn(alice)
    if headers.get("X-CSRFToken") == "good":
        headers = {**headers, "X-CSRFToken": caller.csrf_token}
    assert refusal(ask(caller, method, path, kitchen.pk, headers=headers)) == (403, "forbidden")
    assert nothing_was_done()


@pytest.mark.parametrize(("method", "path"), WRITING)
def test_our_own_page_may_write(alice, kitchen, method, path):
    caller = LoggedIn(alice)
    headers = {"X-CSRFToken": caller.csrf_token}
    assert ask(caller, method, path, kitchen.pk, headers=headers).status_code in (200, 201)


def test_a_form_of_another_site_is_not_read(alice, kitchen):
    """What a form can send without asking is no JSON, even when it looks like it."""
    caller = LoggedIn(alice)
    response = caller.ask(
        "POST",
        messages(kitchen),
        '{"id": "29346786-8239-4dc0-998a-4a0ba54ef949", "body": "Hello"}',
        content_type="text/plain",
        headers={"X-CSRFToken": caller.csrf_token},
    )
    assert refusal(response) == (415, "unsupported_type")


ROOM_PATHS = [operation for operation in ASKING if "{room}" in operation[1]]


@pytest.mark.parametrize(("method", "path"), ROOM_PATHS)
def test_over_http_a_room_of_others_is_answered_like_one_that_does_not_exist(
    alice, charlie, kitchen, method, path
):
    say(alice, kitchen, "Secret")
    caller = Caller(token(charlie))
    answers = [ask(caller, method, path, room) for room in (kitchen.pk, NOWHERE)]
    assert [refusal(answer) for answer in answers] == [(404, "not_found")] * 2
    assert answers[0].content == answers[1].content
    assert bodies(kitchen) == ["Secret"]


@pytest.mark.parametrize("query", ["before=1", "after=0", "around=1", "limit=1", "before=0"])
def test_no_page_of_a_room_of_others_says_that_there_is_one(alice, charlie, kitchen, query):
    say(alice, kitchen, "Secret")
    caller = Caller(token(charlie))
    answers = [caller.ask("GET", f"{messages(room)}?{query}") for room in (kitchen.pk, NOWHERE)]
    assert [refusal(answer) for answer in answers] == [(404, "not_found")] * 2
    assert answers[0].content == answers[1].content


@pytest.mark.parametrize(
    "room",
    [
        *(
            "1",
            "0",
            "-1",
            str(2**63),
            "29346786-8239-4dc0-998a-4a0ba54ef949",
            "x" * 17,
            "x" * 4_000,
        ),
        *("%25", "%27%20OR%201=1%20--", "..", "%2e%2e", "a%2Fb", "%ED%A0%80", "%F0%9F%98%80"),
        *("null", "None", "__proto__", "%E3%82%AD", "a%0Ab", "%20", "*"),
    ],
)
@pytest.mark.parametrize(("method", "path"), ROOM_PATHS)
def test_over_http_a_room_cannot_be_guessed(alice, charlie, kitchen, method, path, room):
    response = ask(Caller(token(charlie)), method, path, room)
    assert refusal(response) == (404, "not_found")


@pytest.mark.parametrize(("method", "path"), ROOM_PATHS)
def test_whoever_was_removed_is_an_outsider_at_once(alice, bob, kitchen, method, path):
    caller = Caller(token(bob))
    say(bob, kitchen, "Bob was here")
    rooms.remove(alice, kitchen.pk, bob)
    assert refusal(ask(caller, method, path, kitchen.pk)) == (404, "not_found")
    assert bodies(kitchen) == ["Bob was here"]


def test_the_rooms_of_others_are_not_listed(alice, bob, charlie, kitchen):
    rooms.open_direct(alice, bob)
    rooms.create(alice, "Garden", open=True)
    assert [room["name"] for room in Caller(token(charlie)).get("/api/rooms")] == ["Lobby"]


def test_an_id_of_somebody_else_is_nobodys_over_http(alice, charlie, kitchen, lobby):
    """Neither its numbers nor that it is taken can be learned."""
    [message] = say(alice, kitchen, "Secret")
    caller = Caller(token(charlie))
    assert refusal(caller.say(kitchen, "Secret", message.client_id)) == (404, "not_found")
    assert caller.say(lobby, "Secret", message.client_id).status_code == 201


def test_nobody_is_let_into_a_direct_room_of_others(alice, bob, charlie):
    room = rooms.open_direct(alice, bob)
    caller = Caller(token(charlie))
    for name in ("alice", "bob"):
        assert caller.post("/api/direct", {"to": name})["room"] != room.pk
    assert refusal(caller.ask("GET", messages(room))) == (404, "not_found")
