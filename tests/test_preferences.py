"""What people prefer, and what they hide from others: over all workers and devices."""

import pytest

from chat import access, leases, people, preferences, presence
from chat.errors import BadFrame
from chat.models import Access, Preferences
from tests.callers import Caller
from tests.conftest import token
from tests.conversation import crowd, queries, say
from tests.failures import meanwhile, until
from tests.fake_browser import browser

USUAL = {
    "theme": "",
    "language": "",
    "enter_sends": True,
    "hide_receipts": False,
    "hide_typing": False,
    "hide_presence": False,
}


@pytest.fixture(autouse=True)
def attentive(monkeypatch):
    """Workers that see at once who comes and goes."""
    monkeypatch.setattr(presence, "LOOK_EVERY", 0.1)
    monkeypatch.setattr(presence, "GRACE", 0.1)


def version(user):
    return Access.objects.get(pk=user.pk).version


async def test_alice_is_welcomed_with_what_she_prefers(application, tokens, alice):
    await meanwhile(people.prefer, alice, {"theme": "dark", "enter_sends": False})
    async with browser(application, tokens["alice"]) as page:
        [welcome] = page.of_type("welcome")
        assert welcome["preferences"] == USUAL | {"theme": "dark", "enter_sends": False}


async def test_whoever_never_said_so_prefers_what_is_usual(application, worker, tokens):
    async with browser(application, tokens["alice"]) as page:
        [welcome] = page.of_type("welcome")
        assert (welcome["preferences"], welcome["worker"]) == (USUAL, worker.key)


async def test_what_alice_prefers_is_told_to_her_other_devices_and_to_nobody_else(
    impatient, application, elsewhere, tokens
):
    async with (
        browser(application, tokens["alice"]) as phone,
        browser(application, tokens["alice"]) as tablet,
        browser(elsewhere, tokens["alice"]) as laptop,
        browser(application, tokens["bob"]) as bob,
    ):
        answer = await phone.ask("prefer", language="zh-hans", theme="light")
        assert answer["type"] == "preferences"
        expected = USUAL | {"language": "zh-hans", "theme": "light"}
        assert answer["preferences"] == expected
        for page in (tablet, laptop):
            await page.until(lambda page=page: page.of_type("preferences"))
            [told] = page.of_type("preferences")
            assert told == {"type": "preferences", "preferences": expected}
        await phone.ask("ping")
        assert len(phone.of_type("preferences")) == 1
        assert not bob.of_type("preferences")


@pytest.mark.parametrize(
    "change", [{"theme": "pink"}, {"language": "tlh"}, {"hide_typing": "yes"}, {"enter_sends": 1}]
)
async def test_what_cannot_be_preferred_is_refused(application, tokens, change):
    async with browser(application, tokens["alice"]) as page:
        assert (await page.ask("prefer", hide_receipts=True, **change))["code"] == "bad_frame"
        assert (await page.ask("prefer"))["preferences"] == USUAL


def test_who_changes_nothing_disturbs_nobody(alice, bob, kitchen):
    people.prefer(alice, {"theme": "dark"})
    before = version(alice), version(bob)
    people.prefer(alice, {"theme": "dark"})
    people.prefer(alice, {})
    assert (version(alice), version(bob)) == before


def test_only_what_is_hidden_concerns_those_who_share_a_small_room(alice, bob, charlie, kitchen):
    before = version(bob), version(charlie)
    people.prefer(alice, {"theme": "dark", "hide_typing": True})
    assert (version(bob), version(charlie)) == before
    people.prefer(alice, {"hide_receipts": True})
    assert version(bob) > before[0]


def test_who_only_shares_a_crowd_need_not_look(alice, charlie, lobby):
    crowd(lobby, 50)
    before = version(charlie)
    people.prefer(alice, {"hide_presence": True})
    assert version(charlie) == before


def test_a_theme_that_is_none_is_not_stored(alice):
    with pytest.raises(BadFrame):
        people.prefer(alice, {"theme": "pink"})
    assert preferences.of(alice.pk) is None


def test_what_people_hide_costs_no_query_more(alice, bob, kitchen):
    few = queries(lambda: access.standing(bob.pk))
    people.prefer(alice, {"hide_presence": True})
    people.prefer(bob, {"theme": "dark"})
    assert queries(lambda: access.standing(bob.pk)) == few


# Receipts


def read_by(page, room):
    """How far others have read, as the page has been told."""
    return {user: read for user, (_, read) in page.client.rooms[room]["receipts"].items()}


async def test_nobody_sees_how_far_alice_has_read_if_she_hides_it(
    application, elsewhere, tokens, alice, bob, kitchen
):
    await meanwhile(people.prefer, alice, {"hide_receipts": True})
    await meanwhile(say, bob, kitchen, "Hello")
    async with (
        browser(application, tokens["bob"]) as here,
        browser(elsewhere, tokens["bob"]) as there,
        browser(application, tokens["alice"]) as phone,
        browser(elsewhere, tokens["alice"]) as laptop,
    ):
        await phone.send({"type": "read", "room": kitchen.pk, "seq": 1})
        for own in (phone, laptop):
            await own.until(lambda own=own: any(r["read_seq"] for r in own.of_type("receipt")))
        await phone.send({"type": "ack", "cursors": {kitchen.pk: 1}})
        for other in (here, there):
            await other.until(
                lambda other=other: [
                    r
                    for r in other.of_type("receipt")
                    if (r["user"], r["delivered_rev"]) == ("alice", 1)
                ]
            )
            assert {r["read_seq"] for r in other.of_type("receipt") if r["user"] == "alice"} == {0}
    async with browser(application, tokens["bob"]) as bobs:
        assert read_by(bobs, kitchen.pk) == {"alice": 0, "bob": 1}
    async with browser(application, tokens["alice"]) as alices:
        assert read_by(alices, kitchen.pk) == {"alice": 1, "bob": 1}


async def test_what_arrived_before_alice_hid_tells_nothing_of_what_she_reads_then(
    application, tokens, bob, kitchen
):
    await meanwhile(say, bob, kitchen, "Hello")
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        await alices.send({"type": "ack", "cursors": {kitchen.pk: 1}})  # is told a second later
        await alices.ask("prefer", hide_receipts=True)
        await alices.send({"type": "read", "room": kitchen.pk, "seq": 1})
        await bobs.until(lambda: "alice" in {r["user"] for r in bobs.of_type("receipt")})
        assert {r["read_seq"] for r in bobs.of_type("receipt") if r["user"] == "alice"} == {0}


def test_receipts_are_hidden_over_http_too(alice, bob, kitchen):
    say(alice, kitchen, "Hello")
    people.prefer(alice, {"hide_receipts": True})
    for user, seen in ((alice, [0, 1]), (bob, [0, 0])):
        listed = {room["name"]: room for room in Caller(token(user)).get("/api/rooms")}
        assert listed["Kitchen"]["receipts"]["alice"] == seen


async def test_who_hides_something_while_others_look_is_shown_to_them_anew(
    impatient, application, elsewhere, tokens, alice, bob, kitchen
):
    await meanwhile(say, alice, kitchen, "Hello")
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(elsewhere, tokens["bob"]) as bobs,
    ):
        assert read_by(bobs, kitchen.pk)["alice"] == 1
        await alices.ask("prefer", hide_receipts=True)
        await bobs.until(lambda: read_by(bobs, kitchen.pk)["alice"] == 0)
        await alices.ask("prefer", hide_receipts=False)
        await bobs.until(lambda: read_by(bobs, kitchen.pk)["alice"] == 1)


# Typing


async def test_nobody_is_told_that_alice_types_if_she_hides_it(
    application, elsewhere, tokens, alice, kitchen
):
    await meanwhile(people.prefer, alice, {"hide_typing": True})
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as here,
        browser(elsewhere, tokens["bob"]) as there,
    ):
        await alices.send({"type": "typing", "room": kitchen.pk})
        await alices.post("Done", room=kitchen.pk)
        for page in (here, there):
            await page.sees(kitchen.pk, "Done")
            assert not page.of_type("typing")


# Presence


async def test_alice_seems_gone_to_all_but_herself_if_she_hides(
    application, elsewhere, worker, tokens, alice, kitchen
):
    await meanwhile(people.prefer, alice, {"hide_presence": True})
    async with (
        browser(application, tokens["bob"]) as here,
        browser(elsewhere, tokens["bob"]) as there,
    ):
        async with browser(application, tokens["alice"]) as alices:
            assert "alice" in alices.client.rooms[kitchen.pk]["online"]
            await until(lambda: alice.pk in worker.presence.online)
            async with browser(application, tokens["bob"]) as late:
                assert late.client.rooms[kitchen.pk]["online"] == ["bob"]
        await until(lambda: alice.pk not in worker.presence.online)
        for page in (here, there):
            await page.ask("ping")
            assert "alice" not in {frame["user"] for frame in page.of_type("presence")}
    async with browser(application, tokens["bob"]) as bobs:
        assert "last_seen" not in bobs.client.rooms[kitchen.pk]


async def test_alice_seems_gone_in_the_list_of_a_crowd_as_well(
    application, worker, tokens, alice, kitchen
):
    await meanwhile(crowd, kitchen, 60)
    await meanwhile(people.prefer, alice, {"hide_presence": True})
    async with (
        browser(application, tokens["alice"]) as alices,
        browser(application, tokens["bob"]) as bobs,
    ):
        await until(lambda: {alice.pk} < worker.presence.online)
        for page, expected in ((alices, {"alice", "bob"}), (bobs, {"bob"})):
            listed = (await page.ask("members", room=kitchen.pk))["members"]
            assert {member["user"] for member in listed if member["online"]} == expected


async def test_who_hides_while_others_look_goes_and_comes_back_for_them(
    impatient, application, elsewhere, tokens, kitchen
):
    def online(page):
        return "alice" in page.client.rooms[kitchen.pk]["online"]

    async with (
        browser(application, tokens["alice"]) as alices,
        browser(elsewhere, tokens["bob"]) as bobs,
    ):
        await bobs.until(lambda: any(f["online"] for f in bobs.of_type("presence")))
        await alices.ask("prefer", hide_presence=True)
        await bobs.until(lambda: kitchen.pk in [r["room"] for r in bobs.of_type("room")])
        assert not online(bobs)
        await alices.ask("prefer", hide_presence=False)
        await bobs.until(lambda: online(bobs))


def test_presence_is_hidden_over_http_too(alice, bob, kitchen):
    leases.begin("one", {"a": leases.Link(alice.pk)})
    people.prefer(alice, {"hide_presence": True})
    [mine] = [r for r in Caller(token(alice)).get("/api/rooms") if r["name"] == "Kitchen"]
    [theirs] = [r for r in Caller(token(bob)).get("/api/rooms") if r["name"] == "Kitchen"]
    assert (mine["online"], theirs["online"]) == (["alice"], [])
    leases.end("one")
    [theirs] = [r for r in Caller(token(bob)).get("/api/rooms") if r["name"] == "Kitchen"]
    assert "last_seen" not in theirs


def test_preferences_go_with_their_user(alice, bob):
    people.prefer(bob, {"theme": "dark"})
    assert Preferences.objects.count() == 1
    bob.delete()
    assert not Preferences.objects.exists()
