"""Whatever a client sends, it is told what is wrong with it, and nothing else happens."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.db import OperationalError
from django.utils import timezone
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from msgspec import inspect

from chat import archive, conf, errors, frames, messaging
from chat.models import Membership, Message
from tests.conversation import say
from tests.failures import meanwhile, unwritable_database
from tests.fake_browser import Browser, browser

ID = "00000000-0000-4000-8000-000000000001"

# What is no frame, and the code that says so.
MALFORMED: dict[str, tuple[str | bytes, str]] = {
    "no JSON": ("Hello", "bad_json"),
    "half a frame": ('{"type":"ping"', "bad_json"),
    "two frames in a line": ('{"type":"ping"}{"type":"ping"}', "bad_json"),
    "single quotes": ("{'type':'ping'}", "bad_json"),
    "nothing": ("", "bad_json"),
    "blanks": (" \n\t\n ", "bad_json"),
    "a list": ("[]", "bad_frame"),
    "a list of frames": ('[{"type":"ping"}]', "bad_frame"),
    "a text": ('"ping"', "bad_frame"),
    "a number": ("1", "bad_frame"),
    "null": ("null", "bad_frame"),
    "no type": ("{}", "bad_frame"),
    "type null": ('{"type":null}', "bad_frame"),
    "type list": ('{"type":["ping"]}', "bad_frame"),
    "type number": ('{"type":1}', "bad_frame"),
    "unknown type": ('{"type":"shout"}', "unknown_type"),
    "type of ours": ('{"type":"message"}', "unknown_type"),
    "type of the server's": ('{"type":"websocket.disconnect"}', "unknown_type"),
    "type of the layer": ('{"type":"chat.announcement"}', "unknown_type"),
    "type of Python": ('{"type":"__class__"}', "unknown_type"),
    "type upper case": ('{"type":"PING"}', "unknown_type"),
    "type empty": ('{"type":""}', "unknown_type"),
    "brackets": ("[" * 60_000, "bad_json"),
    "braces": ('{"a":' * 10_000, "bad_json"),
    "deep field": ('{"type":"ping","x":' + "[" * 30_000 + "]" * 30_000 + "}", "bad_json"),
    "NaN": ('{"type":"ping","x":NaN}', "bad_json"),
    "Infinity": ('{"type":"read","room":"x","seq":Infinity}', "bad_json"),
    "a number of 5,000 digits": (
        '{"type":"read","room":"x","seq":' + "9" * 5_000 + "}",
        "bad_json",
    ),
    "1e999": ('{"type":"read","room":"x","seq":1e999}', "bad_frame"),
    "2^63": ('{"type":"read","room":"x","seq":9223372036854775808}', "bad_frame"),
    "negative": ('{"type":"read","room":"x","seq":-1}', "bad_frame"),
    "half": ('{"type":"read","room":"x","seq":1.5}', "bad_frame"),
    "a number as text": ('{"type":"read","room":"x","seq":"1"}', "bad_frame"),
    "true as a number": ('{"type":"read","room":"x","seq":true}', "bad_frame"),
    "room as a number": ('{"type":"read","room":1,"seq":1}', "bad_frame"),
    "room missing": ('{"type":"read","seq":1}', "bad_frame"),
    "room too long": ('{"type":"read","room":"' + "x" * 65 + '","seq":1}', "bad_frame"),
    "body as a list": (f'{{"type":"post","room":"x","id":"{ID}","body":["x"]}}', "bad_frame"),
    "body null": (f'{{"type":"post","room":"x","id":"{ID}","body":null}}', "bad_frame"),
    "body missing": (f'{{"type":"post","room":"x","id":"{ID}"}}', "bad_frame"),
    "id missing": ('{"type":"post","room":"x","body":"x"}', "bad_frame"),
    "id no UUID": ('{"type":"post","room":"x","id":"1","body":"x"}', "bad_frame"),
    "neither room nor to": (f'{{"type":"post","id":"{ID}","body":"x"}}', "bad_frame"),
    "both room and to": (
        f'{{"type":"post","room":"x","to":"bob","id":"{ID}","body":"x"}}',
        "bad_frame",
    ),
    "cursors as a list": ('{"type":"ack","cursors":[]}', "bad_frame"),
    "cursors of texts": ('{"type":"ack","cursors":{"x":"1"}}', "bad_frame"),
    "cursors missing": ('{"type":"ack"}', "bad_frame"),
    "limit 0": ('{"type":"history","room":"x","limit":0}', "bad_frame"),
    "limit negative": ('{"type":"history","room":"x","limit":-1}', "bad_frame"),
    "before and after": ('{"type":"history","room":"x","before":1,"after":1}', "bad_frame"),
    "ref too long": ('{"type":"ping","ref":"' + "x" * 65 + '"}', "bad_frame"),
    "ref a number": ('{"type":"ping","ref":1}', "bad_frame"),
    "NUL": ('{"type":"open","to":"a\\u0000b"}', "invalid_text"),
    "a lone surrogate": ('{"type":"open","to":"\\ud800"}', "invalid_text"),
    "a lone surrogate in a body": (
        f'{{"type":"post","room":"x","id":"{ID}","body":"\\udfff"}}',
        "invalid_text",
    ),
    "binary": (b'{"type":"ping"}', "bad_frame"),
    "no bytes": (b"", "bad_frame"),
    "binary garbage": (b"\x00\xff\xfe", "bad_frame"),
    "64 KiB and a byte": ('{"type":"ping"}' + " " * (65_536 + 1 - 15), "too_large"),
    "64 KiB in fewer characters": ("é" * 32_768 + "x", "too_large"),
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_frame_is_told_and_the_connection_goes_on(application, tokens, name):
    message, code = MALFORMED[name]
    async with browser(application, tokens["alice"]) as page:
        await page.wire.send(message)
        assert (await page.ask("ping"))["type"] == "pong"
        [error] = page.of_type("error")
        assert error["code"] == code
        assert "Traceback" not in error["detail"]


TEXTS = inspect.StrType | inspect.DictType | inspect.ListType


def texts(frame: type[frames.Frame]) -> list[str]:
    """The fields that take a text or several, as keys or in a list."""
    found = []
    for field in inspect.type_info(frame).fields:
        kinds = getattr(field.type, "types", [field.type])
        if any(isinstance(kind, TEXTS) for kind in kinds):
            found.append(field.encode_name)
    return found


def with_text(frame: type[frames.Frame], name: str, text: str) -> dict[str, Any]:
    """A request that is good but for the text in one of its fields."""
    values = {
        "room": "x",
        "to": "x",
        "body": "x",
        "id": ID,
        "seq": 1,
        "cursors": {"x": 1},
        "name": "x",
        "user": "x",
        "users": ["x"],
        "query": "x",
        "archived": True,
        "role": "member",
        "level": "all",
        "blocked": True,
        "reason": "x",
    }
    request = {field: values[field] for field in required(frame)}
    several = {"cursors": {text: 1}, "users": [text], "members": [text]}
    request[name] = several.get(name, text)
    if frame is frames.Post and name not in ("room", "to"):
        request["room"] = "x"
    if frame is frames.Report and name != "user":
        request["user"] = "x"
    return {"type": frame.__struct_config__.tag, **request}


def required(frame: type[frames.Frame]) -> list[str]:
    return [field.encode_name for field in inspect.type_info(frame).fields if field.required]


@pytest.mark.parametrize("text", ["\0", "a\0b", "\ud800", "a\udfffb", "\udc00\ud800"], ids=ascii)
async def test_what_cannot_be_stored_is_refused_in_every_text(
    application, tokens, monkeypatch, text
):
    monkeypatch.setattr("chat.frame_socket.BAD_FRAMES", (10**9, 10.0))
    asked = [(frame, name) for frame in frames.Request.__args__ for name in texts(frame)]
    assert len(asked) > 20
    async with browser(application, tokens["alice"]) as page:
        for frame, name in asked:
            before = len(page.of_type("error"))
            await page.send(with_text(frame, name, text))
            assert (await page.ask("ping"))["type"] == "pong"
            told = [error["code"] for error in page.of_type("error")[before:]]
            assert told == ["invalid_text"], f"{name} of {frame.__name__}"


async def test_the_ref_of_a_bad_frame_is_repeated_where_it_can_be_told(application, tokens):
    async with browser(application, tokens["alice"]) as page:
        assert (await page.ask("shout"))["code"] == "unknown_type"
        assert (await page.ask("read", room=1))["code"] == "bad_frame"
        assert (await page.ask("open", to="\0"))["code"] == "invalid_text"


async def test_exactly_64_kib_are_taken(application, tokens):
    async with browser(application, tokens["alice"]) as page:
        ping = '{"type":"ping","ref":"large"}'
        await page.wire.send(ping + " " * (conf.MESSAGE_BYTES - len(ping)))
        await page.until(lambda: page.of_type("pong"))


async def test_a_body_of_4000_characters_is_taken_whatever_they_are(application, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        body = "😀" * conf.BODY_CHARS
        await alice.post(body, room=kitchen.pk)
        await bob.sees(kitchen.pk, body)


@pytest.mark.parametrize(
    "body",
    [
        "<script>alert(1)</script>",
        "{{7*7}} {% now %}",
        "' OR 1=1; --",
        "\u202eright to left\u202c",
        "e" + "\u0301" * 500,
        "zero\u200bwidth",
        "\x01\x1f\x7f",
        '"}\n{"type":"ping"}',
        "a\u2028b\u2029c",
        "\ufffe\uffff",
        "  blanks around  ",
    ],
)
async def test_text_arrives_as_it_was_said(application, tokens, kitchen, body):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        assert (await alice.post(body, room=kitchen.pk))["type"] == "posted"
        await bob.sees(kitchen.pk, body)


async def test_each_line_of_a_message_is_answered_alone(application, tokens, kitchen):
    async with browser(application, tokens["alice"]) as page:
        good = [{"type": "ping", "ref": str(n)} for n in range(4)]
        lines = [json.dumps(frame) for frame in good]
        lines[2:2] = ["not a frame", '{"type":"shout","ref":"bad"}']
        await page.wire.send("\n".join(lines))
        await page.until(lambda: len(page.of_type("pong")) == 4)
        answers = [(f["type"], f.get("ref")) for f in page.frames if f["type"] in ("pong", "error")]
    assert answers == [
        ("pong", "0"),
        ("pong", "1"),
        ("error", None),
        ("error", "bad"),
        ("pong", "2"),
        ("pong", "3"),
    ]


async def test_who_sends_too_many_bad_frames_is_sent_away(application, tokens):
    async with browser(application, tokens["alice"]) as page:
        for n in range(20):
            await page.send({"type": "shout", "ref": str(n)})
        assert (await page.ask("ping"))["type"] == "pong"
        await page.send({"type": "shout"})
        bye = await page.says_goodbye()
    assert (bye["code"], bye["reconnect"]) == (4500, False)


async def test_who_sends_a_message_of_many_bad_lines_is_sent_away(application, tokens):
    async with browser(application, tokens["alice"]) as page:
        await page.wire.send("bad\n" * 10_000)
        assert (await page.says_goodbye())["code"] == 4500
        assert len(page.of_type("error")) <= 21


async def test_requests_that_fail_are_no_bad_frames(application, tokens):
    async with browser(application, tokens["alice"]) as page:
        for _ in range(50):
            assert (await page.ask("history", room="nowhere"))["code"] == "not_found"


async def test_a_bad_client_hurts_nobody_else(application, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
        browser(application, tokens["charlie"]) as charlie,
    ):
        await charlie.wire.send("[" * 60_000)
        await charlie.wire.send("bad\n" * 1_000)
        await alice.post("Still fine?", room=kitchen.pk)
        await bob.sees(kitchen.pk, "Still fine?")


# Too fast


async def test_who_posts_too_fast_is_told_when_to_go_on(application, tokens, kitchen, settings):
    settings.CHAT_POST_RATE = 2
    async with browser(application, tokens["alice"]) as page:
        answers = [await page.post(str(n), room=kitchen.pk) for n in range(11)]
        refused = [answer for answer in answers if answer["type"] == "error"]
        assert {answer["code"] for answer in refused} == {"rate_limited"}
        # Not for the next token alone: whoever obeys would be refused as often as a flood.
        assert all(500 < answer["retry_after_ms"] < 600 for answer in refused)
        await asyncio.sleep(refused[-1]["retry_after_ms"] / 1_000)
        assert (await page.post("later", room=kitchen.pk))["type"] == "posted"


async def test_the_rate_is_that_of_the_user_not_of_the_connection(
    application, tokens, kitchen, settings
):
    settings.CHAT_POST_RATE = 0.2  # one at once, then one every five seconds
    async with (
        browser(application, tokens["alice"]) as one,
        browser(application, tokens["alice"]) as two,
        browser(application, tokens["bob"]) as bob,
    ):
        assert (await one.post("one", room=kitchen.pk))["type"] == "posted"
        assert (await two.post("two", room=kitchen.pk))["code"] == "rate_limited"
        assert (await bob.post("three", room=kitchen.pk))["type"] == "posted"


async def test_who_comes_and_goes_too_fast_is_told_when_to_go_on(
    application, tokens, garden, settings
):
    settings.CHAT_POST_RATE = 0.2  # one at once, then one every five seconds
    verbs = {"join": {"room": garden.pk}, "leave": {"room": garden.pk}, "open": {"to": "alice"}}
    async with browser(application, tokens["bob"]) as page:
        assert (await page.ask("join", room=garden.pk))["type"] == "room"
        for verb, fields in verbs.items():
            assert (await page.ask(verb, **fields))["code"] == "rate_limited"


async def test_who_goes_on_too_fast_for_too_long_is_sent_away(
    application, tokens, kitchen, settings
):
    settings.CHAT_POST_RATE = 0.2
    async with browser(application, tokens["alice"]) as page:
        for _ in range(150):
            await page.send({"type": "post", "room": kitchen.pk, "id": str(uuid4()), "body": "x"})
        bye = await page.says_goodbye()
    assert (bye["code"], bye["reconnect"]) == (4008, True)
    assert bye["retry_after_ms"] > 0


# Each code


def a_post(**fields: Any) -> dict[str, Any]:
    return {"type": "post", "id": str(uuid4()), "body": "Hello", **fields}


def full_disk(*_: Any, **__: Any) -> Any:
    raise OperationalError("database or disk is full")


def our_mistake(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError


async def provoke_rate_limited(page: Browser, kitchen: str) -> dict[str, Any]:
    with patch.object(conf, "post_rate", lambda: 0.001):
        await page.ask(**a_post(room=kitchen))
        return await page.ask(**a_post(room=kitchen))


async def provoke_id_conflict(page: Browser, kitchen: str) -> dict[str, Any]:
    await page.ask(**a_post(room=kitchen, id=ID))
    return await page.ask(**a_post(room=kitchen, id=ID, body="Another"))


async def provoke_unavailable(page: Browser, kitchen: str) -> dict[str, Any]:
    with unwritable_database():
        return await page.ask(**a_post(room=kitchen))


async def provoke_storage_full(page: Browser, kitchen: str) -> dict[str, Any]:
    with patch.object(messaging, "post", full_disk):
        return await page.ask(**a_post(room=kitchen))


async def provoke_internal(page: Browser, kitchen: str) -> dict[str, Any]:
    with patch.object(archive, "history", our_mistake):
        return await page.ask("history", room=kitchen)


async def provoke_muted(page: Browser, kitchen: str) -> dict[str, Any]:
    seats = Membership.objects.filter(room=kitchen, user__username="bob")
    await meanwhile(seats.update, muted_until=timezone.now() + timedelta(minutes=1))
    answer = await page.ask(**a_post(room=kitchen))
    assert 50_000 < answer["retry_after_ms"] <= 60_000
    return answer


async def provoke_bad_json(page: Browser, _: str) -> dict[str, Any]:
    await page.wire.send("Hello")
    [error] = await page.until(lambda: page.of_type("error"))
    return dict(error)


async def provoke_too_large(page: Browser, _: str) -> dict[str, Any]:
    await page.wire.send("x" * 65_537)
    [error] = await page.until(lambda: page.of_type("error"))
    return dict(error)


def asking(**request: Any) -> Callable[[Browser, str], Any]:
    async def provoke(page: Browser, kitchen: str) -> Any:
        where = {} if "to" in request else {"room": kitchen}
        return await page.ask(**(where | request))

    return provoke


PROVOCATIONS = {
    "bad_json": provoke_bad_json,
    "bad_frame": asking(type="read", seq="one"),
    "unknown_type": asking(type="shout"),
    "too_large": provoke_too_large,
    "too_long": asking(**a_post(body="x" * 4_001)),
    "empty": asking(**a_post(body=" \n ")),
    "invalid_text": asking(**a_post(body="a\0b")),
    "not_found": asking(type="read", seq=1_000),
    "unknown_user": asking(**a_post(to="nobody")),
    "forbidden": asking(type="delete", seq=1),
    "muted": provoke_muted,
    "id_conflict": provoke_id_conflict,
    "rate_limited": provoke_rate_limited,
    "unavailable": provoke_unavailable,
    "storage_full": provoke_storage_full,
    "internal": provoke_internal,
}


@pytest.mark.parametrize("code", PROVOCATIONS)
async def test_each_failure_has_its_code(application, tokens, alice, kitchen, code):
    await meanwhile(say, alice, kitchen, "Said by alice")
    async with browser(application, tokens["bob"]) as bob:
        error = await PROVOCATIONS[code](bob, kitchen.pk)
        assert (error["type"], error["code"]) == ("error", code)
        assert error["detail"].endswith(".")
        assert (await bob.ask("ping"))["type"] == "pong"


def test_no_code_goes_untested():
    codes = {error.code for error in tree(errors.ChatError)}
    assert codes - set(PROVOCATIONS) == {
        "ambiguous",  # of plain text
        "unsupported_type",  # of HTTP, and the next
        "unsupported_method",
    }


def tree(error: type[errors.ChatError]) -> set[type[errors.ChatError]]:
    return {error}.union(*map(tree, error.__subclasses__()))


@pytest.mark.parametrize("verb", ["edit", "delete"])
async def test_what_is_not_there_cannot_be_changed(application, tokens, kitchen, verb):
    async with browser(application, tokens["alice"]) as alice:
        for seq in (0, 1, 2**63 - 1):
            answer = await alice.ask(verb, room=kitchen.pk, seq=seq, body="Hello")
            assert (answer["type"], answer["code"]) == ("error", "not_found")


async def test_an_edit_keeps_the_rules_for_bodies(application, tokens, alice, kitchen):
    await meanwhile(say, alice, kitchen, "one")
    async with browser(application, tokens["alice"]) as page:
        for body, code in (("", "empty"), ("x" * 4_001, "too_long"), ("\0", "invalid_text")):
            answer = await page.ask("edit", room=kitchen.pk, seq=1, body=body)
            assert answer["code"] == code


# Anything at all

REFS = st.none() | st.text(max_size=5)
NUMBERS = st.integers(-2, 5) | st.sampled_from([2**31, 2**63 - 1, 2**63, 10**30]) | st.floats()
ANYTHING = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
TYPES = sorted(frames._types)


def frame_in(rooms: list[str]) -> st.SearchStrategy[str]:
    """A frame of a valid shape, now and then with something else in one of its fields."""
    room = st.sampled_from([*rooms, "nowhere"])
    places = {
        "room": room,
        "to": st.sampled_from(["alice", "bob", "nobody", ""]) | st.text(max_size=5),
        "seq": NUMBERS,
        "id": st.uuids().map(str) | st.just(ID),
        "body": st.text(max_size=20),
        "cursors": st.dictionaries(room, NUMBERS, max_size=3),
        "limit": NUMBERS,
        "before": NUMBERS,
        "after": NUMBERS,
        "around": NUMBERS,
        "epoch": st.text(max_size=5),
        "ref": REFS,
    }
    fields = st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES)},
        optional={name: values | ANYTHING for name, values in places.items()},
    )
    good = st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES), "room": room, "seq": st.integers(0, 5)},
        optional={
            "cursors": st.dictionaries(room, st.integers(0, 10), max_size=2),
            "limit": st.integers(0, 5),
            "body": st.text(max_size=20),
        },
    )
    return (fields | good).map(json.dumps)


async def test_nothing_that_a_client_says_crashes_the_chat(
    application, tokens, kitchen, lobby, monkeypatch, caplog
):
    monkeypatch.setattr("chat.frame_socket.BAD_FRAMES", (10**9, 10.0))
    said: list[str] = []

    @seed(2026)
    @settings(
        max_examples=1_000,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(frame_in([kitchen.pk, lobby.pk]) | ANYTHING.map(json.dumps) | st.text(max_size=40))
    def collect(line: str) -> None:
        said.append(line)

    collect()
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        for line in said:
            await bob.wire.send(line.encode(errors="replace").decode())
        async with asyncio.timeout(30):
            assert (await bob.ask("ping"))["type"] == "pong"
        posted = await bob.post("And now for something different", room=lobby.pk)
        assert posted["type"] == "posted"
        await alice.sees(lobby.pk, "And now for something different")
        assert "internal" not in {error["code"] for error in bob.of_type("error")}
    assert [record for record in caplog.records if record.exc_info] == []
    assert await meanwhile(numbers_are_whole, lobby)


def numbers_are_whole(room: Any) -> bool:
    messages = Message.objects.filter(room=room).order_by("seq")
    return [m.seq for m in messages] == list(range(1, len(messages) + 1))
