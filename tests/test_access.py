"""Access stays true while connected: what one may no longer see stops coming."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.test import Client as HttpClient
from django.utils import timezone

from chat import access, control, rooms, watch
from chat.authentication import Credentials, claims, holder, issue_ticket
from chat.errors import Unavailable
from chat.models import Room, Token
from tests.conversation import say_much
from tests.failures import lost_announcements, meanwhile, until
from tests.fake_browser import ASGIWire, Browser, browser, text_page

HOME = "http://testserver"


@pytest.fixture
def cookie(tokens: dict[str, str], bob: Any) -> str:
    """Bob's browser has logged in."""
    http = HttpClient()
    http.force_login(bob)
    return f"{settings.SESSION_COOKIE_NAME}={http.cookies[settings.SESSION_COOKIE_NAME].value}"


async def by_cookie(application: Any, cookie: str, **options: Any) -> Browser:
    wire = ASGIWire(application, headers={"cookie": cookie, "origin": HOME})
    return await Browser(await wire.connect()).open(**options)


# The end of a log-in


def log_out(bob: Any) -> None:
    Session.objects.all().delete()


def change_the_password(bob: Any) -> None:
    bob.set_password("another")
    bob.save()


def deactivate(bob: Any) -> None:
    bob.is_active = False
    bob.save()


def deactivate_without_saving(bob: Any) -> None:
    type(bob).objects.filter(pk=bob.pk).update(is_active=False)  # as an action of the admin would


def delete(bob: Any) -> None:
    bob.delete()


def revoke_tokens(bob: Any) -> None:
    Token.objects.filter(user=bob).delete()


def let_the_session_expire(bob: Any) -> None:
    Session.objects.update(expire_date=timezone.now())


def let_tokens_expire(bob: Any) -> None:
    Token.objects.filter(user=bob).update(expires_at=timezone.now())


ENDS = [change_the_password, deactivate, deactivate_without_saving, delete]
ENDS_OF_A_SESSION = [log_out, let_the_session_expire, *ENDS]
ENDS_OF_A_TOKEN = [revoke_tokens, *ENDS]


@pytest.mark.parametrize("end", ENDS_OF_A_SESSION)
async def test_a_socket_ends_with_its_session(impatient, application, cookie, bob, end):
    page = await by_cookie(application, cookie)
    await meanwhile(end, bob)
    bye = await page.says_goodbye()
    await page.close()
    assert (bye["code"], bye["reconnect"]) == (4501, False)


@pytest.mark.parametrize("end", ENDS_OF_A_TOKEN)
async def test_a_socket_ends_with_its_token(impatient, application, tokens, bob, end):
    async with browser(application, tokens["bob"]) as page:
        await meanwhile(end, bob)
        bye = await page.says_goodbye()
    assert (bye["code"], bye["reconnect"]) == (4501, False)


@pytest.mark.parametrize("end", ENDS_OF_A_TOKEN)
async def test_a_plain_text_socket_ends_with_its_token(
    impatient, worker, application, tokens, bob, end
):
    async with text_page(application, tokens["bob"]) as page:
        await until(lambda: str(bob.pk) in worker.switchboard.users)
        await meanwhile(end, bob)
        assert await page.ends() == 4501


async def test_a_socket_ends_when_its_token_expires(impatient, application, tokens, bob):
    soon = timezone.now() + timedelta(seconds=0.5)
    await meanwhile(Token.objects.filter(user=bob).update, expires_at=soon)
    async with browser(application, tokens["bob"]) as page:
        bye = await page.says_goodbye()
    assert bye["code"] == 4501


async def test_a_socket_that_never_resumed_ends_too(impatient, application, tokens, bob):
    async with browser(application, tokens["bob"], resume=False) as page:
        await page.send({"type": "ping"})
        await page.until(lambda: page.of_type("pong"))
        await meanwhile(revoke_tokens, bob)
        bye = await page.says_goodbye()
    assert bye["code"] == 4501


async def test_a_session_that_is_prolonged_goes_on(impatient, application, cookie):
    soon = timezone.now() + timedelta(seconds=0.3)
    await meanwhile(Session.objects.update, expire_date=soon)
    page = await by_cookie(application, cookie)
    await meanwhile(Session.objects.update, expire_date=soon + timedelta(days=1))
    while timezone.now() < soon + timedelta(seconds=0.3):
        await asyncio.sleep(0.05)
    assert (await page.ask("ping"))["type"] == "pong"
    await page.close()


async def test_other_devices_go_on(impatient, application, tokens, cookie, bob):
    page = await by_cookie(application, cookie)
    async with browser(application, tokens["bob"]) as phone:
        await meanwhile(log_out, bob)
        await page.says_goodbye()
        assert (await phone.ask("ping"))["type"] == "pong"
    await page.close()


async def test_a_ticket_ends_with_the_session_it_was_issued_for(
    impatient, application, cookie, bob
):
    identity = await meanwhile(holder, Credentials(session_key=cookie.partition("=")[2]))
    ticket = await meanwhile(issue_ticket, identity)
    page = await Browser(await ASGIWire(application, query=f"ticket={ticket}").connect()).open()
    await meanwhile(log_out, bob)
    bye = await page.says_goodbye()
    await page.close()
    assert bye["code"] == 4501


async def test_who_is_banned_is_told_so_and_sent_away(impatient, application, tokens, bob):
    async with browser(application, tokens["bob"]) as page:
        await meanwhile(control.ban, bob, timezone.now() + timedelta(hours=1))
        bye = await page.says_goodbye()
    assert (bye["code"], bye["reconnect"]) == (4503, False)
    assert 3_500_000 < bye["retry_after_ms"] <= 3_600_001  # an hour


async def test_after_the_log_out_nothing_more_arrives(application, tokens, bob):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bobs,
    ):
        kitchen = alice.room("Kitchen")
        await meanwhile(revoke_tokens, bob)
        await bobs.says_goodbye()
        await alice.post("Is bob gone?", room=kitchen)
        assert bobs.client.bodies(kitchen) == []


async def test_what_waited_for_bob_is_not_shown_to_him_any_more(
    impatient, worker, application, tokens, bob
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bobs,
    ):
        kitchen = alice.room("Kitchen")
        bobs.wire.reads.clear()
        for body in ("one", "two", "three"):
            await alice.post(body, room=kitchen)
        await meanwhile(revoke_tokens, bob)
        await until(lambda: str(bob.pk) not in worker.switchboard.users)
        bobs.wire.reads.set()
        await bobs.says_goodbye()
    assert bobs.client.bodies(kitchen) in ([], ["one"])  # at the most what was on its way


# The end of a membership


async def test_who_is_removed_is_told_and_sees_nothing_more_of_the_room(
    impatient, application, tokens, alice, bob, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        await meanwhile(rooms.remove, alice, kitchen.pk, bob)
        await bobs.until(lambda: kitchen.pk not in bobs.client.rooms)
        seen = len(bobs.frames)
        await alices.post("Without bob", room=kitchen.pk)
        await alices.post("For all", room=alices.room("Lobby"))
        await bobs.sees(bobs.room("Lobby"), "For all")
        assert {frame.get("room") for frame in bobs.frames[seen:]} <= {bobs.room("Lobby")}


async def test_who_is_removed_is_removed_on_every_worker(
    impatient, application, elsewhere, tokens, alice, bob, kitchen
):
    async with (
        browser(application, tokens["bob"]) as here,
        browser(elsewhere, tokens["bob"]) as there,
    ):
        with lost_announcements():
            await meanwhile(rooms.remove, alice, kitchen.pk, bob)
            for page in (here, there):
                await page.until(lambda page=page: kitchen.pk not in page.client.rooms)
                [left] = [frame for frame in page.of_type("room") if frame.get("left")]
                assert left["room"] == kitchen.pk


async def test_a_removed_members_later_posts_find_no_room(application, tokens, alice, bob, kitchen):
    async with browser(application, tokens["bob"]) as bobs:
        await meanwhile(rooms.remove, alice, kitchen.pk, bob)
        for request in (
            {"type": "post", "id": "00000000-0000-4000-8000-000000000000", "body": "Hello?"},
            {"type": "history"},
            {"type": "edit", "seq": 1, "body": "Hello?"},
            {"type": "delete", "seq": 1},
        ):
            answer = await bobs.ask(room=kitchen.pk, **request)
            assert (answer["type"], answer["code"]) == ("error", "not_found")


async def test_the_rest_see_who_has_left(impatient, application, tokens, alice, bob, kitchen):
    async with browser(application, tokens["alice"]) as alices:
        await meanwhile(rooms.remove, alice, kitchen.pk, bob)
        await alices.until(lambda: alices.client.rooms[kitchen.pk]["members"] == 1)


async def test_who_is_added_gets_the_room_and_what_is_said_from_then_on(
    impatient, application, tokens, alice, charlie, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["charlie"]) as charlies,
    ):
        await alices.post("Before", room=kitchen.pk)
        await meanwhile(rooms.invite, alice, kitchen.pk, charlie)
        await charlies.until(lambda: kitchen.pk in charlies.client.rooms)
        await alices.post("Welcome", room=kitchen.pk)
        await charlies.sees(kitchen.pk, "Welcome")
        assert charlies.client.bodies(kitchen.pk) == ["Welcome"]


async def test_who_was_removed_and_comes_back_goes_on(
    impatient, application, tokens, alice, bob, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        await meanwhile(rooms.remove, alice, kitchen.pk, bob)
        await bobs.until(lambda: kitchen.pk not in bobs.client.rooms)
        await alices.post("Without bob", room=kitchen.pk)
        await meanwhile(rooms.invite, alice, kitchen.pk, bob)
        await bobs.until(lambda: kitchen.pk in bobs.client.rooms)
        await alices.post("With bob", room=kitchen.pk)
        await bobs.sees(kitchen.pk, "With bob")
        assert bobs.client.bodies(kitchen.pk) == ["With bob"]


async def test_a_room_that_is_gone_is_left(impatient, application, tokens, kitchen):
    async with browser(application, tokens["bob"]) as bobs:
        await meanwhile(Room.objects.filter(pk=kitchen.pk).delete)
        await bobs.until(lambda: kitchen.pk not in bobs.client.rooms)
        assert (await bobs.post("Hello", room=bobs.room("Lobby")))["type"] == "posted"


async def test_a_room_that_goes_while_it_is_replayed_is_left(
    impatient, application, tokens, alice, kitchen
):
    await meanwhile(say_much, alice, kitchen, 1000)
    async with browser(application, tokens["bob"], resume=False) as bobs:
        bobs.acknowledges = False
        await bobs.send(bobs.client.resume())
        await bobs.until(lambda: len(bobs.client.bodies(kitchen.pk)) == 400)
        await meanwhile(Room.objects.filter(pk=kitchen.pk).delete)
        await bobs.until(lambda: kitchen.pk not in bobs.client.rooms)
        await bobs.until(lambda: bobs.of_type("synced"))


async def test_who_is_removed_in_the_middle_of_a_replay_still_gets_the_other_rooms(
    impatient, application, tokens, alice, bob, kitchen, lobby
):
    await meanwhile(say_much, alice, kitchen, 1000)
    await meanwhile(say_much, alice, lobby, 50)
    async with browser(application, tokens["bob"], resume=False) as bobs:
        bobs.acknowledges = False
        await bobs.send(bobs.client.resume())
        await bobs.until(lambda: sum(map(len, bobs.client.messages.values())) >= 250)
        await meanwhile(rooms.remove, alice, kitchen.pk, bob)
        await bobs.until(lambda: bobs.of_type("synced"))
        assert len(bobs.client.bodies(lobby.pk)) == 50


# Races


async def test_who_connects_while_access_changes_does_not_keep_what_they_had(
    impatient, worker, application, tokens, alice, bob, kitchen
):
    before = await meanwhile(access.standing, bob.pk)
    async with browser(application, tokens["bob"]):
        with slow_look_ups() as go_on:
            await meanwhile(rooms.remove, alice, kitchen.pk, bob)
            showing_out = asyncio.create_task(worker.watch.refresh(str(bob.pk)))
            with looked_up_before(worker, before):
                connection = await ASGIWire(application, headers=bearer(tokens["bob"])).connect()
                await until(lambda: len(worker.switchboard.users[str(bob.pk)].sockets) == 2)
            go_on.set()
            await showing_out
        second = await Browser(connection).open()
        await second.until(lambda: kitchen.pk not in second.client.rooms)
        await second.close()


async def test_who_is_removed_while_they_join_is_not_shown_the_room(
    application, tokens, alice, charlie, garden
):
    def removed_at_once(user: Any, room_id: str) -> None:
        join(user, room_id)
        rooms.remove(alice, room_id, charlie)

    join = rooms.join
    async with browser(application, tokens["charlie"]) as page:
        with patch.object(rooms, "join", removed_at_once):
            assert (await page.ask("join", room=garden.pk))["code"] == "not_found"
        assert garden.pk not in page.client.rooms
        assert (await page.ask("join", room=garden.pk))["type"] == "room"


async def test_who_joins_and_cannot_be_shown_the_room_is_shown_it_later(
    impatient, application, tokens, garden
):
    async with browser(application, tokens["charlie"]) as page:
        with patch.object(watch, "_look_up", side_effect=Unavailable):
            assert (await page.ask("join", room=garden.pk))["code"] == "unavailable"
            assert garden.pk not in page.client.rooms
        await page.until(lambda: garden.pk in page.client.rooms)


async def test_who_connects_while_the_password_changes_is_not_let_in(application, tokens, bob):
    def recognised_just_before(shown: Any) -> Any:
        found = claims(shown)
        change_the_password(bob)
        return found

    with patch("chat.authentication.claims", recognised_just_before):
        async with browser(application, tokens["bob"], resume=False) as page:
            bye = await page.says_goodbye()
    assert bye["code"] == 4501


def bearer(secret: str) -> dict[str, str]:
    return {"authorization": f"Bearer {secret}"}


@contextmanager
def slow_look_ups() -> Iterator[threading.Event]:
    """Whoever looks up what a user may see comes back with it only after a while."""
    go_on = threading.Event()
    look_up = watch._look_up

    def slow(*args: Any) -> Any:
        found = look_up(*args)
        go_on.wait(20)
        return found

    with patch.object(watch, "_look_up", slow):
        yield go_on


def looked_up_before(worker: Any, standing: access.Standing) -> Any:
    """Whoever connects was looked up a moment ago."""
    admit = worker.admit

    async def admitted(credentials: Any) -> Any:
        identity, _ = await admit(credentials)
        return identity, standing

    return patch.object(worker, "admit", admitted)


async def test_an_announcement_that_names_somebody_often_is_one_look(
    tokens, application, worker, alice
):
    """Whoever can write to Redis could keep all threads busy otherwise."""
    async with browser(application, tokens["alice"]):
        with patch.object(watch, "_look_up", wraps=watch._look_up) as look_up:
            for _ in range(500):
                worker.watch.refresh_soon(str(alice.pk))
            await until(lambda: look_up.called)
            await until(lambda: not worker.watch._refreshing)
            assert look_up.call_count == 1
            worker.watch.refresh_soon(str(alice.pk))  # and later there is another one
            await until(lambda: look_up.call_count == 2)


async def test_those_who_wait_for_a_look_are_looked_up_together(
    tokens, application, worker, alice, bob, charlie
):
    """However many they are, a thread is left for the check: without it the worker goes blind."""
    async with (
        browser(application, tokens["alice"]),
        browser(application, tokens["bob"]),
        browser(application, tokens["charlie"]),
    ):
        with (
            slow_look_ups() as go_on,
            patch.object(watch, "_look_up", wraps=watch._look_up) as look_up,
        ):
            worker.watch.refresh_soon(str(alice.pk))
            await until(lambda: look_up.called)
            for waiting in (bob, charlie):
                worker.watch.refresh_soon(str(waiting.pk))
            await asyncio.sleep(0)
            go_on.set()
            await until(lambda: not worker.watch._refreshing)
        assert [len(call.args[0]) for call in look_up.call_args_list] == [1, 2]
