"""How much of something is too much: buckets and counters, in this process."""

import time
from collections.abc import Callable

from . import conf


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

    def take(self) -> float:
        """0 if one may pass now, otherwise the seconds until one may."""
        self._fill()
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0

    def owe(self, cost: float) -> float:
        """Let something through, whatever it costs; the seconds until that is paid for."""
        self._fill()
        self._tokens -= cost
        return max(0.0, -self._tokens / self._rate)

    @property
    def is_full(self) -> bool:
        """Nobody has taken anything for so long that the bucket may as well be forgotten."""
        self._fill()
        return self._tokens >= self._burst

    def _fill(self) -> None:
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now


class PostLimit:
    """A bucket per user, over all of a user's sockets on this worker, kept while it is not full."""

    FORGET_ABOVE = 10_000  # buckets

    def __init__(self) -> None:
        self._buckets: dict[str, TokenBucket] = {}

    def take(self, user_key: str) -> float:
        """0 if this user may post now, otherwise the seconds until they may."""
        if not (rate := conf.post_rate()):
            return 0
        if user_key not in self._buckets:
            if len(self._buckets) > self.FORGET_ABOVE:
                self._buckets = {k: b for k, b in self._buckets.items() if not b.is_full}
            self._buckets[user_key] = TokenBucket(rate, max(1.0, rate * conf.BURST_SECONDS))
        return self._buckets[user_key].take()


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
