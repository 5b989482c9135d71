"""What is installed: versions that are known to be bad, and those that this release pins."""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

from django.utils.version import get_version_tuple

from .findings import Finding, doubtful, ok, wrong

LOCK = Path(__file__).resolve().parents[2] / "requirements.txt"
UPGRADE = "Run pip install -r requirements.txt, and start the workers again."


class Range(NamedTuple):
    """From `least` to below `below`; empty: no limit."""

    least: str
    below: str
    why: str


KNOWN = {
    "Django": Range("5.2", "", "the chat uses what came with 5.2"),
    "channels": Range("4.3", "5", "the chat is made for 4.3"),
    "channels-redis": Range("4.3", "5", "the chat is made for 4.3"),
    "daphne": Range("4.2.3", "5", "earlier ones take headers that smuggle others (CVE-2026-44545)"),
    "redis": Range("", "8", "8 drops connections that are idle for five seconds"),
    "psycopg": Range("3.3", "4", "the chat is made for 3.3"),
}


def look() -> Iterator[Finding]:
    bad = [finding for name, known in KNOWN.items() for finding in _outside(name, known)]
    yield from bad
    older = [*_older_than_pinned()]
    if older:
        yield doubtful(f"Older than this release was tested with: {', '.join(older)}.", UPGRADE)
    if not bad and not older:
        python = ".".join(map(str, sys.version_info[:3]))
        told = ", ".join(f"{name} {found}" for name in KNOWN if (found := _installed(name)))
        yield ok(f"Python {python}, {told}.")


def _outside(name: str, known: Range) -> Iterator[Finding]:
    found = _installed(name)
    if not found:
        return
    too_old = known.least and get_version_tuple(found) < get_version_tuple(known.least)
    too_new = known.below and get_version_tuple(found) >= get_version_tuple(known.below)
    if too_old or too_new:
        wanted = " and ".join(
            f"{sign}{limit}" for sign, limit in ((">=", known.least), ("<", known.below)) if limit
        )
        yield wrong(
            f"{name} {found} is installed, and has to be {wanted}: {known.why}.",
            f"Run pip install '{name}{wanted.replace(' and ', ',')}', and start the workers again.",
        )


def _older_than_pinned() -> Iterator[str]:
    """Where the lock lies beside us: security fixes come by it."""
    if not LOCK.exists():
        return
    for name, pinned in re.findall(r"^([\w.-]+)==([\w.]+)", LOCK.read_text(), re.M):
        found = _installed(name)
        if found and get_version_tuple(found) < get_version_tuple(pinned):
            yield f"{name} {found} ({pinned})"


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
