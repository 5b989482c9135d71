"""What people do with rooms over their connections, and how everybody concerned sees it at once."""

from typing import Any

import pytest

from chat import conf, rooms
from chat.models import Room
from tests.conversation import crowd, promote, say, say_much
from tests.failures import meanwhile
from tests.fake_browser import Browser, browser, text_page


async def shows(page: Browser, room: str, **fields: Any) -> None:
    """Wait until a room looks like this to a page."""
    look = fields.items()
    await page.until(lambda: room in page.client.rooms and look <= page.client.rooms[room].items())


async def without(page: Browser, room: str) -> None:
    await page.until(lambda: room not in page.client.rooms)


def refused(answer: dict[str, Any]) -> str:
    assert answer["type"] == "error", answer
    return answer["code"]


# To make one


async def test_a_new_room_is_there_for_all_who_are_in_it(application, elsewhere, tokens):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["alice"]) as tablet,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        made = await alice.ask("create", name="Attic", members=["bob"])
        assert (made["type"], made["name"], made["kind"]) == ("room", "Attic", "group")
        assert (made["role"], made["roles"]) == ("owner", {"alice": "owner"})
        await shows(bob, made["room"], name="Attic", role="member", members=2)
        await shows(tablet, made["room"], name="Attic", role="owner")
        await alice.post("Hello", room=made["room"])
        await bob.sees(made["room"], "Hello")


async def test_in_a_new_feed_only_its_owner_writes(application, tokens):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        news = (await alice.ask("create", name="News", kind="feed", members=["bob"]))["room"]
        await shows(bob, news, kind="feed")
        assert refused(await bob.post("Me too", room=news)) == "forbidden"


async def test_a_room_with_somebody_unknown_is_not_made(application, tokens, kitchen):
    async with browser(application, tokens["alice"]) as alice:
        answer = await alice.ask("create", name="Attic", members=["bob", "bbo", "charly"])
        assert refused(answer) == "unknown_user"
        assert "bbo, charly" in answer["detail"]
    assert not await meanwhile(Room.objects.filter(name="Attic").exists)


@pytest.mark.parametrize("name", ["", " ", "a|b", "x" * 81])
async def test_a_room_needs_a_good_name(application, tokens, kitchen, name):
    async with browser(application, tokens["alice"]) as alice:
        assert refused(await alice.ask("create", name=name)) == "bad_frame"
        assert refused(await alice.ask("rename", room=kitchen.pk, name=name)) == "bad_frame"


# To change one


@pytest.mark.parametrize("size", ["small", "large"])
async def test_everybody_sees_its_new_name(
    impatient, application, elsewhere, tokens, kitchen, monkeypatch, size
):
    monkeypatch.setattr(conf, "SMALL_ROOM", 50 if size == "small" else 1)
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        assert (await alice.ask("rename", room=kitchen.pk, name=" Galley "))["type"] == "ok"
        assert alice.client.rooms[kitchen.pk]["name"] == "Galley"
        await shows(bob, kitchen.pk, name="Galley")


async def test_a_name_that_is_changed_past_the_chat_is_seen_too(
    impatient, application, tokens, lobby
):
    async with browser(application, tokens["charlie"]) as charlie:
        await meanwhile(Room.objects.filter(pk=lobby.pk).update, name="Hall")
        await shows(charlie, lobby.pk, name="Hall")


async def test_in_an_archived_room_nothing_is_said_or_changed(
    impatient, application, elsewhere, tokens, alice, kitchen
):
    await meanwhile(say, alice, kitchen, "Before")
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(elsewhere, tokens["bob"]) as bobs,
        text_page(elsewhere, tokens["bob"]) as device,
    ):
        assert (await alices.ask("archive", room=kitchen.pk, archived=True))["type"] == "ok"
        await shows(bobs, kitchen.pk, archived=True)
        for answer in (
            await bobs.post("After", room=kitchen.pk),
            await alices.post("After", room=kitchen.pk),
            await alices.ask("edit", room=kitchen.pk, seq=1, body="Changed"),
            await alices.ask("delete", room=kitchen.pk, seq=1),
            await alices.ask("typing", room=kitchen.pk),
            await alices.ask("invite", room=kitchen.pk, users=["charlie"]),
        ):
            assert refused(answer) == "forbidden"
        await device.send("Kitchen|After")
        await device.next()
        assert (await device.next()).startswith("!forbidden|This room is archived")
        history = await bobs.ask("history", room=kitchen.pk)
        assert [message["body"] for message in history["messages"]] == ["Before"]
        assert (await bobs.ask("leave", room=kitchen.pk))["type"] == "ok"


async def test_in_a_room_that_is_read_only_a_member_only_reads(
    impatient, application, elsewhere, tokens, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(elsewhere, tokens["bob"]) as bobs,
    ):
        assert (await bobs.post("Before", room=kitchen.pk))["type"] == "posted"
        await meanwhile(Room.objects.filter(pk=kitchen.pk).update, read_only=True)
        await shows(bobs, kitchen.pk, read_only=True)
        for answer in (
            await bobs.post("After", room=kitchen.pk),
            await bobs.ask("edit", room=kitchen.pk, seq=1, body="Changed"),
            await bobs.ask("typing", room=kitchen.pk),
        ):
            assert refused(answer) == "forbidden"
        assert (await alices.post("I may", room=kitchen.pk))["type"] == "posted"
        assert (await bobs.ask("delete", room=kitchen.pk, seq=1))["type"] == "ok"
        await meanwhile(Room.objects.filter(pk=kitchen.pk).update, read_only=False)
        await bobs.until(lambda: "read_only" not in bobs.client.rooms[kitchen.pk])
        assert (await bobs.post("Again", room=kitchen.pk))["type"] == "posted"


async def test_who_is_not_in_a_room_that_is_read_only_does_not_learn_that_it_is(
    application, tokens, kitchen
):
    await meanwhile(Room.objects.filter(pk=kitchen.pk).update, read_only=True)
    async with browser(application, tokens["charlie"]) as charlies:
        assert refused(await charlies.post("Hello", room=kitchen.pk)) == "not_found"


async def test_an_archived_room_can_be_opened_again(impatient, application, tokens, kitchen):
    async with browser(application, tokens["alice"]) as alice:
        await alice.ask("archive", room=kitchen.pk, archived=True)
        await alice.ask("archive", room=kitchen.pk, archived=False)
        assert "archived" not in alice.client.rooms[kitchen.pk]
        assert (await alice.post("Again", room=kitchen.pk))["type"] == "posted"


# Who is in it


async def test_whoever_is_invited_is_in_it(application, elsewhere, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["charlie"]) as charlie,
    ):
        assert (await alice.ask("invite", room=kitchen.pk, users=["charlie"]))["type"] == "ok"
        await shows(charlie, kitchen.pk, name="Kitchen", role="member")
        await shows(alice, kitchen.pk, members=3)


async def test_all_are_invited_or_nobody(application, tokens, kitchen):
    async with browser(application, tokens["alice"]) as alice:
        answer = await alice.ask("invite", room=kitchen.pk, users=["charlie", "dora"])
        assert refused(answer) == "unknown_user"
        assert "dora" in answer["detail"]
        assert alice.client.rooms[kitchen.pk]["members"] == 2


async def test_whoever_is_removed_sees_nothing_more(application, elsewhere, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        assert (await alice.ask("remove", room=kitchen.pk, user="bob"))["type"] == "ok"
        await without(bob, kitchen.pk)
        await shows(alice, kitchen.pk, members=1)


async def test_everybody_sees_who_was_appointed(application, elsewhere, tokens, kitchen):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        assert (await alice.ask("appoint", room=kitchen.pk, user="bob", role="moderator"))[
            "type"
        ] == "ok"
        for page in (alice, bob):
            await shows(page, kitchen.pk, roles={"alice": "owner", "bob": "moderator"})
        await shows(bob, kitchen.pk, role="moderator")
        await bob.ask("rename", room=kitchen.pk, name="Bob's")
        await shows(alice, kitchen.pk, name="Bob's")


async def test_the_last_owner_cannot_step_down(application, tokens, kitchen):
    async with browser(application, tokens["alice"]) as alice:
        stepping_down = {"room": kitchen.pk, "user": "alice", "role": "member"}
        assert refused(await alice.ask("appoint", **stepping_down)) == "forbidden"
        await alice.ask("appoint", room=kitchen.pk, user="bob", role="owner")
        assert (await alice.ask("appoint", **stepping_down))["type"] == "ok"
        assert alice.client.rooms[kitchen.pk]["role"] == "member"


async def test_a_moderator_sends_no_owner_out(application, tokens, bob, kitchen):
    await meanwhile(promote, bob, kitchen)
    async with browser(application, tokens["bob"]) as page:
        assert refused(await page.ask("remove", room=kitchen.pk, user="alice")) == "forbidden"
        assert refused(await page.ask("archive", room=kitchen.pk, archived=True)) == "forbidden"
        own = {"room": kitchen.pk, "user": "bob", "role": "owner"}
        assert refused(await page.ask("appoint", **own)) == "forbidden"


async def test_anybody_in_an_open_room_brings_others_in(application, tokens, bob, garden):
    await meanwhile(rooms.join, bob, garden.pk)
    async with (
        browser(application, tokens["bob"]) as page,
        browser(application, tokens["charlie"]) as charlie,
    ):
        assert (await page.ask("invite", room=garden.pk, users=["charlie"]))["type"] == "ok"
        await shows(charlie, garden.pk, open=True, role="member")


# What one keeps in mind


async def test_all_devices_know_what_nobody_wants_to_hear_of(
    application, elsewhere, tokens, kitchen
):
    async with (
        browser(application, tokens["bob"]) as laptop,
        browser(elsewhere, tokens["bob"]) as phone,
    ):
        assert (await laptop.ask("notify", room=kitchen.pk, level="none"))["type"] == "ok"
        for page in (laptop, phone):
            await shows(page, kitchen.pk, notify="none")
        await phone.ask("notify", room=kitchen.pk, level="all")
        await laptop.until(lambda: "notify" not in laptop.client.rooms[kitchen.pk])


async def test_all_devices_know_from_where_on_it_is_unread(
    application, elsewhere, tokens, alice, kitchen
):
    await meanwhile(say_much, alice, kitchen, 3)
    async with (
        browser(application, tokens["bob"]) as laptop,
        browser(elsewhere, tokens["bob"]) as phone,
    ):
        await laptop.send({"type": "read", "room": kitchen.pk, "seq": 3})
        assert (await laptop.ask("unread", room=kitchen.pk, seq=2))["type"] == "ok"
        for page in (laptop, phone):
            await shows(page, kitchen.pk, unread_from=2)
        await phone.ask("unread", room=kitchen.pk)
        await laptop.until(lambda: "unread_from" not in laptop.client.rooms[kitchen.pk])


@pytest.mark.parametrize("seq", [0, 4, 2**63 - 1])
async def test_what_is_not_there_is_not_marked(application, tokens, alice, kitchen, seq):
    await meanwhile(say_much, alice, kitchen, 3)
    async with browser(application, tokens["bob"]) as bob:
        assert refused(await bob.ask("unread", room=kitchen.pk, seq=seq)) == "not_found"
        assert "unread_from" not in bob.client.rooms[kitchen.pk]


# Looking up


async def test_a_large_room_tells_who_is_in_it_page_by_page(application, tokens, kitchen):
    await meanwhile(crowd, kitchen, 5)
    async with browser(application, tokens["bob"]) as bob:
        first = await bob.ask("members", room=kitchen.pk, limit=4)
        rest = await bob.ask("members", room=kitchen.pk, after=first["members"][-1]["user"])
    assert first["members"][:2] == [
        {"user": "alice", "role": "owner", "online": False},
        {"user": "bob", "role": "member", "online": True},
    ]
    told = [member["user"] for page in (first, rest) for member in page["members"]]
    assert told == ["alice", "bob", *(f"guest{n}" for n in range(5))]
    assert (first["more"], rest["more"]) == (True, False)


async def test_who_hides_seems_to_be_away_but_to_themselves(
    impatient, application, tokens, alice, kitchen
):
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        await alices.ask("prefer", hide_presence=True)
        for page, is_online in ((alices, True), (bobs, False)):
            [seen] = (await page.ask("members", room=kitchen.pk, limit=1))["members"]
            assert (seen["user"], seen["online"]) == ("alice", is_online)


async def test_people_and_open_rooms_are_found(application, tokens, garden):
    async with browser(application, tokens["bob"]) as bob:
        found = await bob.ask("find", query="AR")
        assert found["users"] == ["charlie"]
        [room] = found["rooms"]
        assert (room["room"], room["name"], room["members"]) == (garden.pk, "Garden", 1)
        assert (await bob.ask("join", room=room["room"]))["type"] == "room"
        assert (await bob.ask("find", query="ar"))["rooms"] == []
