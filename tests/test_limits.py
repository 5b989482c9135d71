"""How much of something is too much."""

from functools import partial
from types import SimpleNamespace

import pytest

from chat import limits
from chat.limits import PostLimit, Strikes, TokenBucket


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
    monkeypatch.setattr(limits, "TokenBucket", partial(TokenBucket, clock=clock))
    monkeypatch.setattr(limits, "time", SimpleNamespace(monotonic=clock))
    return clock


def takes(bucket, *args):
    """How many pass until one has to wait."""
    passed = 0
    while bucket.take(*args) == 0:
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


# Posts


def test_a_user_may_post_five_seconds_worth_at_once(clock, settings):
    settings.CHAT_POST_RATE = 10
    limit = PostLimit()
    assert takes(limit, "alice") == 50
    assert limit.take("alice") == pytest.approx(0.1)
    clock.pass_(1)
    assert takes(limit, "alice") == 10


def test_one_user_does_not_use_up_what_another_may_post(clock, settings):
    settings.CHAT_POST_RATE = 1
    limit = PostLimit()
    takes(limit, "alice")
    assert limit.take("bob") == 0


def test_a_rate_of_zero_is_no_limit(clock, settings):
    settings.CHAT_POST_RATE = 0
    limit = PostLimit()
    assert all(limit.take("alice") == 0 for _ in range(1_000))


def test_a_very_low_rate_lets_one_through(clock, settings):
    settings.CHAT_POST_RATE = 0.01
    limit = PostLimit()
    assert limit.take("alice") == 0
    assert limit.take("alice") == pytest.approx(100)


def test_only_full_buckets_are_forgotten(clock, settings, monkeypatch):
    settings.CHAT_POST_RATE = 1
    monkeypatch.setattr(PostLimit, "FORGET_ABOVE", 3)
    limit = PostLimit()
    for n in range(100):
        limit.take(f"guest{n}")
        clock.pass_(5)
    takes(limit, "alice")
    for n in range(100):
        limit.take(f"visitor{n}")
    assert limit.take("alice") > 0
    clock.pass_(5)
    limit.take("bob")
    assert len(limit._buckets) == 1


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
