"""One WebSocket from its handshake to its end."""

from tests.fake_browser import browser


async def test_bob_hears_alice_at_once(application, tokens):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        kitchen = alice.room("Kitchen")
        posted = await alice.post("Tea?", room=kitchen)
        await bob.sees(kitchen, "Tea?")
    assert (posted["type"], posted["seq"]) == ("posted", 1)


async def test_bob_finds_what_he_missed(application, tokens):
    async with browser(application, tokens["alice"]) as alice:
        for body in ("one", "two", "three"):
            await alice.post(body, to="bob")
        await alice.post("to all", room=alice.room("Lobby"))
    async with browser(application, tokens["bob"]) as bob:
        await bob.sees(bob.room("alice"), "one", "two", "three")
        await bob.sees(bob.room("Lobby"), "to all")
        assert bob.client.unread(bob.room("alice")) == 3
