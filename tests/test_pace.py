"""How much one connection may say, so that the others are heard."""

import asyncio
import socket
import time
from threading import Thread

import pytest

from chat import allowances, conf
from chat.allowances import Visitor
from chat.limits import Limits, TokenBucket
from project import websocket
from tests.asgi_servers import RudeClient, served
from tests.failures import until
from tests.fake_browser import browser

SECONDS = 2.0


def test_a_client_that_pings_without_end_is_answered_at_a_pace(tmp_path):
    """Or it would have the event loop for itself: a socket's buffer holds ten thousand pings."""
    pongs = 0
    with served(tmp_path / "log") as running, RudeClient(running, "/echo") as client:
        ping = b"\x89\x80\0\0\0\0"
        flood = Thread(target=send_for_ever, args=[client.socket, ping * 1_000])
        flood.start()
        began = time.monotonic()
        while time.monotonic() - began < SECONDS:
            pongs += client.socket.recv(1 << 20).count(b"\x8a\x00")
        took = time.monotonic() - began
        client.socket.shutdown(socket.SHUT_RDWR)
        flood.join()
    frames = (websocket.STEPS_SAVED + websocket.STEPS_A_SECOND * took) / 2
    assert 1_000 < pongs <= frames * 1.1 + websocket.STEPS_IN_TURN


def send_for_ever(client, data):
    try:
        while True:
            client.sendall(data)
    except OSError:
        return


def test_who_owes_waits_until_it_is_paid():
    now = 0.0
    bucket = TokenBucket(10, 5, clock=lambda: now)
    assert bucket.owe(5) == 0
    assert bucket.owe(5) == 0.5
    now = 1.0
    assert bucket.owe(5) == 0


async def test_several_connections_of_one_user_are_taken_at_the_pace_of_two(
    application, tokens, settings, monkeypatch
):
    monkeypatch.setattr(conf, "LINES_RATE", 20)
    settings.CHAT_POST_RATE = 10
    async with (
        browser(application, tokens["alice"], resume=False) as one,
        browser(application, tokens["alice"], resume=False) as two,
        browser(application, tokens["alice"], resume=False) as three,
    ):
        pages, began = (one, two, three), time.monotonic()
        for page in pages:
            for _ in range(190):  # alone, each could say so much at once
                await page.send({"type": "ping"})
        await until(lambda: len(pongs(pages)) >= 390)
        await asyncio.sleep(0.5)
        assert len(pongs(pages)) <= 410 + 40 * (time.monotonic() - began)


def pongs(pages):
    return [pong for page in pages for pong in page.of_type("pong")]


async def test_lines_are_taken_at_a_pace(application, tokens, settings, monkeypatch):
    monkeypatch.setattr(conf, "LINES_RATE", 20)
    settings.CHAT_POST_RATE = 10
    async with browser(application, tokens["alice"], resume=False) as alice:
        began = time.monotonic()
        for _ in range(300):
            await alice.send({"type": "ping"})
        await until(lambda: len(pongs([alice])) >= 190)
        await asyncio.sleep(0.5)
        assert len(pongs([alice])) <= 210 + 20 * (time.monotonic() - began)


async def test_what_one_owes_is_no_debt_of_others_at_the_same_address(
    application, tokens, settings, monkeypatch
):
    monkeypatch.setattr(conf, "LINES_RATE", 20)
    settings.CHAT_POST_RATE, settings.CHAT_PEOPLE_PER_ADDRESS = 10, 2
    async with (
        browser(application, tokens["alice"], resume=False, address="192.0.2.1") as alice,
        browser(application, tokens["bob"], resume=False, address="192.0.2.1") as bob,
    ):
        await alice.wire.send("{}" + "\n" * 60_000)  # what she pays for the better part of an hour
        await bob.ask("ping")
        alice.wire.task.cancel()


async def test_where_posts_have_no_limit_lines_have_none(
    application, tokens, settings, monkeypatch
):
    monkeypatch.setattr(conf, "LINES_RATE", 1)  # at which they would take minutes
    settings.CHAT_POST_RATE = 0
    async with browser(application, tokens["alice"], resume=False) as alice:
        for _ in range(300):
            await alice.send({"type": "ping"})
        await until(lambda: len(pongs([alice])) == 300)


LOOKS = [{"type": "history"}, {"type": "members"}, {"type": "find", "query": "a"}]


@pytest.mark.parametrize("look", LOOKS, ids=lambda look: look["type"])
async def test_what_is_looked_up_is_told_as_often_as_over_http(
    application, worker, tokens, settings, alice, lobby, look
):
    settings.CHAT_POST_RATE = 10
    async with browser(application, tokens["alice"]) as page:
        worker.limits = Limits(clock=lambda: 0.0)
        [mine] = allowances.requests(Visitor(str(alice.pk), None))
        worker.limits.lose(mine, mine.allowance.burst - 2)
        answers = [await page.ask(**look, room=lobby.pk) for _ in range(3)]
        assert [answer["type"] == "error" for answer in answers] == [False, False, True]
        assert answers[2]["code"] == "rate_limited"
        assert (await page.ask("ping"))["type"] == "pong"


CHANGES = [
    *({"type": "create", "name": "Attic"}, {"type": "rename", "name": "Galley"}),
    *({"type": "archive", "archived": True}, {"type": "invite", "users": ["charlie"]}),
    *({"type": "remove", "user": "bob"}, {"type": "appoint", "user": "bob", "role": "owner"}),
    *({"type": "notify", "level": "none"}, {"type": "unread"}),
]


async def test_rooms_are_not_changed_faster_than_one_may_post(
    application, worker, tokens, settings, alice, kitchen
):
    settings.CHAT_POST_RATE = 10
    async with browser(application, tokens["alice"]) as page:
        worker.limits = Limits(clock=lambda: 0.0)
        [mine] = allowances.posts(Visitor(str(alice.pk), None))
        worker.limits.lose(mine, mine.allowance.burst)
        for change in CHANGES:
            assert (await page.ask(**change, room=kitchen.pk))["code"] == "rate_limited"
