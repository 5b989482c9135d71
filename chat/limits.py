"""How much of something is too much: buckets and counters, in this process."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

from django.http import HttpRequest

from . import metrics
from .errors import RateLimited


class TokenBucket:
    """Lets `rate` things a second through on average, `burst` at once."""

    __slots__ = ("_burst", "_clock", "_filled_at", "_rate", "_tokens")

    def __init__(
        self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._burst = self._tokens = burst
        self._clock = clock
        self._filled_at = clock()

    def wait(self) -> float:
        """0 if one may pass now, otherwise the seconds until one may."""
        self._fill()
        return max(0.0, (1 - self._tokens) / self._rate)

    def take(self) -> float:
        """Let one pass, unless it has to `wait`."""
        if seconds := self.wait():
            return seconds
        self._tokens -= 1
        return 0

    def owe(self, cost: float) -> float:
        """Let something through, whatever it costs; the seconds until that is paid for."""
        self._fill()
        self._tokens -= cost
        return max(0.0, -self._tokens / self._rate)

    def lose(self, cost: float) -> None:
        """Count what has passed elsewhere; more than a burst is never owed, whatever is said."""
        self._fill()
        self._tokens = max(-self._burst, self._tokens - cost)

    @property
    def left(self) -> float:
        """How many may pass now; below 0: how many have passed too much."""
        self._fill()
        return self._tokens

    @property
    def is_full(self) -> bool:
        """Nobody has taken anything for so long that the bucket may as well be forgotten."""
        return self.left >= self._burst

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now


@dataclass(frozen=True, slots=True, eq=False)  # by identity: it is looked up for every message
class Allowance:
    """How much of something is allowed: `rate` a second on average, `burst` at once."""

    name: str
    rate: float
    burst: float


class Share(NamedTuple):
    """Whose bucket of an allowance: a user's, an address's."""

    allowance: Allowance
    owner: str


class Limits:
    """The buckets of all who took something of late. May be used from any thread.

    Workers tell each other what was taken, so that nobody gets more by coming to several of them:
    `news` go out, `lose` counts what came. They are hints: nobody waits for them, and without them
    each worker counts for itself.
    """

    MOST = 10_000  # buckets of one allowance: whoever has many addresses could fill our memory
    NEWS = 1_000  # shares that the others have not been told of yet

    def __init__(
        self,
        on_news: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._on_news = on_news  # called when there are some again; None: nobody listens
        self._clock = clock
        self._buckets: dict[Allowance, dict[str, TokenBucket]] = defaultdict(dict)
        self._news: dict[Share, float] = {}
        self._lock = Lock()

    def wait(self, *shares: Share) -> float:
        """0 if something is left of each, otherwise the seconds until it is."""
        with self._lock:
            seconds = self._wait(shares)
        _count_refusal(shares, seconds)
        return seconds

    def take(self, *shares: Share) -> float:
        """Take one of each, unless there is one to `wait` for; then none."""
        with self._lock:
            seconds = self._wait(shares)
            is_news = not seconds and self._spend(shares)
        _count_refusal(shares, seconds)
        self._tell(is_news)
        return seconds

    def insist(self, *shares: Share, detail: str = "", at_least: float = 0.0) -> None:
        """Take one of each; RateLimited if there is something to wait for, `at_least` so long."""
        if seconds := self.take(*shares):
            raise RateLimited(detail, retry_after_ms=int(max(seconds, at_least) * 1_000) + 1)

    def spend(self, *shares: Share) -> None:
        """Count one of each that nothing can hold up any more."""
        with self._lock:
            is_news = self._spend(shares)
        self._tell(is_news)

    def hold(self, *shares: Share) -> float:
        """Like `take`, until it is known whether it counts; the others are not told."""
        with self._lock:
            if not (seconds := self._wait(shares)):
                for share in shares:
                    self._bucket(share).lose(1)
        _count_refusal(shares, seconds)
        return seconds

    def give_back(self, *shares: Share) -> None:
        """What was held did not count."""
        with self._lock:
            for share in shares:
                self._bucket(share).lose(-1)

    def owe(self, share: Share, cost: float) -> float:
        """Let something through, which the others are not told; the seconds until it is paid."""
        with self._lock:
            return self._bucket(share).owe(cost)

    def lose(self, share: Share, cost: float) -> None:
        """Count what was taken elsewhere."""
        with self._lock:
            self._bucket(share).lose(cost)

    def news(self) -> dict[Share, float]:
        """What was taken since the last time; each is told once."""
        with self._lock:
            news, self._news = self._news, {}
        return news

    def _wait(self, shares: Sequence[Share]) -> float:
        seconds = 0.0
        for allowance, owner in shares:
            if bucket := self._buckets[allowance].get(owner):
                seconds = max(seconds, bucket.wait())
        return seconds

    def _spend(self, shares: Sequence[Share]) -> bool:
        """Whether there are news again."""
        before = len(self._news)
        for share in shares:
            self._bucket(share).lose(1)
            if self._on_news and (share in self._news or len(self._news) < self.NEWS):
                self._news[share] = self._news.get(share, 0) + 1
        return not before and bool(self._news)

    def _tell(self, is_news: bool) -> None:
        if is_news and self._on_news:
            self._on_news()

    def _bucket(self, share: Share) -> TokenBucket:
        allowance, owner = share
        buckets = self._buckets[allowance]
        if (bucket := buckets.get(owner)) is None:
            if len(buckets) >= self.MOST:
                buckets = self._buckets[allowance] = self._worth_keeping(buckets)
            bucket = buckets[owner] = TokenBucket(allowance.rate, allowance.burst, self._clock)
        return bucket

    def _worth_keeping(self, buckets: dict[str, TokenBucket]) -> dict[str, TokenBucket]:
        """Those that are not full; of too many those with the least left, of equals the latest.

        So nobody gets a new one by making up others, nor pays for looking at them at each.
        """
        left = {owner: bucket.left for owner, bucket in buckets.items() if not bucket.is_full}
        fullest_first = sorted(left, key=left.__getitem__, reverse=True)
        return {owner: buckets[owner] for owner in fullest_first[-self.MOST * 3 // 4 :]}


def _count_refusal(shares: Sequence[Share], seconds: float) -> None:
    if seconds:  # whoever's it was
        metrics.throttled.labels(shares[0].allowance.name.removesuffix(" by address")).inc()


HERE = Limits()  # of requests that no worker of ours takes: another server's, or a test's


def of(request: HttpRequest) -> Limits:
    """Those of the worker that a request came to, which its connections share."""
    worker: Any = getattr(request, "scope", {}).get("worker")
    return worker.limits if worker else HERE


class Strikes:
    """Whether something has happened more than `most` times within the last `seconds`."""

    __slots__ = ("_most", "_seconds", "_times")

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._times: list[float] = []  # an empty deque would weigh ten times as much

    def one_too_many(self) -> bool:
        """Count one more; True if that was one too many."""
        self._times = [*self._times[-self._most :], time.monotonic()]
        return len(self._times) > self._most and self._times[-1] - self._times[0] < self._seconds
