"""How much of something is too much."""

from types import SimpleNamespace

import pytest

from chat import allowances, conf
from chat import limits as module
from chat.allowances import Visitor
from chat.errors import RateLimited
from chat.limits import Allowance, Limits, Share, Strikes, TokenBucket
from tests.conversation import at_once
from tests.failures import until
from tests.fake_browser import browser


class Clock:
    """Stands still until it is told to go on."""

    now = 1_000.0

    def __call__(self):
        return self.now

    def pass_(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock))
    return clock


def takes(bucket, *args):
    """How many pass until one has to wait."""
    passed = 0
    while passed < 1_000 and bucket.take(*args) == 0:
        passed += 1
    return passed


# Buckets


def test_a_burst_passes_at_once(clock):
    assert takes(TokenBucket(10, 50, clock)) == 50


def test_a_bucket_tells_when_the_next_one_may_pass(clock):
    bucket = TokenBucket(10, 1, clock)
    bucket.take()
    assert bucket.take() == pytest.approx(0.1)
    clock.pass_(0.06)
    assert bucket.take() == pytest.approx(0.04)


def test_whoever_waits_as_long_as_told_passes(clock):
    bucket = TokenBucket(3, 1, clock)
    bucket.take()
    for _ in range(20):
        clock.pass_(bucket.take() + 1e-9)
        assert bucket.take() == 0


def test_to_ask_in_vain_costs_nothing(clock):
    bucket = TokenBucket(10, 1, clock)
    bucket.take()
    for _ in range(100):
        bucket.take()
    clock.pass_(0.1 + 1e-9)
    assert bucket.take() == 0


def test_the_rate_holds_on_average(clock):
    bucket = TokenBucket(10, 50, clock)
    passed = 0
    for _ in range(1_000):
        clock.pass_(0.01)
        passed += bucket.take() == 0
    assert 149 <= passed <= 151


def test_a_bucket_never_holds_more_than_a_burst(clock):
    bucket = TokenBucket(10, 5, clock)
    clock.pass_(3_600)
    assert takes(bucket) == 5


def test_a_bucket_is_full_again_after_a_while(clock):
    bucket = TokenBucket(10, 5, clock)
    assert bucket.is_full
    bucket.take()
    assert not bucket.is_full
    clock.pass_(0.1 + 1e-9)
    assert bucket.is_full


def test_what_passed_elsewhere_counts_here(clock):
    bucket = TokenBucket(10, 5, clock)
    bucket.lose(3)
    assert takes(bucket) == 2


def test_who_got_too_much_elsewhere_pays_for_it_here(clock):
    bucket = TokenBucket(10, 5, clock)
    bucket.lose(7)
    assert bucket.wait() == pytest.approx(0.3)


def test_whatever_is_said_of_elsewhere_nobody_owes_more_than_a_burst(clock):
    bucket = TokenBucket(10, 5, clock)
    for _ in range(3):
        bucket.lose(1e300)
    clock.pass_(0.6)
    assert bucket.take() == 0


# Shares of allowances

POSTS = Allowance("post", 10, 50)
OFFICE = Allowance("post by address", 20, 80)
ALICE, BOB = Share(POSTS, "alice"), Share(POSTS, "bob")
DESK = Share(OFFICE, "192.0.2.1")


@pytest.fixture
def limits(clock):
    return Limits(clock=clock)


def test_what_one_takes_another_still_has(limits):
    assert takes(limits, ALICE) == 50
    assert takes(limits, BOB) == 50


def test_people_at_one_address_share_what_it_has(limits):
    assert takes(limits, ALICE, DESK) == 50
    assert takes(limits, BOB, DESK) == 30


def test_who_is_refused_by_one_bucket_takes_nothing_from_the_other(limits):
    takes(limits, ALICE)
    assert takes(limits, ALICE, DESK) == 0
    assert takes(limits, DESK) == 80


def test_to_look_costs_nothing(limits):
    assert all(limits.wait(ALICE) == 0 for _ in range(100))
    assert takes(limits, ALICE) == 50
    assert limits.wait(ALICE) == limits.wait(BOB, ALICE) == pytest.approx(0.1)


def test_who_is_refused_is_told_for_how_long(limits, clock):
    takes(limits, ALICE)
    with pytest.raises(RateLimited) as limited:
        limits.insist(ALICE)
    assert limited.value.retry_after_ms == 101
    with pytest.raises(RateLimited) as limited:
        limits.insist(ALICE, at_least=0.5)
    assert limited.value.retry_after_ms == 501
    clock.pass_(0.101)
    limits.insist(ALICE)


def test_who_owes_waits_until_it_is_paid(limits, clock):
    assert limits.owe(DESK, 50) == 0
    assert limits.owe(DESK, 50) == 1
    clock.pass_(1)
    assert limits.owe(DESK, 0) == 0


def test_where_nothing_is_limited_everybody_passes(limits):
    assert all(limits.take() == 0 for _ in range(1_000))


def test_threads_do_not_get_more_out_of_a_bucket(limits):
    once = Share(Allowance("once", 0.001, 1), "alice")
    waits = []

    def take():
        waits.append(limits.take(once))

    at_once(*[take] * 16)
    assert waits.count(0) == 1


def test_buckets_that_are_full_again_are_forgotten_first(limits, clock, monkeypatch):
    monkeypatch.setattr(Limits, "MOST", 8)
    takes(limits, ALICE)
    for n in range(100):
        limits.take(Share(POSTS, f"guest{n}"))
        clock.pass_(0.2)
        takes(limits, ALICE)
    assert limits.wait(ALICE) > 0


def test_whoever_comes_under_many_names_does_not_make_one_forgotten(limits, monkeypatch):
    monkeypatch.setattr(Limits, "MOST", 8)
    takes(limits, ALICE)
    for n in range(1_000):
        limits.take(Share(POSTS, f"guest{n}"))
    assert limits.wait(ALICE) > 0


def test_however_many_come_they_do_not_fill_the_memory(limits, monkeypatch):
    monkeypatch.setattr(Limits, "MOST", 8)
    for n in range(1_000):
        limits.take(Share(POSTS, f"guest{n}"))
        assert len(limits._buckets[POSTS]) <= 8
    assert limits._buckets[POSTS].keys() >= {"guest999", "guest994"}


def test_who_floods_one_allowance_pushes_nobody_out_of_another(limits, monkeypatch):
    monkeypatch.setattr(Limits, "MOST", 8)
    takes(limits, ALICE)
    for n in range(100):
        limits.take(Share(OFFICE, f"192.0.2.{n}"))
    assert limits.wait(ALICE) > 0


# What workers tell each other


def test_what_was_taken_is_news_once(clock):
    calls = []
    limits = Limits(lambda: calls.append(1), clock)
    limits.take(ALICE, DESK)
    limits.take(ALICE, DESK)
    limits.spend(BOB)
    assert len(calls) == 1
    assert limits.news() == {ALICE: 2, DESK: 2, BOB: 1}
    assert limits.news() == {}
    limits.take(BOB)
    assert len(calls) == 2


def test_what_was_refused_or_merely_said_or_heard_is_no_news(clock):
    limits = Limits(lambda: None, clock)
    takes(limits, ALICE)
    limits.news()
    limits.take(ALICE)
    limits.owe(BOB, 10)
    limits.lose(DESK, 3)
    assert limits.news() == {}


def test_news_that_nobody_takes_do_not_pile_up(clock, monkeypatch):
    monkeypatch.setattr(Limits, "NEWS", 8)
    limits = Limits(lambda: None, clock)
    for n in range(100):
        limits.take(Share(POSTS, f"guest{n}"))
    limits.take(Share(POSTS, "guest0"))
    assert len(news := limits.news()) == 8
    assert news[Share(POSTS, "guest0")] == 2


def test_two_that_tell_each_other_allow_one_burst(clock):
    one, two = (Limits(lambda: None, clock) for _ in range(2))
    passed = 0
    while not all([one.wait(ALICE), two.wait(ALICE)]):
        for here, there in ((one, two), (two, one)):
            passed += here.take(ALICE) == 0
            for share, amount in here.news().items():
                there.lose(share, amount)
    assert passed == 50


# Who has how much


def someone(user="17", address="192.0.2.1"):
    return Visitor(user, address)


def burst(shares):
    return {share.allowance.name: share.allowance.burst for share in shares}


def test_an_address_has_the_allowances_of_its_people(settings):
    settings.CHAT_POST_RATE, settings.CHAT_PEOPLE_PER_ADDRESS = 10, 3
    assert burst(allowances.posts(someone())) == {"post": 50, "post by address": 150}
    assert burst(allowances.posts(someone(address=None))) == {"post": 50}
    assert burst(allowances.requests(someone(user=None))) == {"request by address": 3_000}
    settings.CHAT_PEOPLE_PER_ADDRESS = 0
    assert burst(allowances.posts(someone())) == {"post": 50}
    assert allowances.sign_ups(someone()) == []


def test_a_rate_of_zero_limits_no_program_but_who_logs_in(settings):
    settings.CHAT_POST_RATE = 0
    verbs = (allowances.posts, allowances.requests, allowances.lines, allowances.arrivals)
    for shares in verbs:
        assert shares(someone()) == []
    assert allowances.wrong_passwords("alice", someone())


def test_a_very_low_rate_lets_one_through(settings):
    settings.CHAT_POST_RATE = 0.01
    assert burst(allowances.posts(someone()))["post"] == 1


@pytest.mark.parametrize("name", ["ALICE", " alice ", "\uff41lice"])
def test_a_name_is_the_same_however_it_is_written(name):
    shares = allowances.wrong_passwords(name, someone(user=None))
    assert shares == allowances.wrong_passwords("alice", someone(user=None))
    assert shares != allowances.wrong_passwords("bob", someone(user=None))


@pytest.mark.parametrize("name", ["", "\ud800", "\0", "x" * 10_000, "a:b"])
def test_whatever_is_given_as_a_name_can_be_counted_and_told(name):
    for share in allowances.wrong_passwords(name, someone(user=None)):
        told = allowances.name(share)
        assert allowances.share(told) == share
        assert len(told.encode()) < 100


@pytest.mark.parametrize("told", ["", ":", "post", "unheard of:17", "17:post"])
def test_what_another_worker_may_mean_by_it_we_need_not_know(told):
    found = allowances.share(told)
    assert found is None or found.owner == ""


# Over two workers


async def test_who_posts_over_two_workers_gets_one_allowance(
    application, elsewhere, worker, other_worker, tokens, alice, kitchen, settings
):
    settings.CHAT_POST_RATE = 0.01  # one at once, then one every hundred seconds
    async with (
        browser(application, tokens["alice"]) as here,
        browser(elsewhere, tokens["alice"]) as there,
        browser(elsewhere, tokens["bob"]) as bob,
    ):
        await heard(worker, other_worker)
        assert (await here.post("one", room=kitchen.pk))["type"] == "posted"
        await until(lambda: other_worker.limits.wait(*posts_of(alice)))
        refused = await there.post("two", room=kitchen.pk)
        assert (refused["code"], refused["retry_after_ms"] > 50_000) == ("rate_limited", True)
        assert (await bob.post("three", room=kitchen.pk))["type"] == "posted"


async def test_who_comes_back_has_no_more_than_before(application, tokens, kitchen, settings):
    settings.CHAT_POST_RATE = 0.01
    async with browser(application, tokens["alice"]) as page:
        assert (await page.post("one", room=kitchen.pk))["type"] == "posted"
    for _ in range(3):
        async with browser(application, tokens["alice"]) as page:
            assert (await page.post("two", room=kitchen.pk))["code"] == "rate_limited"


async def test_people_at_one_address_have_to_share_what_it_may_post(
    application, tokens, kitchen, settings
):
    settings.CHAT_POST_RATE, settings.CHAT_PEOPLE_PER_ADDRESS = 0.01, 1
    async with (
        browser(application, tokens["alice"], address="192.0.2.1") as alice,
        browser(application, tokens["bob"], address="192.0.2.1") as bob,
        browser(application, tokens["bob"], address="192.0.2.2") as bob_elsewhere,
    ):
        assert (await alice.post("one", room=kitchen.pk))["type"] == "posted"
        assert (await bob.post("two", room=kitchen.pk))["code"] == "rate_limited"
        assert (await bob_elsewhere.post("three", room=kitchen.pk))["type"] == "posted"


async def test_whatever_is_said_of_somebody_they_may_post_again_after_a_burst(
    worker, other_worker, alice, settings
):
    settings.CHAT_POST_RATE = 10
    lies = {f"post:{alice.pk}": 1e9, "unheard of:17": 1.0, "": 1.0}
    await heard(worker, other_worker)
    worker._announcer._spent = lambda: lies
    worker._announcer.ask_what_was_spent()
    await until(lambda: other_worker.limits.wait(*posts_of(alice)))
    assert other_worker.limits.wait(*posts_of(alice)) <= conf.BURST_SECONDS + 0.1


def posts_of(user):
    return allowances.posts(Visitor(str(user.pk), None))


async def heard(*workers):
    """Wait until the channel layer carries what these say."""
    await until(lambda: all(worker._announcer.is_heard for worker in workers))


# Strikes


def test_as_many_as_tolerated_are_not_too_many(clock):
    strikes = Strikes(20, 10.0)
    assert not any(strikes.one_too_many() for _ in range(20))
    assert strikes.one_too_many()


def test_what_is_long_ago_does_not_count(clock):
    strikes = Strikes(20, 10.0)
    for _ in range(100):
        assert not strikes.one_too_many()
        clock.pass_(0.5)


def test_a_little_faster_is_one_too_many_in_the_end(clock):
    strikes = Strikes(20, 10.0)
    verdicts = []
    for _ in range(21):
        verdicts.append(strikes.one_too_many())
        clock.pass_(0.49)
    assert verdicts == [False] * 20 + [True]
