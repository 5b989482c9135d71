"""Lines for the operator's log: one when something is lost, one when it is back, none in between.

Whatever fails again every second would otherwise bury what else there is to be read. May be used
from any thread.
"""

import logging
import threading
import time

from prometheus_client import Counter

REMIND_EVERY = 60.0  # seconds


class Outage:
    """Something that is lost at times: says so, says why again once a minute, and when it is back.

    It counts as back when it works and has not failed for `settles` seconds.
    """

    def __init__(
        self, logger: logging.Logger, what: str, meanwhile: str, settles: float = 0.0
    ) -> None:
        self._logger = logger
        self._what = what
        self._meanwhile = meanwhile
        self._settles = settles
        self._lock = threading.Lock()
        self._since: float | None = None
        self._failed_at = self._told_at = 0.0

    def goes_on(self, reason: BaseException) -> None:
        """It begins, or is not over yet."""
        with self._lock:
            self._failed_at = time.monotonic()
            if self._since is None:
                self._since = self._failed_at
            elif self._failed_at - self._told_at < REMIND_EVERY:
                return
            self._told_at = self._failed_at
        self._logger.warning("%s is lost (%s): %s", self._what, in_words(reason), self._meanwhile)

    def is_over(self) -> None:
        """It works."""
        if self._since is None:
            return
        with self._lock:
            now = time.monotonic()
            if self._since is None or now - self._failed_at < self._settles:
                return
            seconds, self._since = now - self._since, None
        self._logger.warning("%s is back after %.0f seconds", self._what, seconds)


class Nuisance:
    """Something that may come in masses: the first is told at once, the others once a minute."""

    def __init__(
        self,
        logger: logging.Logger,
        what: str,
        counter: Counter | None = None,
        *,
        traceback: bool = False,
    ) -> None:
        self._logger = logger
        self._what = what
        self._counter = counter
        self._traceback = traceback
        self._lock = threading.Lock()
        self._count = 0
        self._told_at: float | None = None

    def again(self, example: object) -> None:
        if self._counter is not None:
            self._counter.inc()
        with self._lock:
            self._count += 1
            now = time.monotonic()
            if self._told_at is not None and now - self._told_at < REMIND_EVERY:
                return
            count, self._count, self._told_at = self._count, 0, now
        error = example if isinstance(example, BaseException) else None
        self._logger.log(
            logging.ERROR if self._traceback else logging.WARNING,
            "%s (%d times): %s",
            self._what,
            count,
            in_words(error) if error else example,
            exc_info=error if self._traceback else None,
        )


def in_words(error: BaseException) -> str:
    """On one line. Not `repr`: redis-py's errors name only their class in it."""
    return " ".join(f"{type(error).__name__}: {error}".split())
