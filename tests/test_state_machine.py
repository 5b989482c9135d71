"""Alice, bob and charlie do whatever they like on two workers, and nothing is lost.

Hypothesis thinks up what they do: they post, retry, edit and delete, come and go, lose their
connections in the middle of everything, read slowly or not at all, while announcements between the
workers are lost, doubled and late. In the end all comes to rest, and the history is judged.
`HYPOTHESIS_PROFILE=long` lets them go on for an hour.
"""

import asyncio
import os
import random
import uuid
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import pytest
from channels.layers import InMemoryChannelLayer, channel_layers
from django.contrib.auth import get_user_model
from django.db import connection, connections
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from chat import archive, conf, cursors, rooms, switchboard, watch
from chat.models import Access, Membership, Message, Room, Token
from chat.worker import Worker
from tests.checker import findings
from tests.client import Frame
from tests.conftest import serve, token, user
from tests.failures import until
from tests.fake_browser import ASGIWire, Browser
from tests.history import (
    Admitted,
    Barred,
    Edited,
    Event,
    Head,
    RecordedClient,
    Row,
    Sent,
    Settled,
    Stored,
    Told,
    told,
)

USERS = ("alice", "bob", "charlie")
DEVICES = 4  # of one user at the most
WORKERS = 2
PATIENCE = 10.0  # seconds until everything must have come to rest

# It takes its time, and the second stack has only to agree.
EXAMPLES = 20 if connection.vendor == "sqlite" else 8

PROFILES = {
    "default": settings(
        max_examples=EXAMPLES, stateful_step_count=40, derandomize=True, phases=[Phase.generate]
    ),
    "long": settings(max_examples=2_000, stateful_step_count=80, database=None),
}

T = TypeVar("T")

numbers = st.integers(0, 2**16)  # to choose by, among however many there are
devices = st.tuples(st.sampled_from(USERS), numbers)


class MoodyLayer(InMemoryChannelLayer):  # type: ignore[misc]
    """A channel layer that does to events all that one may do to them."""

    mood = "fine"

    async def group_send(self, group: str, message: Frame) -> None:
        match self.mood:
            case "fine":
                await super().group_send(group, message)
            case "losing":
                if random.random() < 0.5:
                    await super().group_send(group, message)
            case "doubling":
                await super().group_send(group, message)
                await super().group_send(group, message)
            case "late":
                delay = random.uniform(0, 0.03)
                late = super().group_send(group, message)
                asyncio.get_running_loop().call_later(delay, asyncio.ensure_future, late)
            case "down":
                raise ConnectionError("the layer is down")


@dataclass(eq=False)
class Device:
    client: RecordedClient
    user: str
    worker: int
    page: Browser | None = None
    connections: int = 0

    @property
    def wire(self) -> ASGIWire:
        assert self.page is not None
        assert isinstance(self.page.wire, ASGIWire)
        return self.page.wire


@dataclass
class Draft:
    user: str
    room: str
    id: str
    body: str
    frame: Frame = field(default_factory=dict)


class Chat(RuleBasedStateMachine):
    """What may happen next. Choices are numbers, since what there is depends on time, too."""

    # The world

    def __init__(self) -> None:
        super().__init__()
        for model in (Message, Membership, Room, Token, Access, get_user_model()):
            model.objects.all().delete()
        self.history: list[Event] = []
        self.drafts: list[Draft] = []
        self.devices: dict[str, Device] = {}
        self.stored: dict[tuple[str, str], Stored] = {}
        self.joins: dict[str, tuple[Browser, str]] = {}  # the last of each user
        self.steps = self.spoken = 0
        self.people = {name: user(name) for name in USERS}
        self.tokens = {name: token(person) for name, person in self.people.items()}
        alice, bob, _charlie = self.people.values()
        self.kitchen = rooms.create(alice, "Kitchen", members=[bob], open=True)
        rooms.open_direct(alice, bob)
        self.layer = MoodyLayer(capacity=10_000)
        channel_layers.set("default", self.layer)
        self.loop = asyncio.new_event_loop()
        self.workers = [Worker() for _ in range(WORKERS)]
        for worker in self.workers:
            self.run(worker.__aenter__())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(asyncio.wait_for(work, PATIENCE * 2))

    def record(self, event: Event) -> None:
        self.history.append(event)

    def teardown(self) -> None:
        try:
            self.come_to_rest()
        finally:
            for device in self.devices.values():
                self.run(self.cut(device))
            for worker in self.workers:
                self.run(worker.__aexit__())
            self.loop.close()
            connections.close_all()

    # Devices

    def device(self, choice: tuple[str, int]) -> Device:
        name, number = choice
        mine = [device for device in self.devices.values() if device.user == name]
        return mine[number % len(mine)]

    def new_device(self, name: str, worker: int) -> Device:
        label = f"{name}.{1 + sum(device.user == name for device in self.devices.values())}"
        client = RecordedClient(label, self.record)
        device = self.devices[label] = Device(client, name, worker % WORKERS)
        return device

    async def connect(self, device: Device) -> None:
        """Connect, and say where it left off; what comes then takes its time."""
        if device.page is not None:
            return
        application = serve(self.workers[device.worker])
        headers = {"authorization": f"Bearer {self.tokens[device.user]}"}
        wire = await ASGIWire(application, headers=headers).connect()
        device.connections += 1
        device.page = await Browser(wire, device.client).open(resume=False)
        await device.page.send(device.client.resume())

    async def cut(self, device: Device) -> None:
        if (page := device.page) is None:
            return
        device.page = None
        assert page.closed is None, f"{device.client.device} was closed: {page.closed}"
        crashed = page._reader is not None and page._reader.done() and page._reader.exception()
        assert not crashed, crashed
        await page.close()

    def rooms_of(self, name: str) -> list[Membership]:
        mine = Membership.objects.filter(user=self.people[name])
        return list(mine.select_related("room").order_by("room__created_at"))

    # Steps

    def step(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it, and let the workers do a little of theirs."""

        async def do() -> T:
            result = await work
            await asyncio.sleep(0.005)
            return result

        result = self.run(do())
        self.note_cursors()
        return result

    @invariant()
    def somebody_talks_all_the_time(self) -> None:
        """Whatever else happens; Hypothesis alone leaves it silent too often."""
        if not self.devices:
            return
        self.steps += 1
        some = random.Random(self.steps)
        who = some.choice(USERS), some.randrange(8)
        if some.random() < 0.7:
            self.post(who, some.randrange(8), some.choice((1, 1, 2, 7)))
        else:
            self.edit(who, some.randrange(100), some.random() < 0.3)

    def note_cursors(self) -> None:
        for m in Membership.objects.select_related("user"):
            stored = Stored(m.user.username, m.room_id, m.delivered_rev, m.read_seq)
            if self.stored.get((stored.user, stored.room)) != stored:
                self.stored[stored.user, stored.room] = stored
                self.record(stored)

    @initialize(worker=numbers)
    def everybody_has_two_devices(self, worker: int) -> None:
        for number, name in enumerate(USERS * 2):
            self.step(self.connect(self.new_device(name, worker + number // 2)))

    @rule(choice=devices, worker=numbers)
    def use_a_new_device(self, choice: tuple[str, int], worker: int) -> None:
        name, _ = choice
        if sum(device.user == name for device in self.devices.values()) < DEVICES:
            self.step(self.connect(self.new_device(name, worker)))

    @rule(choice=devices, worker=numbers, limit=st.sampled_from([None, None, 0, 3, 7]))
    def come_back(self, choice: tuple[str, int], worker: int, limit: int | None) -> None:
        device = self.device(choice)
        self.step(self.cut(device))
        device.client.limit = limit
        device.worker = worker % WORKERS
        self.step(self.connect(device))

    @rule(choice=devices)
    def vanish(self, choice: tuple[str, int]) -> None:
        self.step(self.cut(self.device(choice)))

    @rule(choice=devices, messages=st.integers(0, 4), worker=numbers)
    def come_back_and_vanish_in_the_middle(
        self, choice: tuple[str, int], messages: int, worker: int
    ) -> None:
        device = self.device(choice)

        async def glimpse() -> None:
            await self.cut(device)
            device.worker = worker % WORKERS
            await self.connect(device)
            assert device.page is not None
            with suppress(TimeoutError):  # perhaps there is not as much
                await device.page.until(lambda: len(device.page.frames) >= messages, 0.05)
            await self.cut(device)

        self.step(glimpse())

    @rule(choice=devices, where=numbers, count=st.sampled_from([1, 1, 1, 2, 12]))
    def post(self, choice: tuple[str, int], where: int, count: int) -> None:
        device = self.device(choice)
        mine = self.rooms_of(device.user)
        room = mine[where % len(mine)].room
        drafts = []
        for _ in range(count):
            self.spoken += 1
            draft = Draft(device.user, room.pk, str(uuid.uuid4()), f"{self.spoken} " + "x" * 100)
            draft.frame = {"type": "post", "id": draft.id, "body": draft.body}
            if room.kind == Room.Kind.DIRECT:
                draft.frame["to"] = self.peer(device.user, room)
            else:
                draft.frame["room"] = room.pk
            drafts.append(draft)
        self.drafts += drafts
        self.step(self.say(device, drafts))

    @rule(choice=devices, which=numbers)
    def post_and_vanish(self, choice: tuple[str, int], which: int) -> None:
        device = self.device(choice)
        self.post(choice, which, 1)
        self.step(self.cut(device))

    @rule(choice=devices, which=numbers)
    def retry(self, choice: tuple[str, int], which: int) -> None:
        """From whatever device, whether it was answered or not."""
        device = self.device(choice)
        mine = [draft for draft in self.drafts if draft.user == device.user]
        if mine:
            self.step(self.say(device, [mine[which % len(mine)]]))

    @rule(which=numbers)
    def retry_everywhere_at_once(self, which: int) -> None:
        if not self.drafts:
            return
        draft = self.drafts[which % len(self.drafts)]

        async def everywhere() -> None:
            for device in self.devices.values():
                if device.user == draft.user:
                    await self.say(device, [draft])

        self.step(everywhere())

    async def say(self, device: Device, drafts: list[Draft]) -> None:
        if device.page is None:
            return
        for draft in drafts:
            self.record(
                Sent(device.client.device, device.connections, draft.room, draft.id, draft.body)
            )
        await device.page.send(*(draft.frame for draft in drafts))

    def peer(self, name: str, room: Room) -> str:
        """The other one in a direct room; in a room of one's own, oneself."""
        both = room.memberships.values_list("user__username", flat=True)
        return next((other for other in both if other != name), name)

    @rule(choice=devices, which=numbers, deletes=st.booleans())
    def edit(self, choice: tuple[str, int], which: int, deletes: bool) -> None:
        device = self.device(choice)
        mine = [
            (message["room"], message["seq"])
            for messages in device.client.messages.values()
            for message in messages.values()
            if message.get("sender") == device.user
        ]
        if device.page is None or not mine:
            return
        room, seq = mine[which % len(mine)]
        frame: Frame = {"type": "delete", "room": room, "seq": seq}
        if not deletes:
            self.spoken += 1
            frame |= {"type": "edit", "body": f"{self.spoken} edited"}
        self.record(Edited(device.client.device, room, seq, frame.get("body")))
        self.step(device.page.send(frame))

    @rule(choice=devices, which=numbers)
    def read(self, choice: tuple[str, int], which: int) -> None:
        device = self.device(choice)
        if device.page is not None and (known := sorted(device.client.messages)):
            room = known[which % len(known)]
            seq = max(device.client.messages[room], default=0)
            self.step(device.page.send({"type": "read", "room": room, "seq": seq}))

    @rule(choice=devices, peer=st.sampled_from(USERS))
    def open_a_direct_room(self, choice: tuple[str, int], peer: str) -> None:
        device = self.device(choice)
        if device.page is not None:
            self.step(device.page.send({"type": "open", "to": peer}))

    # Who belongs to the kitchen

    @rule(name=st.sampled_from(["bob", "charlie"]))
    def add(self, name: str) -> None:
        if not self.belongs(name) and not self.is_joining(name):
            self.record(Admitted(name, self.kitchen.pk))
            rooms.invite(self.people["alice"], self.kitchen.pk, self.people[name])

    @rule(choice=devices)
    def join(self, choice: tuple[str, int]) -> None:
        device = self.device(choice)
        if device.page is None or self.belongs(device.user) or self.is_joining(device.user):
            return
        self.record(Admitted(device.user, self.kitchen.pk))
        ref = str(uuid.uuid4())
        self.joins[device.user] = (device.page, ref)
        self.step(device.page.send({"type": "join", "ref": ref, "room": self.kitchen.pk}))

    def is_joining(self, name: str) -> bool:
        """A second join could be taken after the removal that follows the first, and undo it."""
        page, ref = self.joins.get(name, (None, ""))
        is_open = any(device.page is page for device in self.devices.values())
        return page is not None and is_open and not any(f.get("ref") == ref for f in page.frames)

    @rule(name=st.sampled_from(["bob", "charlie"]), leaves=st.booleans())
    def remove(self, name: str, leaves: bool) -> None:
        if not self.belongs(name):
            return
        if leaves:
            rooms.leave(self.people[name], self.kitchen.pk)
        else:
            rooms.remove(self.people["alice"], self.kitchen.pk, self.people[name])
        self.run(self.all_told(name, Access.objects.get(user=self.people[name])))
        self.record(Barred(name, self.kitchen.pk))

    def belongs(self, name: str) -> bool:
        return self.kitchen.memberships.filter(user=self.people[name]).exists()

    async def all_told(self, name: str, access: Access) -> None:
        """Wait until the user's devices know that they are out, with no word from the layer."""
        for device in self.devices.values():
            if device.user == name and device.page is not None:
                await self.care(device)
                page, users = device.page, self.workers[device.worker].switchboard.users
                await page.until(partial(page.of_type, "welcome"), PATIENCE)
                await until(lambda here=users[str(access.pk)]: here.version >= access.version)
                await page.ask("ping")  # behind what they were told until then
                assert self.kitchen.pk not in device.client.rooms

    # Carelessness, and trouble

    @rule(choice=devices)
    def stop_acknowledging(self, choice: tuple[str, int]) -> None:
        if (page := self.device(choice).page) is not None:
            page.acknowledges = False

    @rule(choice=devices)
    def stop_reading(self, choice: tuple[str, int]) -> None:
        device = self.device(choice)
        if device.page is not None:
            device.wire.reads.clear()

    @rule(choice=devices)
    def take_care_again(self, choice: tuple[str, int]) -> None:
        self.step(self.care(self.device(choice)))

    async def care(self, device: Device) -> None:
        if device.page is None:
            return
        device.wire.reads.set()
        if not device.page.acknowledges:
            device.page.acknowledges = True
            await device.page.send({"type": "ack", "cursors": device.client.cursors})

    @rule(mood=st.sampled_from(["fine", "losing", "doubling", "late", "down"]))
    def change_the_mood_of_the_layer(self, mood: str) -> None:
        self.layer.mood = mood

    # The end

    def come_to_rest(self) -> None:
        self.layer.mood = "fine"
        for device in self.devices.values():
            self.step(self.care(device))
            device.client.limit = None
            self.step(self.connect(device))
        self.answer_everything()
        heads = {room.pk: Head(room.seq, room.rev) for room in Room.objects.all()}
        self.run(self.all_caught_up(heads))
        self.note_cursors()
        self.history += [Settled(label) for label in self.devices]
        rows = [_row(message) for message in archive.stored_messages()]
        assert findings(self.history, rows, heads) == []
        for name in USERS:
            self.check_a_fresh_fetch(name, rows)

    def answer_everything(self) -> None:
        """Whoever retries learns whether it was stored."""
        for draft in self.drafts:
            device = self.device((draft.user, 0))
            assert device.page is not None
            self.run(self.say(device, [draft]))
            if Membership.objects.filter(room=draft.room, user=self.people[draft.user]).exists():
                self.run(self.answered(device, draft))

    async def answered(self, device: Device, draft: Draft) -> None:
        page = device.page
        assert page is not None
        await page.until(lambda: any(f.get("id") == draft.id for f in page.of_type("posted")))

    async def all_caught_up(self, heads: dict[str, Head]) -> None:
        """Wait until all devices are at the heads; what they lack in the end is judged."""
        deadline = self.loop.time() + PATIENCE
        while self.loop.time() < deadline and not all(
            rev == heads[room].rev
            for device in self.devices.values()
            for room, rev in device.client.cursors.items()
        ):
            await asyncio.sleep(0.01)

    def check_a_fresh_fetch(self, name: str, rows: list[Row]) -> None:
        """What a new device reads as history is what the old ones hold."""
        device = self.new_device(name, 0)

        async def fetch(room: str) -> list[Told]:
            assert device.page is not None
            found: list[Frame] = []
            while True:
                after = found[-1]["seq"] if found else 0
                page = await device.page.ask("history", room=room, after=after)
                found += page["messages"]
                if not page["more_after"]:
                    return [told(message) for message in found]

        self.step(self.connect(device))
        for membership in self.rooms_of(name):
            room = membership.room_id
            stored = [
                Told(row.seq, row.rev, row.id, row.sender, row.body)
                for row in rows
                if row.room == room
            ]
            assert self.run(fetch(room)) == sorted(stored, key=lambda told: told.seq)


def _row(message: Message) -> Row:
    return Row(
        message.room_id,
        message.seq,
        message.rev,
        message.born,
        message.sender_name,
        str(message.client_id),
        None if message.deleted else message.body,
    )


@pytest.mark.timeout(7_200)
@pytest.mark.django_db(transaction=True)
def test_whatever_they_do_nothing_is_lost(monkeypatch: Any, settings: Any) -> None:
    settings.CHAT_POST_RATE = 0
    monkeypatch.setattr(watch, "CHECK_EVERY", 0.05)
    monkeypatch.setattr(switchboard, "HEAL_AFTER", 0.01)
    monkeypatch.setattr(cursors, "WRITE_EVERY", 0.02)
    # A few messages are many: pages, window and outbox are full soon.
    monkeypatch.setattr(conf, "PAGE", 5)
    monkeypatch.setattr(conf, "WINDOW", 10)
    monkeypatch.setattr(conf, "OUTBOX_BYTES", 4_000)
    monkeypatch.setattr(archive.replay, "__defaults__", (5,))
    monkeypatch.setattr(
        archive.history,
        "__kwdefaults__",
        {**(archive.history.__kwdefaults__ or {}), "limit": 5},
    )
    profile = PROFILES[os.environ.get("HYPOTHESIS_PROFILE", "default")]
    quiet = {"deadline": None, "suppress_health_check": list(HealthCheck)}
    run_state_machine_as_test(Chat, settings=type(profile)(profile, **quiet))
    connections.close_all()
