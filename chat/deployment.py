"""What makes a site unsafe in front of people, though the chat would work: `check --deploy`.

Critical is what lets strangers in; with that the chat does not start while DEBUG is off.
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.contrib.staticfiles.storage import ManifestFilesMixin, staticfiles_storage
from django.core.checks import CheckMessage, Critical, Error, Warning
from django.db import connection
from django.http.request import validate_host
from django.utils.http import is_same_domain

from . import origins

KEY_CHARS = 50
KEY_DIFFERENT_CHARS = 5
OWN_TOPS = ("localhost", "local", "internal", "lan", "home", "test")  # nobody can register there
THROTTLE = "chat.throttle.Throttle"
STATIC_FILE = "chat/base.css"  # one that the chat's pages name
NEW_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(50))'"


def dangers() -> Iterator[CheckMessage]:
    if settings.DEBUG:
        yield from _debugging()
    else:
        yield from _keys()
        yield from _hosts()
        yield from _encryption()
        yield from _proxy()
        yield from _redis()
        yield from _static_files()
        yield from _guessing()


def is_loopback(host: str) -> bool:
    """Whether only this machine is meant; an empty name, or a path, is a socket in a file."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _debugging() -> Iterator[CheckMessage]:
    database = connection.settings_dict["HOST"] if connection.vendor == "postgresql" else ""
    servers = [*str(database).split(","), *(server.host for server in _redis_servers())]
    trusted = [urlsplit(origin) for origin in settings.CSRF_TRUSTED_ORIGINS]
    pages = [*_named_origins(), *((url.scheme, url.hostname or "") for url in trusted)]
    encrypted = [host for scheme, host in pages if scheme == "https"]
    if not all(map(is_loopback, [*servers, *encrypted])):
        yield Warning(
            "DEBUG is on, and PostgreSQL, Redis or people are on another machine, as in"
            " production.",
            hint="Set DEBUG=0 if people use this site: DEBUG shows them settings and source code,"
            " and its demo users have known passwords.",
            id="chat.W101",
        )


def _keys() -> Iterator[CheckMessage]:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    if any(key.startswith(("insecure-", "django-insecure-")) for key in keys):
        yield Critical(
            "SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is for development: everybody knows it.",
            hint=f"Make one of your own: {NEW_KEY}",
            id="chat.C101",
        )
    elif any(len(key) < KEY_CHARS or len({*key}) < KEY_DIFFERENT_CHARS for key in keys):
        yield Error(
            "SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is short or monotonous enough to guess.",
            hint=f"Make one of at least {KEY_CHARS} characters: {NEW_KEY}",
            id="chat.E101",
        )


def _hosts() -> Iterator[CheckMessage]:
    if not settings.ALLOWED_HOSTS:
        yield Critical(
            "ALLOWED_HOSTS is empty: nobody could be served.",
            hint="Name the hosts by which people reach the site: ALLOWED_HOSTS=chat.example.org.",
            id="chat.C102",
        )
    elif any(map(_is_anybodys, settings.ALLOWED_HOSTS)):
        yield Critical(
            "ALLOWED_HOSTS allows names of others, so that any site can pass itself off as this"
            " one.",
            hint="Name the hosts by which people reach the site: ALLOWED_HOSTS=chat.example.org.",
            id="chat.C103",
        )


def _is_anybodys(host: str) -> bool:
    """Everything, or all below a domain in which everybody gets names, like `.org`."""
    top = host.removeprefix(".").rstrip(".")
    return host in ("*", ".") or (host.startswith(".") and "." not in top and top not in OWN_TOPS)


def _encryption() -> Iterator[CheckMessage]:
    if not (settings.SESSION_COOKIE_SECURE and settings.CSRF_COOKIE_SECURE):
        yield Error(
            "Cookies travel unencrypted: whoever sees one on its way is logged in.",
            hint="Serve the site over HTTPS only, with SESSION_COOKIE_SECURE and"
            " CSRF_COOKIE_SECURE on (here: SECURE_COOKIES=1).",
            id="chat.E102",
        )
    if any(scheme != "https" and not is_loopback(host) for scheme, host in _named_origins()):
        yield Error(
            "A page in CHAT_ALLOWED_ORIGINS is not encrypted, and so can be changed on its way.",
            hint="Serve it over HTTPS and name it by https://.",
            id="chat.E103",
        )


def _proxy() -> Iterator[CheckMessage]:
    """Behind a proxy that ends TLS, the site's own pages seem to come from elsewhere."""
    if settings.SECURE_PROXY_SSL_HEADER or not settings.SESSION_COOKIE_SECURE:
        return
    own = [
        host
        for scheme, host in _named_origins()
        if scheme == "https" and validate_host(host, settings.ALLOWED_HOSTS)
    ]
    if not own:
        yield Warning(
            "Behind a proxy that ends TLS, the site's own pages may be refused a WebSocket.",
            hint="Name the site itself in CHAT_ALLOWED_ORIGINS, like https://chat.example.org,"
            " or set SECURE_PROXY_SSL_HEADER.",
            id="chat.W102",
        )
    if not all(map(_is_trusted, own)):
        yield Warning(
            "Behind a proxy that ends TLS, the site's own forms may be refused, log-in among them.",
            hint="Name the site in CSRF_TRUSTED_ORIGINS as in CHAT_ALLOWED_ORIGINS, or set"
            " SECURE_PROXY_SSL_HEADER.",
            id="chat.W103",
        )


def _named_origins() -> Iterator[tuple[str, str]]:
    """Scheme and host of those that are origins."""
    for origin in getattr(settings, "CHAT_ALLOWED_ORIGINS", []):
        if parsed := origins.parse(str(origin)):
            scheme, host, _ = parsed
            yield scheme, host


def _is_trusted(host: str) -> bool:
    trusted = map(urlsplit, settings.CSRF_TRUSTED_ORIGINS)
    return any(
        url.scheme == "https" and is_same_domain(host, (url.hostname or "").lstrip("*"))
        for url in trusted
    )


def _redis() -> Iterator[CheckMessage]:
    elsewhere = [server for server in _redis_servers() if not is_loopback(server.host)]
    keys = _layer().get("CONFIG", {}).get("symmetric_encryption_keys")
    if not all(server.has_password for server in elsewhere):
        yield Warning(
            "Redis is on another machine and asks for no password: whoever reaches it can meddle.",
            hint="Give it a password and write that into its address: redis://:password@host:6379/0.",
            id="chat.W104",
        )
    elif not keys and any(map(_is_overheard, elsewhere)):
        yield Warning(
            "What is said travels to Redis on another machine in plain text.",
            hint="Reach it by TLS (rediss://…), or encrypt what is said: CHANNEL_KEYS.",
            id="chat.W106",
        )
    if {*map(str, keys or [])} & {settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS}:
        yield Error(
            "CHANNEL_KEYS has a key that is SECRET_KEY as well: who learns one has both.",
            hint=f"Make one of its own: {NEW_KEY}",
            id="chat.E105",
        )


class _Server(NamedTuple):
    """That the channel layer names."""

    host: str
    has_password: bool
    is_encrypted: bool


def _is_overheard(server: _Server) -> bool:
    """By whoever is on the way; a name without a dot is one of a network of containers."""
    return not server.is_encrypted and any(mark in server.host for mark in ".:")


def _layer() -> dict[str, Any]:
    return getattr(settings, "CHANNEL_LAYERS", {}).get("default") or {}


def _redis_servers() -> Iterator[_Server]:
    for entry in _layer().get("CONFIG", {}).get("hosts", []):
        options = entry if isinstance(entry, dict) else {}
        match entry:
            case str(address) | {"address": str(address)}:
                url = urlsplit(address)
                password = url.password or options.get("password")
                yield _Server(url.hostname or "", bool(password), url.scheme == "rediss")
            case {"host": str(host)}:
                yield _Server(host, bool(options.get("password")), bool(options.get("ssl")))
            case [str(host), *_]:
                yield _Server(host, False, False)


def _static_files() -> Iterator[CheckMessage]:
    if apps.is_installed("django.contrib.staticfiles") and not _have_names():
        yield Error(
            "The static files of this release are not collected: pages would fail with status 500.",
            hint="Run manage.py collectstatic --no-input, and start the workers again.",
            id="chat.E104",
        )


def _guessing() -> Iterator[CheckMessage]:
    if settings.AUTHENTICATION_BACKENDS[:1] != [THROTTLE]:
        yield Warning(
            "Whoever guesses passwords is never made to wait.",
            hint=f"Name {THROTTLE} as the first of AUTHENTICATION_BACKENDS.",
            id="chat.W105",
        )


def _have_names() -> bool:
    """Whether pages find what they name: some storages know only what has been collected."""
    try:
        if isinstance(staticfiles_storage, ManifestFilesMixin):
            staticfiles_storage.stored_name(STATIC_FILE)
    except Exception:  # any storage, any failure to read what it wrote down
        return False
    return True
