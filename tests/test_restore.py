"""A backup is restored as docs/operations.md says, and every client recovers."""

from uuid import uuid4

from tests.client import Client, state
from tests.servers import manage


async def test_every_client_recovers_from_a_restored_backup(server, database, server_env):
    alices, bobs = Client(), Client()
    tokens = {name: server.token(name) for name in ("alice", "bob")}
    async with (
        server.browser(tokens["alice"], client=alices) as alice,
        server.browser(tokens["bob"], client=bobs) as bob,
    ):
        kitchen = alice.room("Kitchen")
        await alice.post("Kept", room=kitchen)
        await bob.sees(kitchen, "Kept")
    server.stop()
    backup = database.back_up()
    server.start()
    async with (
        server.browser(tokens["alice"], client=alices) as alice,
        server.browser(tokens["bob"], client=bobs) as bob,
    ):
        for body in ("Lost", "Lost as well"):
            await alice.post(body, room=kitchen)
        await bob.sees(kitchen, "Lost", "Lost as well")
    epoch = alices.epoch
    unsent = str(uuid4())  # what alice writes while nobody serves

    server.stop()
    database.restore(backup)
    manage(server_env, "new_epoch")
    server.start()

    async with (
        server.browser(tokens["alice"], client=alices) as alice,
        server.browser(tokens["bob"], client=bobs) as bob,
        server.browser(tokens["bob"]) as fresh,
    ):
        first = await alice.post("Unsent", id=unsent, room=kitchen)
        again = await alice.post("Unsent", id=unsent, room=kitchen)
        assert first["seq"] == again["seq"]
        await fresh.ask("history", room=kitchen)
        for page in (alice, bob, fresh):
            await page.sees(kitchen, "Kept", "Unsent")
        assert alices.epoch == bobs.epoch == fresh.client.epoch != epoch
        assert state(alices)[kitchen] == state(bobs)[kitchen] == state(fresh.client)[kitchen]
