"""The plain-text dialect: a page of ten lines, `wscat`, or a device."""

import asyncio
import re
from functools import partial
from typing import Any

import pytest

from chat import archive, messaging, rooms
from chat.models import Room
from tests.conftest import token, user
from tests.conversation import say, say_much, seat_of
from tests.failures import meanwhile, unwritable_database
from tests.fake_browser import ASGIWire, Closed, TextPage, browser, text_page

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\|([^|]*)\|([^|]*)\|(.*)")


def parts(line: str) -> tuple[str, ...]:
    """Sender, room and text of a line."""
    match = LINE.fullmatch(line)
    assert match, line
    return match.groups()


async def heard(page: TextPage) -> tuple[str, ...]:
    return parts(await page.next())


# What one says


async def test_a_line_to_somebody_reaches_them(application, tokens):
    async with (
        text_page(application, tokens["alice"]) as alice,
        text_page(application, tokens["bob"]) as bob,
    ):
        await alice.send("bob|Tea?")
        assert await heard(bob) == ("alice", "alice", "Tea?")


async def test_a_line_to_a_room_reaches_everybody_in_it_and_oneself(application, tokens, kitchen):
    async with (
        text_page(application, tokens["alice"]) as alice,
        text_page(application, tokens["bob"]) as bob,
        text_page(application, tokens["charlie"]) as charlie,
    ):
        await alice.send("Kitchen|Tea?")
        for page in (alice, bob):
            assert await heard(page) == ("alice", "Kitchen", "Tea?")
        assert await charlie.nothing_more()


async def test_ones_own_direct_lines_do_not_come_back(application, tokens):
    async with text_page(application, tokens["alice"]) as alice:
        await alice.send("bob|Tea?")
        assert await alice.nothing_more()


async def test_a_line_without_a_name_reaches_everybody(application, tokens, lobby):
    async with (
        text_page(application, tokens["alice"]) as alice,
        text_page(application, tokens["charlie"]) as charlie,
    ):
        await alice.send("Good morning")
        for page in (alice, charlie):
            assert await heard(page) == ("alice", "Lobby", "Good morning")


async def test_an_empty_name_means_who_was_written_to_last(application, tokens):
    async with (
        text_page(application, tokens["alice"]) as alice,
        text_page(application, tokens["bob"]) as bob,
    ):
        for line in ("bob|one", "to everybody", "|two", "Kitchen|three", "|four"):
            await alice.send(line)
        lines = [await heard(bob) for _ in range(5)]
    assert sorted(lines) == [
        ("alice", "Kitchen", "four"),
        ("alice", "Kitchen", "three"),
        ("alice", "Lobby", "to everybody"),
        ("alice", "alice", "one"),
        ("alice", "alice", "two"),
    ]


@pytest.mark.parametrize("text", ["a|b|c", "|", "||", "a|", " |x"])
async def test_only_the_first_bar_separates(application, tokens, text):
    async with (
        text_page(application, tokens["alice"]) as alice,
        text_page(application, tokens["bob"]) as bob,
    ):
        await alice.send(f"bob|{text}")
        assert await heard(bob) == ("alice", "alice", text)


@pytest.mark.parametrize("text", ["one\ntwo", "one\r\ntwo", "one\rtwo"])
async def test_line_breaks_are_written_as_two_characters(application, tokens, text):
    async with (
        text_page(application, tokens["alice"]) as alice,
        text_page(application, tokens["bob"]) as bob,
    ):
        await alice.send(f"bob|{text}")
        assert await heard(bob) == ("alice", "alice", r"one\ntwo")


async def test_one_can_write_to_oneself(application, tokens):
    async with text_page(application, tokens["alice"]) as alice:
        await alice.send("alice|Note")
        await alice.send("nobody|Hello")
        assert (await alice.next()).startswith("!unknown_user|")


# What cannot be sent


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("nobody|Hello", "unknown_user"),
        ("no\0body|Hello", "unknown_user"),
        ("x" * 300 + "|Hello", "unknown_user"),
        ("|Hello", "not_found"),
        ("bob|", "empty"),
        ("bob|  \t", "empty"),
        ("", "empty"),
        ("bob|a\0b", "invalid_text"),
        ("bob|" + "x" * 4_001, "too_long"),
        ("bob|" + "x" * 65_533, "too_large"),
        ("é" * 32_769, "too_large"),
        (b"bob|Hello", "bad_frame"),
    ],
)
async def test_what_is_wrong_with_a_line_is_told_and_the_connection_goes_on(
    application, tokens, line, code
):
    async with text_page(application, tokens["alice"]) as alice:
        await alice.send(line)
        assert re.fullmatch(rf"!{code}\|[^|\n]+", await alice.next())
        await alice.send("Kitchen|Still here")
        assert await heard(alice) == ("alice", "Kitchen", "Still here")


async def test_a_name_of_both_a_user_and_a_room_is_ambiguous(application, tokens, alice):
    await meanwhile(rooms.create, alice, "bob")
    async with text_page(application, tokens["alice"]) as page:
        await page.send("bob|Which one?")
        assert (await page.next()).startswith("!ambiguous|")


async def test_a_name_of_two_rooms_is_ambiguous(application, tokens, alice):
    await meanwhile(rooms.create, alice, "Kitchen")
    async with text_page(application, tokens["alice"]) as page:
        await page.send("Kitchen|Which one?")
        assert (await page.next()).startswith("!ambiguous|")


async def test_the_name_of_a_room_one_is_not_in_says_nothing(application, tokens, kitchen):
    async with text_page(application, tokens["charlie"]) as charlie:
        await charlie.send("Kitchen|Hello?")
        assert (await charlie.next()).startswith("!unknown_user|")
        await charlie.send(f"{kitchen.pk}|Hello?")
        assert (await charlie.next()).startswith("!unknown_user|")


async def test_what_cannot_be_stored_is_told(application, tokens):
    async with text_page(application, tokens["alice"]) as alice:
        with unwritable_database():
            await alice.send("Kitchen|one")
            assert (await alice.next()).startswith("!unavailable|")
        await alice.send("Kitchen|two")
        assert await heard(alice) == ("alice", "Kitchen", "two")


async def test_who_writes_too_fast_is_told_and_after_a_while_sent_away(
    application, tokens, settings
):
    settings.CHAT_POST_RATE = 1
    async with text_page(application, tokens["alice"]) as alice:
        for n in range(200):
            await alice.send(f"bob|{n}")
        assert (await alice.next()).startswith("!rate_limited|")
        assert await alice.ends() == 4008


# What one hears


async def test_what_was_missed_comes_in_order_before_what_is_new(
    application, tokens, alice, kitchen
):
    await meanwhile(say_much, alice, kitchen, 450)
    async with (
        text_page(application, tokens["bob"]) as bob,
        text_page(application, tokens["charlie"]) as charlie,
    ):
        await charlie.send("bob|live")
        lines = [await heard(bob) for _ in range(451)]
    kitchen_lines = [text for _, room, text in lines if room == "Kitchen"]
    assert kitchen_lines == [str(n) for n in range(1, 451)]


async def test_edits_are_not_shown(application, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        text_page(application, tokens["bob"]) as bob,
    ):
        await alice.post("one", room=kitchen.pk)
        assert await heard(bob) == ("alice", "Kitchen", "one")
        await alice.ask("edit", room=kitchen.pk, seq=1, body="ONE")
        await alice.ask("delete", room=kitchen.pk, seq=1)
        await alice.post("two", room=kitchen.pk)
        assert await heard(bob) == ("alice", "Kitchen", "two")


async def test_who_was_away_reads_what_was_edited_once_and_what_was_deleted_never(
    application, tokens, alice, kitchen
):
    await meanwhile(say, alice, kitchen, "one", "two", "three")
    await meanwhile(messaging.edit, alice, kitchen.pk, 1, "ONE")
    await meanwhile(messaging.delete, alice, kitchen.pk, 2)
    async with text_page(application, tokens["bob"]) as bob:
        texts = {(await heard(bob))[2] for _ in range(2)}
        assert texts == {"ONE", "three"}
        assert await bob.nothing_more()


async def test_an_edit_of_what_one_has_read_is_not_shown_later(
    quick_cursors, application, tokens, alice, bob, kitchen
):
    await meanwhile(say, alice, kitchen, "one")
    async with text_page(application, tokens["bob"]) as page:
        assert await heard(page) == ("alice", "Kitchen", "one")
        await delivered(bob, kitchen, 1)
    await meanwhile(messaging.edit, alice, kitchen.pk, 1, "ONE")
    await meanwhile(say, alice, kitchen, "two")
    async with text_page(application, tokens["bob"]) as page:
        assert await heard(page) == ("alice", "Kitchen", "two")


async def test_both_dialects_talk_to_each_other(application, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        text_page(application, tokens["bob"]) as bob,
    ):
        await bob.send("Kitchen|From a device")
        await alice.sees(kitchen.pk, "From a device")
        room = (await alice.post("In private?", to="bob"))["room"]
        await bob.send("alice|In private")
        await alice.sees(room, "In private?", "In private")


async def test_a_room_that_one_is_added_to_is_heard(
    impatient, application, tokens, alice, charlie, kitchen
):
    async with text_page(application, tokens["charlie"]) as page:
        await meanwhile(rooms.invite, alice, kitchen.pk, charlie)
        await meanwhile(say, alice, kitchen, "Welcome")
        assert await heard(page) == ("alice", "Kitchen", "Welcome")


# What counts as received


@pytest.fixture
def quick_cursors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that write what has been delivered after a moment. Name it before them."""
    monkeypatch.setattr("chat.cursors.WRITE_EVERY", 0.02)


async def delivered(user: Any, room: Room, rev: int) -> None:
    """Wait until it is stored that the user has this much of the room."""
    async with asyncio.timeout(5):
        while (await meanwhile(seat_of, user, room)).delivered_rev != rev:
            await asyncio.sleep(0.01)


class FrayedWire(ASGIWire):
    """Breaks after so many lines, and with them it may have answered pings or not."""

    def __init__(self, application: Any, secret: str, *, lines: int, pongs: bool) -> None:
        headers = {"authorization": f"Bearer {secret}"}
        super().__init__(application, headers=headers, subprotocols=["chat"])
        self.answers_pings = pongs
        self._lines_left = lines

    async def _take(self, event: dict[str, Any]) -> None:
        if event["type"] == "websocket.send":
            if self._lines_left == 0 and self.closed is None:
                self.closed = Closed(1006)
                self._to.put_nowait({"type": "websocket.disconnect", "code": 1006})
            self._lines_left -= 1
        await super()._take(event)

    async def texts(self) -> list[str]:
        """The text of each line that arrived before it broke."""
        async with asyncio.timeout(5):
            await asyncio.wait({self.task})
        arrived = []
        while not self._from.empty():
            arrived.append(parts(self._from.get_nowait()["text"])[2])
        return arrived


@pytest.mark.parametrize("pongs", [True, False])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
async def test_wherever_the_connection_is_cut_nothing_is_missed(
    quick_cursors, application, tokens, alice, bob, kitchen, cut, pongs, monkeypatch
):
    monkeypatch.setattr(archive, "replay", partial(archive.replay, size=2))
    expected = ["1", "2", "3", "4", "5"]
    await meanwhile(say_much, alice, kitchen, len(expected))
    wire = await FrayedWire(application, tokens["bob"], lines=cut, pongs=pongs).connect()
    first = await wire.texts()
    assert first == expected[:cut]
    answered = cut // 2 * 2 if pongs else 0  # whole pages, with a ping behind each
    await delivered(bob, kitchen, answered)
    async with text_page(application, tokens["bob"]) as page:
        second = [(await heard(page))[2] for _ in range(len(expected) - answered)]
        assert second == expected[answered:]
        assert await page.nothing_more(0.05)


async def test_what_has_been_answered_is_not_repeated(
    quick_cursors, application, tokens, alice, bob, kitchen
):
    await meanwhile(say_much, alice, kitchen, 3)
    async with text_page(application, tokens["bob"]) as page:
        for _ in range(3):
            await page.next()
        await delivered(bob, kitchen, 3)
    async with text_page(application, tokens["bob"]) as page:
        assert await page.nothing_more()


async def test_what_came_live_and_was_answered_is_not_repeated(
    quick_cursors, application, tokens, bob, kitchen
):
    async with (
        text_page(application, tokens["alice"]) as alices,
        text_page(application, tokens["bob"]) as page,
    ):
        for n in range(5):
            await alices.send(f"Kitchen|{n}")
            assert await heard(page) == ("alice", "Kitchen", str(n))
        await delivered(bob, kitchen, 5)


async def test_without_an_answer_lines_are_repeated(
    quick_cursors, application, tokens, alice, bob, kitchen
):
    await meanwhile(say_much, alice, kitchen, 3)
    for _ in range(2):
        async with text_page(application, tokens["bob"]) as page:
            page.wire.answers_pings = False
            assert [(await heard(page))[2] for _ in range(3)] == ["1", "2", "3"]


async def test_a_made_up_pong_acknowledges_nothing(
    quick_cursors, application, tokens, alice, bob, kitchen
):
    await meanwhile(say_much, alice, kitchen, 3)
    async with text_page(application, tokens["bob"]) as page:
        page.wire.answers_pings = False
        for payload in (b"", b"0", b"2", b"\xff"):
            page.wire._to.put_nowait({"type": "websocket.pong", "bytes": payload})
        for _ in range(3):
            await page.next()
        for payload in (b"", b"0", b"2", b"\xff"):
            page.wire._to.put_nowait({"type": "websocket.pong", "bytes": payload})
        await page.send("nobody|")
        await page.next()
        await asyncio.sleep(0.1)
        assert (await meanwhile(seat_of, bob, kitchen)).delivered_rev == 0


async def test_where_the_server_cannot_ping_speaking_counts(
    quick_cursors, application, tokens, alice, bob, kitchen
):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with text_page(application, tokens["bob"], pings=False) as page:
        for _ in range(1_000):
            await page.next()
        assert (await meanwhile(seat_of, bob, kitchen)).delivered_rev == 0
        await page.send("alice|Got it all")
        await delivered(bob, kitchen, 1_000)


async def test_unanswered_pages_are_bounded(application, tokens, alice, kitchen):
    await meanwhile(say_much, alice, kitchen, 1_000)
    async with text_page(application, tokens["bob"]) as page:
        page.wire.answers_pings = False
        for _ in range(400):
            await page.next()
        assert await page.nothing_more()


async def test_names_need_not_be_ascii(application, tokens):
    name = "Ünïcödé@example.org"
    secret = await meanwhile(lambda: token(user(name)))
    async with (
        text_page(application, tokens["alice"]) as alice,
        text_page(application, secret) as page,
    ):
        await alice.send(f"{name}|Grüße 😀")
        assert await heard(page) == ("alice", "alice", "Grüße 😀")
