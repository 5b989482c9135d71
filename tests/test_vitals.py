"""What each worker says of itself, as those who run the site see it."""

import asyncio
from collections import deque
from datetime import timedelta

import pytest
from django.db import OperationalError
from django.db.models.functions import Now

from chat import bulletin, gauges, metrics, vitals
from chat.models import Vitals
from chat.vitals import Figures
from chat.worker import Worker
from tests.failures import meanwhile, unseen_database, until
from tests.fake_browser import PATIENCE, Client, browser

BOUNDS = metrics.SECONDS


@pytest.fixture
def talkative(monkeypatch):
    """Workers that say ten times a second how they are. Name it before them."""
    monkeypatch.setattr(bulletin, "FIRST", 0.1)
    monkeypatch.setattr(bulletin, "EVERY", 0.1)


async def until_told(condition):
    """Wait until what the workers say is like that; all of them."""
    async with asyncio.timeout(PATIENCE):
        while not condition(found := await meanwhile(vitals.workers)):
            await asyncio.sleep(0.05)
    return found


def figures(worker):
    """What it would say now."""
    return worker._bulletin.figures()


def tell(name="one", release="", age=0.0, **told):
    vitals.tell(name, "machine", 7, release, age, Figures(**told))


def let_pass(seconds):
    Vitals.objects.update(seen_at=Now() - timedelta(seconds=seconds))


# A worker


async def test_an_idle_worker_is_heard_of_and_when_it_ends_it_is_not(
    talkative, transactional_db, settings
):
    settings.CHAT_RELEASE = "v1.2"
    async with Worker() as worker:
        [told] = await until_told(bool)
        assert (told.key, told.release) == (worker.key, "v1.2")
        assert told.uptime < timedelta(seconds=PATIENCE)
        assert told.figures.sees_database
    assert await meanwhile(vitals.workers) == []


async def test_each_worker_tells_who_is_there(talkative, tokens, application, elsewhere):
    async with (
        browser(application, tokens["alice"]),
        browser(application, tokens["alice"]),
        browser(elsewhere, tokens["bob"]),
    ):
        told = await until_told(lambda found: {(2, 1), (1, 1)} == {who(one) for one in found})
        assert len(told) == 2
        assert vitals.together(one.figures for one in told).sockets == 3


def who(one):
    return one.figures.sockets, one.figures.users


async def test_what_was_said_within_the_minute_is_counted(tokens, application, worker):
    async with browser(application, tokens["alice"]) as alice:
        async with browser(application, tokens["bob"]) as bob:
            await alice.post("Tea?", room=alice.room("Kitchen"))
            await bob.sees(alice.room("Kitchen"), "Tea?")
        worker._gauges._look()
        await until(lambda: figures(worker).closes == 1)
    told = figures(worker)
    assert (told.posts, told.deliveries, sum(told.hand_over)) == (1, 2, 1)
    assert vitals.quantile(0.5, told.hand_over, BOUNDS) > 0


async def test_what_was_said_before_is_not(tokens, application, worker):
    async with browser(application, tokens["alice"]) as alice:
        await alice.post("Tea?", room=alice.room("Kitchen"))
    assert figures(worker).posts == 1
    past = worker._bulletin._past
    worker._bulletin._past = deque(counts._replace(at=counts.at - 61) for counts in past)
    told = figures(worker)
    assert (told.posts, sum(told.hand_over)) == (0, 0)


async def test_whoever_comes_back_is_counted_and_whoever_comes_is_not(tokens, application, worker):
    device = Client()
    for _ in range(2):
        async with browser(application, tokens["alice"], client=device):
            pass
    assert figures(worker).reconnects == 1


async def test_it_tells_whether_it_is_heard(tokens, application, worker):
    await until(lambda: figures(worker).heard)
    worker._announcer._layer.is_heard = False
    assert figures(worker).heard is False


async def test_without_a_layer_there_is_nothing_to_hear(transactional_db, settings):
    settings.CHANNEL_LAYERS = {}
    async with Worker() as worker:
        assert figures(worker).heard is None


async def test_it_tells_that_it_cannot_see_and_that_it_is_about_to_end(worker):
    assert (figures(worker).sees_database, figures(worker).draining) == (True, False)
    worker.switchboard.go_blind()
    await worker.drain()
    assert (figures(worker).sees_database, figures(worker).draining) == (False, True)


async def test_a_database_that_is_away_is_no_traceback(
    talkative, transactional_db, monkeypatch, caplog
):
    tries = []

    def fail(*_):
        tries.append(1)
        raise OperationalError("the database has gone away")

    with monkeypatch.context() as away:
        away.setattr(vitals, "tell", fail)
        async with Worker():
            await until(lambda: len(tries) > 2)
            away.undo()
            monkeypatch.setattr(bulletin, "EVERY", 0.1)
            await until_told(bool)
    assert "Traceback" not in caplog.text
    assert "Cannot tell" not in caplog.text


async def test_who_sees_no_database_ends_without_it(talkative, transactional_db, monkeypatch):
    asked = []
    monkeypatch.setattr(vitals, "end", asked.append)
    with unseen_database():
        async with Worker() as worker:
            await until_told(bool)
            worker.switchboard.go_blind()
    assert asked == []


async def test_what_it_cannot_tell_is_complained_of_once(
    talkative, transactional_db, monkeypatch, caplog
):
    tries = []

    def fail():
        tries.append(1)
        raise OSError("no descriptor is left")

    monkeypatch.setattr(gauges, "resident_bytes", fail)
    async with Worker() as worker:
        worker._gauges._look = lambda: None  # it would complain, too
        await until(lambda: len(tries) > 4)
    told = [line for line in caplog.messages if line.startswith("Cannot tell how this worker is")]
    assert len(told) == 1


# What is written


def test_what_a_worker_says_again_takes_the_place_of_what_it_said(db):
    tell(sockets=1, age=100)
    began = Vitals.objects.get().started_at
    tell(sockets=2, age=0)
    [told] = vitals.workers()
    assert told.figures.sockets == 2
    assert Vitals.objects.get().started_at == began
    assert timedelta(seconds=100) <= told.uptime < timedelta(seconds=160)


def test_whoever_is_silent_for_long_does_not_count_and_is_removed_by_another(db):
    tell("gone")
    let_pass(seconds=16)
    assert vitals.workers() == []
    tell("one")
    assert Vitals.objects.count() == 2
    let_pass(seconds=61)
    tell("two")
    assert [told.key for told in vitals.workers()] == ["two"]
    assert Vitals.objects.count() == 1


def test_figures_of_another_release_are_read_as_far_as_they_are_known(db):
    tell(sockets=3)
    Vitals.objects.update(figures={"sockets": 3, "dreams": 8})
    assert vitals.workers()[0].figures == Figures(sockets=3)


# Together


def test_what_workers_count_is_added_up():
    one = Figures(sockets=1, hand_over=[1, 0], heard=True)
    two = Figures(sockets=2, hand_over=[1, 2], heard=False, draining=True)
    both = vitals.together([one, two])
    assert (both.sockets, both.hand_over, both.heard, both.draining) == (3, [2, 2], False, True)


def test_nobody_is_nothing():
    nobody = vitals.together([])
    assert (nobody.sockets, nobody.heard, list(nobody.hand_over)) == (0, None, [])
    assert vitals.quantile(0.5, nobody.hand_over, BOUNDS) is None


@pytest.mark.parametrize(
    ("share", "value"), [(0.0, 1.0), (0.25, 1.5), (0.5, 2.0), (0.75, 4.0), (1.0, 4.0)]
)
def test_a_quantile_lies_within_its_bucket(share, value):
    assert vitals.quantile(share, [0, 2, 0, 2], [1, 2, 4]) == value
