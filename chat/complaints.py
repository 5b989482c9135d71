"""Lines for the operator's log: one when something is lost, one when it is back, none in between.

Whatever fails once a second would otherwise bury what else there is to be read.
"""

import logging
import time

REMIND_EVERY = 60.0  # seconds


class Outage:
    """Something that is lost at times: says so, why once a minute, and when it is over."""

    def __init__(self, logger: logging.Logger, what: str, meanwhile: str) -> None:
        self._logger = logger
        self._what = what
        self._meanwhile = meanwhile
        self._since: float | None = None
        self._told_at = 0.0

    def goes_on(self, reason: object) -> None:
        """It begins, or is not over yet."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        elif now - self._told_at < REMIND_EVERY:
            return
        self._told_at = now
        self._logger.warning("%s is lost (%s): %s", self._what, reason, self._meanwhile)

    def is_over(self) -> None:
        if self._since is not None:
            seconds = time.monotonic() - self._since
            self._logger.warning("%s is back after %.1f seconds", self._what, seconds)
            self._since = None


class Nuisance:
    """Something that may come in masses: the first is told at once, the others once a minute."""

    def __init__(self, logger: logging.Logger, what: str) -> None:
        self._logger = logger
        self._what = what
        self._count = 0
        self._told_at: float | None = None

    def again(self, example: object) -> None:
        self._count += 1
        now = time.monotonic()
        if self._told_at is None or now - self._told_at >= REMIND_EVERY:
            self._logger.warning("%s: %d, the last one: %s", self._what, self._count, example)
            self._count = 0
            self._told_at = now
