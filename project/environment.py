"""What the environment says. A value that makes no sense ends the process with one line about it.

Not ImproperlyConfigured, which a newcomer would have to find below a traceback. And django-environ
makes 13 of `1e3`, False of a mistyped word, and a variable's name of a key that begins with `$`.
"""

import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import environ
from redis import ConnectionPool

from . import proxies

T = TypeVar("T")
N = TypeVar("N", int, float)

SWITCHES = {
    **dict.fromkeys(("1", "true", "yes", "on"), True),
    **dict.fromkeys(("0", "false", "no", "off"), False),
}
DATABASES = ("sqlite", "postgres", "postgresql")


def text(name: str, default: str = "") -> str:
    """As it stands there; what is empty counts as unset."""
    return os.environ.get(name) or default


def words(name: str) -> list[str]:
    """What commas part."""
    return [word.strip() for word in text(name).split(",") if word.strip()]


def switch(name: str, default: bool) -> bool:
    return _parsed(name, default, lambda value: SWITCHES[value.lower()], "1 (on) or 0 (off)")


def number(name: str, default: float, least: float = -math.inf) -> float:
    def parse(value: str) -> float:
        return _at_least(least, _finite(value))

    return _parsed(name, default, parse, f"a number{_from(least)}, for example {default:g}")


def whole(name: str, default: int, least: float = -math.inf) -> int:
    def parse(value: str) -> int:
        return _at_least(least, int(value))

    return _parsed(name, default, parse, f"a whole number{_from(least)}, for example {default}")


def networks(name: str) -> list[str]:
    """Words, each of which is an address or a network."""

    def parse(value: str) -> list[str]:
        return [str(network) for network in proxies.networks(value)]

    return _parsed(name, [], parse, "addresses or networks, for example 127.0.0.1,10.0.0.0/8")


def one_of(name: str, choices: Sequence[str], default: str) -> str:
    def chosen(value: str) -> str:
        return {choice.upper(): choice for choice in choices}[value.upper()]

    return _parsed(name, default, chosen, f"one of {', '.join(choices)}")


def database(name: str, default: Path) -> dict[str, Any]:
    """An entry of Django's DATABASES; by default an SQLite file."""
    wanted = (
        "sqlite:////path/to/file or postgres://user:password@host/name"
        " (with @ / : % # ? in a password written as %40 %2F %3A %25 %23 %3F)"
    )
    return _secret(name, _database, wanted, f"sqlite:///{quote(str(default))}")


def redis_url(name: str) -> str:
    """Empty if there is none."""
    return _secret(name, _redis_url, "redis://:password@host:6379/0", "")


def drain_seconds() -> float:
    """Asked for here by settings, and by the supervisor, which loads none."""
    return number("DRAIN_SECONDS", default=7, least=0)


def _parsed(name: str, default: T, parse: Callable[[str], T], wanted: str) -> T:
    value = text(name)
    try:
        return parse(value.strip()) if value else default
    except (KeyError, ValueError):
        sys.exit(f"{name} is {value!r}, and has to be {wanted}.")


def _secret(name: str, parse: Callable[[str], T], wanted: str, default: str) -> T:
    """Like `_parsed`, but the value, which may hold a password, is shown to nobody."""
    try:
        return parse(text(name, default))
    except ValueError:
        sys.exit(f"{name} cannot be understood: write it like {wanted}.")


def _finite(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _at_least(least: float, number: N) -> N:
    if number < least:
        raise ValueError
    return number


def _from(least: float) -> str:
    return f" from {least:g}" if math.isfinite(least) else ""


def _database(url: str) -> dict[str, Any]:
    scheme, _, rest = url.partition("://")
    if scheme not in DATABASES:
        raise ValueError
    if scheme == "sqlite" and not rest.startswith("/"):  # the first part would count as a host
        raise ValueError
    with warnings.catch_warnings(action="ignore"):  # they show passwords
        config: dict[str, Any] = environ.Env.db_url_config(url)
    if not config["NAME"]:
        raise ValueError
    if scheme != "sqlite" and "@" in config["NAME"]:  # which a password with a slash has become
        raise ValueError
    return config


def _redis_url(url: str) -> str:
    if url:
        ConnectionPool.from_url(url)  # which connects to nothing yet
    return url
