"""How much of what everybody is allowed: the table behind `Limits`.

People may share an address, as in an office: it has the allowances of as many users.
"""

from functools import lru_cache
from hashlib import blake2b
from typing import NamedTuple
from unicodedata import normalize

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from . import conf
from .addresses import household
from .limits import Allowance, Share

Table = dict[str, Allowance]
Amounts = dict[str, tuple[float, float]]  # a second, and at once


class Visitor(NamedTuple):
    """Who wants something: a user, if we know, at an address, if that counts."""

    user_key: str | None
    household: str | None


def visitor(request: HttpRequest, user: AbstractBaseUser | None = None) -> Visitor:
    """Who asks over HTTP."""
    user_key = str(user.pk) if user else None
    return Visitor(user_key, household(request.META.get("REMOTE_ADDR", "")))


def posts(visitor: Visitor) -> list[Share]:
    """To change anything: messages, rooms, preferences; to block and to report."""
    return _shares("post", visitor)


def requests(visitor: Visitor) -> list[Share]:
    """To ask the API for anything."""
    return _shares("request", visitor)


def arrivals(visitor: Visitor) -> list[Share]:
    """To open a connection."""
    return _shares("arrival", visitor)


def lines(visitor: Visitor) -> list[Share]:
    """To say anything, over all connections."""
    return _shares("line", visitor)


def sign_ups(visitor: Visitor) -> list[Share]:
    """To make an account."""
    return _shares("sign-up", visitor)


def wrong_passwords(username: str, visitor: Visitor) -> list[Share]:
    """To log in in vain: at one address as this user, at any, and at one address as anybody.

    Of no name is told whether it is somebody's.
    """
    one_name = normalize("NFKC", username).strip().casefold().encode(errors="surrogatepass")
    key = blake2b(one_name, digest_size=12).hexdigest()
    shares = _shares("wrong password", Visitor(key, visitor.household))
    if visitor.household and (guess := _table().get("guess")):
        shares.append(Share(guess, f"{key} {visitor.household}"))
    return shares


def _shares(what: str, visitor: Visitor) -> list[Share]:
    table = _table()
    owners = ((what, visitor.user_key), (f"{what} by address", visitor.household))
    return [Share(table[name], owner) for name, owner in owners if owner and name in table]


def share(told: str) -> Share | None:
    """Whose of what another worker speaks of; None if we know of no such allowance."""
    name, _, owner = told.partition(":")
    allowance = _table().get(name)
    return Share(allowance, owner) if allowance else None


def name(share: Share) -> str:
    """How workers call it between themselves."""
    return f"{share.allowance.name}:{share.owner}"


def _table() -> Table:
    return _allowances(conf.post_rate(), conf.people_per_address(), conf.LINES_RATE)


@lru_cache(maxsize=8)
def _allowances(post_rate: float, people: int, lines_rate: float) -> Table:
    """By name; what is not limited is missing."""
    of_user: Amounts = {"wrong password": (1 / 36, 100)}
    of_address: Amounts = {"wrong password": (1 / 10, 20)}
    if post_rate:
        reading = max(1.0, post_rate)
        programs: Amounts = {
            "post": (post_rate, conf.post_burst()),
            "request": (10 * reading, 100 * reading),
            "arrival": (conf.ARRIVALS_RATE, conf.ARRIVALS_BURST),
            "line": (2 * lines_rate, 20 * lines_rate),
        }
        of_user |= programs
        of_address |= programs
    found = {name: Allowance(name, *amounts) for name, amounts in of_user.items()}
    if people:
        for name, (rate, burst) in of_address.items():
            shared = f"{name} by address"
            found[shared] = Allowance(shared, rate * people, burst * people)
        single = "sign-up by address"  # once in a life: no office needs more
        found[single] = Allowance(single, 1 / 180, 20)
        # Slower than a name is forgiven: one address alone keeps nobody out who is elsewhere.
        found["guess"] = Allowance("guess", 1 / 60, 20)
    return found
