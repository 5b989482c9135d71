"""One part after the other, each in its own time, and no secret in what is said about it."""

from collections.abc import Callable, Iterable, Iterator
from threading import Thread
from typing import NamedTuple

from django.conf import settings
from django.db import connection

from ..complaints import in_words
from ..database import out_of_the_pool
from . import database, layer, machine, packages, people, site, workers
from . import settings as configuration
from .findings import Finding, Verdict, doubtful, wrong

PATIENCE = 15.0  # seconds
THOROUGH = 3_600.0  # to read a whole database

Look = Callable[[], Iterable[Finding]]


class Part(NamedTuple):
    """Something to be looked at, with a connection to the database of its own."""

    name: str
    look: Look
    patience: float = PATIENCE


class Line(NamedTuple):
    """A finding, and what it is about."""

    part: str
    finding: Finding


def examine(url: str = "", *, thorough: bool = False) -> Iterator[Line]:
    """Look at everything; at the site from outside, too, if its address is given."""
    for part in (Part("settings", configuration.look), Part("packages", packages.look)):
        yield from _lines(part)
    yield from _of_the_database(thorough)
    for part in (Part("channel layer", layer.look), Part("machine", machine.look)):
        yield from _lines(part)
    if url:
        yield from _lines(Part("site", lambda: site.look(url), 4 * PATIENCE))


def _of_the_database(thorough: bool) -> Iterator[Line]:
    """As far as one can get: what cannot be reached has no tables, and those may be missing."""
    for look in (database.reach, database.compare_migrations):
        lines = _lines(Part("database", look))
        yield from lines
        if any(line.finding.verdict == Verdict.WRONG for line in lines):
            return
        if look is database.reach:
            yield from _lines(Part("database", database.look))
    for part in (Part("users", people.look), Part("workers", workers.look)):
        yield from _lines(part)
    if thorough:
        yield from _lines(Part("database", database.read_all, THOROUGH))


def _lines(part: Part) -> list[Line]:
    return [Line(part.name, _without_secrets(finding)) for finding in findings(part)]


def findings(part: Part) -> list[Finding]:
    """What was found in time. On a thread that nobody waits for: whatever hangs may go on so."""
    found: list[Finding] = []
    thread = Thread(target=_fill, args=(found, part.look), daemon=True)
    thread.start()
    thread.join(part.patience)
    if thread.is_alive():
        return [
            *found,
            wrong(
                f"It did not answer within {part.patience:g} seconds.",
                "Look at what it runs on: is it paused, out of memory, or behind a firewall?",
            ),
        ]
    return found


def _fill(found: list[Finding], look: Look) -> None:
    out_of_the_pool()
    try:
        for finding in look():
            found.append(finding)  # as they come: the next may hang
    except Exception as error:  # a doctor who faints helps nobody
        remedy = "If nothing above explains it, tell those who make Roost."
        found.append(doubtful(f"It could not be looked at ({in_words(error)}).", remedy))
    finally:
        connection.close()


def _without_secrets(finding: Finding) -> Finding:
    """Drivers, too, are quoted; none is known to say a password, and none shall."""
    says, remedy = finding.says, finding.remedy
    for secret in filter(_can_be_told_from_words, _secrets()):
        says, remedy = says.replace(secret, "…"), remedy.replace(secret, "…")
    return Finding(finding.verdict, says, remedy)


def _can_be_told_from_words(secret: str) -> bool:
    return len(secret) > 3


def _secrets() -> Iterator[str]:
    yield from (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    yield from layer.secrets()
    if password := connection.settings_dict["PASSWORD"]:
        yield str(password)
