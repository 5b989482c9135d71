"""Who is let in, and what everybody else is told."""

import asyncio
import json
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import settings
from django.db import OperationalError
from django.test import Client as HttpClient
from django.utils import timezone

from chat import allowances, authentication, conf, consumers, control
from chat.allowances import Visitor
from chat.authentication import Credentials
from chat.complaints import Nuisance
from chat.limits import Limits
from chat.models import Token
from tests.conftest import token
from tests.failures import meanwhile
from tests.fake_browser import ASGIWire, Browser, Closed, Refused, browser

HOME = "http://testserver"


@pytest.fixture
def cookie(tokens: dict[str, str], alice: Any) -> str:
    """Alice's browser has logged in."""
    http = HttpClient()
    http.force_login(alice)
    return f"{settings.SESSION_COOKIE_NAME}={http.cookies[settings.SESSION_COOKIE_NAME].value}"


async def handshake(application: Any, **wire: Any) -> ASGIWire:
    return await ASGIWire(application, **wire).connect()


async def welcomed(application: Any, **wire: Any) -> str:
    """Connect and resume; the username that the server welcomes."""
    page = Browser(await handshake(application, **wire))
    try:
        await page.open()
        [welcome] = page.of_type("welcome")
        return str(welcome["user"]["username"])
    finally:
        await page.close()


async def turned_away(application: Any, **wire: Any) -> tuple[dict[str, Any], dict[str, Any], int]:
    """Connect; the error and the goodbye that come at once, and the close code."""
    connection = await handshake(application, **wire)
    error, bye = map(json.loads, (await connection.receive()).split("\n"))
    with pytest.raises(Closed) as closed:
        await connection.receive()
    await connection.close()
    return error, bye, closed.value.code or 0


# Origins


async def test_a_page_of_ours_with_a_session_cookie_is_let_in(application, cookie):
    assert await welcomed(application, headers={"cookie": cookie, "origin": HOME}) == "alice"


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://testserver:8000",
        "https://testserver",
        "ws://testserver",
        "http://testserver.evil.com",
        "http://evil-testserver",
        "http://testserver@evil.com",
        "http://evil.com@testserver",
        "http://testserver.",
        "http://testserver/",
        "http://testserver/chat",
        "http://testserver?",
        "http://testserver#",
        "http://tеstserver",  # the first e is Cyrillic
        "http://xn--tstserver-8bg",
        "http://[",
        "http://testserver:99999",
        "http://testserver:port",
        "testserver",
        "//testserver",
        "http:testserver",
        "javascript:alert(1)",
        "http://" + "a" * 8192,
        HOME + " http://evil.example",
    ],
)
async def test_a_page_of_another_origin_is_refused(application, cookie, origin):
    as_sent = origin.encode().decode("latin1")
    with pytest.raises(Refused):
        await handshake(application, headers={"cookie": cookie, "origin": as_sent})


async def test_a_page_that_is_refused_is_told_to_the_log_once(
    application, cookie, caplog, monkeypatch
):
    monkeypatch.setattr(consumers, "_strangers", Nuisance(consumers.logger, "Refused"))
    for _ in range(2):
        with pytest.raises(Refused):
            await handshake(
                application, headers={"cookie": cookie, "origin": "http://evil.example"}
            )
    told = [line for line in caplog.messages if line.startswith("Refused")]
    assert told == [f"Refused (1 times): http://evil.example wanted one of {HOME}"]


@pytest.mark.parametrize(
    "origin", ["HTTP://TESTSERVER", "http://TestServer", "http://testserver:80"]
)
async def test_an_origin_may_be_written_differently(application, cookie, origin):
    assert await welcomed(application, headers={"cookie": cookie, "origin": origin}) == "alice"


@pytest.mark.parametrize("second", [HOME, "http://evil.example"])
async def test_two_origins_are_refused(application, cookie, second):
    headers = {"cookie": cookie, "origin": HOME}
    with pytest.raises(Refused):
        await handshake(application, headers=headers, more_headers=[("origin", second)])


async def test_a_cookie_without_an_origin_is_refused(application, cookie):
    with pytest.raises(Refused):
        await handshake(application, headers={"cookie": cookie})


async def test_a_token_does_not_excuse_a_foreign_page(application, tokens):
    headers = {"authorization": f"Bearer {tokens['alice']}", "origin": "http://evil.example"}
    with pytest.raises(Refused):
        await handshake(application, headers=headers)


async def test_behind_tls_our_origin_is_https(application, cookie):
    headers = {"cookie": cookie, "origin": "https://testserver"}
    assert await welcomed(application, headers=headers, scheme="wss") == "alice"
    with pytest.raises(Refused):
        await handshake(application, headers=headers | {"origin": HOME}, scheme="wss")


async def test_another_origin_can_be_allowed(application, cookie, settings):
    settings.CHAT_ALLOWED_ORIGINS = ["https://intranet.example:8443"]
    headers = {"cookie": cookie, "origin": "https://intranet.example:8443"}
    assert await welcomed(application, headers=headers) == "alice"
    with pytest.raises(Refused):
        await handshake(application, headers=headers | {"origin": "https://intranet.example"})


async def test_a_foreign_name_that_leads_to_us_is_not_ours(application, cookie):
    headers = {"cookie": cookie, "host": "evil.example", "origin": "http://evil.example"}
    with pytest.raises(Refused):
        await handshake(application, headers=headers)


# Which dialect


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        (["chat.v1.json"], "chat.v1.json"),
        (["chat", "superchat"], "chat"),
        (["chat", "chat.v1.json"], "chat.v1.json"),
        (["superchat"], None),
        ([], None),
    ],
)
async def test_the_richest_dialect_that_both_speak_is_chosen(application, tokens, offered, chosen):
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    connection = await handshake(application, headers=headers, subprotocols=offered)
    await connection.close()
    assert connection.subprotocol == chosen


async def test_without_a_known_dialect_plain_text_is_spoken(application, tokens):
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    connection = await handshake(application, headers=headers, subprotocols=["superchat"])
    await connection.send("nobody|Hello?")
    assert (await connection.receive()).startswith("!unknown_user|")
    await connection.close()


# Who comes too often


@pytest.fixture
def limited(worker, settings):
    settings.CHAT_POST_RATE = 10
    return worker


def use_up(worker, visitor, left=0):
    """Leave the visitor so many connections, and no time in which there would be more."""
    worker.limits = Limits(clock=lambda: 0.0)
    for share in allowances.arrivals(visitor):
        worker.limits.lose(share, share.allowance.burst - left)


async def test_who_connects_too_often_is_told_when_to_come_back(
    application, limited, tokens, alice
):
    use_up(limited, Visitor(str(alice.pk), None))
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    error, bye, code = await turned_away(application, headers=headers)
    assert (error["code"], error["detail"]) == ("rate_limited", "You connect too often.")
    assert 1_000 <= error["retry_after_ms"] == bye["retry_after_ms"] <= 3_001
    assert (bye["code"], bye["reconnect"], code) == (4008, True, 4008)
    async with browser(application, tokens["bob"]):
        pass


async def test_who_comes_too_often_from_one_address_is_not_looked_up(application, limited, tokens):
    use_up(limited, Visitor(None, "192.0.2.1"))
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    with patch.object(limited, "admit", side_effect=AssertionError):
        _, _, code = await turned_away(application, headers=headers, address="192.0.2.1")
    assert code == 4008
    spoofed = {"x-forwarded-for": "198.51.100.7", "x-real-ip": "198.51.100.7"}
    _, _, code = await turned_away(application, headers=headers | spoofed, address="192.0.2.1")
    assert code == 4008
    async with browser(application, tokens["alice"], address="198.51.100.7"):
        pass


async def test_those_who_are_turned_away_have_come_too(application, limited, transactional_db):
    use_up(limited, Visitor(None, "192.0.2.1"), left=2)
    made_up = {"headers": {"authorization": "Bearer made-up"}, "address": "192.0.2.1"}
    codes = [(await turned_away(application, **made_up))[2] for _ in range(4)]
    assert codes == [4501, 4501, 4008, 4008]


async def test_whoever_is_banned_has_come_too(application, limited, tokens, alice):
    await meanwhile(control.ban, alice, timezone.now() + timedelta(hours=1))
    use_up(limited, Visitor(str(alice.pk), None), left=2)
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    codes = [(await turned_away(application, headers=headers))[2] for _ in range(3)]
    assert codes == [4503, 4503, 4008]


# Nobody, and whoever is nobody any more


@pytest.mark.parametrize(
    "wire",
    [
        {},
        {"headers": {"origin": HOME}},
        {"headers": {"origin": HOME, "cookie": f"{settings.SESSION_COOKIE_NAME}=made-up"}},
        {"headers": {"origin": HOME, "cookie": f"{settings.SESSION_COOKIE_NAME}="}},
        {"headers": {"authorization": "Bearer made-up"}},
        {"headers": {"authorization": "Bearer "}},
        {"headers": {"authorization": "Basic YWxpY2U6ZGVtbw=="}},
        {"headers": {"authorization": "\xff\xfe"}},
        {"query": "ticket=made-up"},
        {"query": "ticket="},
        {"headers": {"origin": HOME, "cookie": f'{settings.SESSION_COOKIE_NAME}="a\\000b"'}},
        {"query": "ticket=%00"},
        {"query": "ticket=%ED%A0%80"},
        {"query": "ticket=%ff"},
        {"query": "ticket=\xff"},
    ],
)
async def test_nobody_is_told_to_log_in(application, tokens, wire):
    error, bye, code = await turned_away(application, **wire)
    assert error["code"] == "forbidden"
    assert (bye["code"], bye["reconnect"], code) == (4501, False, 4501)


async def test_in_plain_text_nobody_is_told_so_in_a_line(application, tokens):
    connection = await handshake(application, subprotocols=["chat"])
    assert (await connection.receive()).startswith("!forbidden|")
    with pytest.raises(Closed) as closed:
        await connection.receive()
    await connection.close()
    assert closed.value.code == 4501


async def test_a_bearer_token_works_without_an_origin(application, tokens):
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    assert await welcomed(application, headers=headers) == "alice"


async def test_a_long_lived_token_does_not_work_in_the_address(application, tokens):
    for query in (f"token={tokens['alice']}", f"ticket={tokens['alice']}"):
        _, _, code = await turned_away(application, query=query)
        assert code == 4501


async def test_a_worthless_token_is_not_made_up_for_by_a_cookie(application, cookie):
    headers = {"cookie": cookie, "origin": HOME, "authorization": "Bearer made-up"}
    _, _, code = await turned_away(application, headers=headers)
    assert code == 4501


async def test_an_expired_token_lets_nobody_in(application, tokens):
    await meanwhile(Token.objects.update, expires_at=timezone.now())
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    _, _, code = await turned_away(application, headers=headers)
    assert code == 4501


@pytest.fixture
def ticket(tokens: dict[str, str]) -> str:
    """A ticket of alice's."""
    alice = authentication.holder(Credentials(authorization=f"Bearer {tokens['alice']}"))
    assert alice is not None
    return authentication.issue_ticket(alice)


async def test_a_ticket_works_once(application, ticket):
    assert await welcomed(application, query=f"ticket={ticket}") == "alice"
    _, _, code = await turned_away(application, query=f"ticket={ticket}")
    assert code == 4501


async def test_of_two_who_use_a_ticket_at_once_one_gets_in(application, ticket):
    wires = [await handshake(application, query=f"ticket={ticket}") for _ in range(2)]
    pages = [Browser(wire) for wire in wires]
    await asyncio.gather(*(page.open() for page in pages))
    assert sorted(len(page.of_type("welcome")) for page in pages) == [0, 1]
    for page in pages:
        await page.close()


async def test_an_expired_ticket_lets_nobody_in(application, ticket):
    tickets = Token.objects.filter(kind=Token.Kind.TICKET)
    await meanwhile(tickets.update, expires_at=timezone.now() - timedelta(seconds=1))
    _, _, code = await turned_away(application, query=f"ticket={ticket}")
    assert code == 4501


async def test_a_ticket_is_no_better_than_the_token_it_was_issued_for(application, ticket):
    await meanwhile(Token.objects.filter(kind=Token.Kind.BEARER).delete)
    _, _, code = await turned_away(application, query=f"ticket={ticket}")
    assert code == 4501


async def test_a_ticket_is_no_bearer_token(application, ticket):
    _, _, code = await turned_away(application, headers={"authorization": f"Bearer {ticket}"})
    assert code == 4501


async def test_who_is_banned_stays_outside(application, tokens, alice):
    await meanwhile(control.ban, alice, timezone.now() + timedelta(hours=1))
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    error, bye, code = await turned_away(application, headers=headers)
    assert (error["code"], bye["reconnect"], code) == ("forbidden", False, 4503)
    assert 3_500_000 < bye["retry_after_ms"] <= 3_600_001  # an hour


async def test_a_ban_that_is_over_keeps_nobody_outside(application, tokens, alice):
    await meanwhile(control.ban, alice, timezone.now() - timedelta(seconds=1))
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    assert await welcomed(application, headers=headers) == "alice"


# Limits and failures


async def test_a_client_that_says_nothing_is_sent_away(application, tokens, monkeypatch):
    monkeypatch.setattr(consumers, "SILENCE", 0.05)
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    page = Browser(await handshake(application, headers=headers))
    await page.open(resume=False)
    bye = await page.says_goodbye()
    await page.close()
    assert (bye["code"], bye["reconnect"]) == (4500, False)


async def test_in_plain_text_one_may_just_listen(application, worker, tokens, monkeypatch):
    monkeypatch.setattr(consumers, "SILENCE", 0.05)
    headers = {"authorization": f"Bearer {tokens['bob']}"}
    listening = await handshake(application, headers=headers, subprotocols=["chat"])
    await asyncio.sleep(0.1)
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    speaking = await handshake(application, headers=headers, subprotocols=["chat"])
    await speaking.send("bob|Still there?")
    assert (await listening.receive()).endswith("|alice|alice|Still there?")
    await speaking.close()
    await listening.close()


async def test_one_connection_too_many_is_refused(application, tokens, monkeypatch):
    monkeypatch.setattr(conf, "CONNECTIONS", 3)
    headers = {"authorization": f"Bearer {tokens['alice']}"}
    open_ones = [Browser(await handshake(application, headers=headers)) for _ in range(3)]
    for page in open_ones:
        await page.open()
    _, bye, code = await turned_away(application, headers=headers)
    assert (bye["reconnect"], code) == (False, 4510)
    await open_ones.pop().close()
    assert await welcomed(application, headers=headers) == "alice"  # there is room for one again
    for page in open_ones:
        await page.close()


async def test_others_may_still_connect_when_one_has_too_many(application, tokens, monkeypatch):
    monkeypatch.setattr(conf, "CONNECTIONS", 1)
    headers = {name: {"authorization": f"Bearer {tokens[name]}"} for name in ("alice", "bob")}
    page = await Browser(await handshake(application, headers=headers["alice"])).open()
    assert await welcomed(application, headers=headers["bob"]) == "bob"
    await page.close()


async def test_without_a_database_a_client_is_told_to_come_back(application, tokens):
    def fail(*_: Any) -> None:
        raise OperationalError("connection refused")

    headers = {"authorization": f"Bearer {tokens['alice']}"}
    with patch("chat.authentication.claims", fail):
        error, bye, code = await turned_away(application, headers=headers)
    assert error["code"] == "unavailable"
    assert (bye["reconnect"], code) == (True, 4000)


async def test_a_failure_of_ours_is_an_internal_one(application, tokens):
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    headers = {"authorization": f"Bearer {tokens['alice']}"}
    with patch("chat.authentication.claims", fail):
        error, bye, code = await turned_away(application, headers=headers)
    assert (error["code"], bye["reconnect"], code) == ("internal", True, 4000)


async def test_somebody_new_finds_the_lobby(application, tokens, django_user_model):
    def arrive() -> str:
        [dave] = django_user_model.objects.bulk_create([django_user_model(username="dave")])
        return token(dave)  # without a save() that would have enrolled dave

    page = Browser(
        await handshake(application, headers={"authorization": f"Bearer {await meanwhile(arrive)}"})
    )
    await page.open()
    assert [room["kind"] for room in page.client.rooms.values()] == ["everyone"]
    await page.close()


async def test_a_query_of_too_many_fields_is_refused(application, tokens):
    with pytest.raises(Refused):
        await ASGIWire(application, query="a=1&" * 2_000).connect()
