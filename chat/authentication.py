"""Who is behind a connection: a session cookie, a bearer token or a ticket. Synchronous.

Not `channels.auth`: that looks once, ignores SECRET_KEY_FALLBACKS and ends the session after a key
was rotated. Here a connection keeps its credential, to be looked at again for as long as it lives.
"""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from django.conf import settings
from django.contrib.auth import (
    BACKEND_SESSION_KEY,
    HASH_SESSION_KEY,
    SESSION_KEY,
    get_user_model,
    load_backend,
)
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare

from . import conf
from .models import Token
from .users import UserKey

TOKEN_LIFE = timedelta(days=30)
TICKET_LIFE = timedelta(seconds=30)
DIGEST_CHARS = 64  # more than any key of a session


@dataclass(frozen=True, slots=True)
class Identity:
    """A user, and the credential whose end ends the connection."""

    user: AbstractBaseUser
    credential: str  # key of a session, or digest of a token


class Claim(NamedTuple):
    """Whom a credential is about, as long as nobody has looked whether it still holds."""

    user_id: UserKey
    credential: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client shows when it connects. The strongest counts: bearer, ticket, cookie."""

    authorization: str = ""
    ticket: str = ""
    session_key: str = ""

    @property
    def ambient(self) -> bool:
        """A cookie alone: the browser adds it, whoever asks."""
        return bool(self.session_key and not self.authorization and not self.ticket)


def holder(credentials: Credentials) -> Identity | None:
    """Whom a client is by what it shows. A ticket is used up."""
    if credentials.authorization:
        return by_bearer(credentials.authorization)
    if credentials.ticket:
        return by_ticket(credentials.ticket)
    key = credentials.session_key
    return _by_sessions([key]).get(key)


def identify(credential: str) -> Identity | None:
    """Who holds this session key or token digest; None when it is, or has become, worth nothing."""
    return identities([credential]).get(credential)


def identities(credentials: Collection[str]) -> dict[str, Identity]:
    """Who holds these session keys and token digests; what is worth nothing is missing."""
    found = _by_sessions(credentials)
    if left := [credential for credential in credentials if credential not in found]:
        found |= _by_tokens(left)
    return found


def claims(shown: Collection[Credentials]) -> dict[Credentials, Claim]:
    """What clients claim by a bearer or a cookie; whether that holds, `identities` says."""
    digests = {c: _bearer_digest(c.authorization) for c in shown if c.authorization}
    keys = {c: c.session_key for c in shown if not c.authorization}
    about = _token_users(digests.values()) | _session_users(keys.values())
    return {c: Claim(about[key], key) for c, key in (digests | keys).items() if key in about}


def by_bearer(authorization: str) -> Identity | None:
    """From the value of an Authorization header."""
    digest = _bearer_digest(authorization)
    return _by_tokens([digest]).get(digest)


def _bearer_digest(authorization: str) -> str:
    """Empty if it is no bearer."""
    scheme, _, secret = authorization.partition(" ")
    return _digest(secret.strip()) if scheme.lower() == "bearer" else ""


def by_ticket(secret: str) -> Identity | None:
    """Use a ticket up; who asked for it, if that session or token is still good."""
    ticket = Token.objects.filter(
        pk=_digest(secret), kind=Token.Kind.TICKET, expires_at__gt=Now()
    ).first()
    if ticket is None:
        return None
    used, _ = Token.objects.filter(pk=ticket.pk).delete()
    return identify(ticket.issuer) if used else None


def issue_token(user: AbstractBaseUser) -> tuple[str, datetime]:
    """A bearer token, shown this once, and its end."""
    secret, token = _issue(user, Token.Kind.BEARER, TOKEN_LIFE)
    token.refresh_from_db(fields=["expires_at"])
    return secret, token.expires_at


def issue_ticket(issuer: Identity) -> str:
    """A ticket for one connection, to be used within TICKET_LIFE."""
    return _issue(issuer.user, Token.Kind.TICKET, TICKET_LIFE, issuer.credential)[0]


def _issue(
    user: AbstractBaseUser, kind: Token.Kind, life: timedelta, issuer: str = ""
) -> tuple[str, Token]:
    """By the database's clock: whoever shows it may come to a worker whose own is wrong."""
    Token.objects.filter(user_id=user.pk, expires_at__lt=Now()).delete()
    secret = secrets.token_urlsafe(32)
    token = Token.objects.create(
        digest=_digest(secret),
        kind=kind,
        user_id=user.pk,
        auth_hash=user.get_session_auth_hash(),
        issuer=issuer,
        expires_at=Now() + life,
    )
    _end_the_oldest(user, kind)
    return secret, token


def _end_the_oldest(user: AbstractBaseUser, kind: Token.Kind) -> None:
    mine = Token.objects.filter(user_id=user.pk, kind=kind)
    latest = mine.order_by("-expires_at", "-created_at").values("pk")[: conf.TOKENS[kind]]
    mine.exclude(pk__in=latest).delete()


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _by_sessions(keys: Collection[str]) -> dict[str, Identity]:
    users = {key: _session_user(data) for key, data in _sessions(keys).items()}
    return {key: Identity(user, key) for key, user in users.items() if user}


def _sessions(keys: Collection[str]) -> dict[str, Mapping[str, str]]:
    # PostgreSQL would raise for a NUL, and need not be asked about the digests of tokens.
    sound = [key for key in keys if 0 < len(key) < DIGEST_CHARS and "\0" not in key]
    if not sound:
        return {}
    sessions = Session.objects.filter(pk__in=sound, expire_date__gt=Now())
    return {session.pk: session.get_decoded() for session in sessions}


def _session_users(keys: Collection[str]) -> dict[str, UserKey]:
    sessions = _sessions(keys).items()
    return {key: _user_key(data) for key, data in sessions if SESSION_KEY in data}


def _user_key(data: Mapping[str, str]) -> UserKey:
    return get_user_model()._meta.pk.to_python(data[SESSION_KEY])


def _session_user(data: Mapping[str, str]) -> AbstractBaseUser | None:
    backend = data.get(BACKEND_SESSION_KEY, "")
    if SESSION_KEY not in data or backend not in settings.AUTHENTICATION_BACKENDS:
        return None
    user = load_backend(backend).get_user(_user_key(data))
    return user if user and _hash_holds(user, data.get(HASH_SESSION_KEY, "")) else None


def _by_tokens(digests: Collection[str]) -> dict[str, Identity]:
    return {
        token.pk: Identity(token.user, token.pk)
        for token in _tokens(digests).select_related("user")
        if token.user.is_active and _hash_holds(token.user, token.auth_hash)
    }


def _token_users(digests: Collection[str]) -> dict[str, UserKey]:
    return dict(_tokens(digests).values_list("pk", "user_id")) if digests else {}


def _tokens(digests: Collection[str]) -> QuerySet[Token]:
    sound = [digest for digest in digests if "\0" not in digest]
    return Token.objects.filter(pk__in=sound, kind=Token.Kind.BEARER, expires_at__gt=Now())


def _hash_holds(user: AbstractBaseUser, known: str) -> bool:
    """Whether the password is still the one of then, under this or an earlier SECRET_KEY."""
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(known, candidate) for candidate in hashes)
