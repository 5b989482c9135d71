"""The running site, asked from outside as a browser would: TLS, pages, and its WebSocket."""

import base64
import http.client
import json
import secrets
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..close_codes import CloseCode
from .findings import Finding, doubtful, ok, wrong
from .network import obstacle

PATIENCE = 5.0  # seconds
SOON = 14  # days until a certificate ends
STRANGER = "https://stranger.invalid"
PROXY = "Let the proxy pass /ws/ on with Upgrade, Connection, Host, Origin and X-Forwarded-Proto."


def look(url: str) -> Iterator[Finding]:
    site = urlsplit(url if "//" in url else f"https://{url}")
    if site.scheme not in ("http", "https") or not site.hostname:
        yield wrong("This is no address of a site.", "Write --url https://chat.example.org.")
        return
    port = site.port or (443 if site.scheme == "https" else 80)
    if why := obstacle(site.hostname, port):
        remedy = "Start the proxy, or look at the firewall and at the name's address."
        yield wrong(f"{site.hostname}:{port} cannot be reached: {why}.", remedy)
        return
    if site.scheme == "https":
        yield _certificate(site.hostname, port)
        if port == 443:
            yield from _redirect(site.hostname)
    elif site.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield wrong("It is asked without TLS: anybody on the way reads and changes it.", "Use TLS.")
    yield from _health(site)
    yield from _websocket(site)


def _certificate(host: str, port: int) -> Finding:
    context = ssl.create_default_context()
    try:
        with (
            closing(socket.create_connection((host, port), PATIENCE)) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            certificate: dict[str, Any] = encrypted.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        return wrong(
            f"The certificate is not to be trusted: {error.verify_message}.",
            "Renew it (certbot renew), and reload the proxy. SSL_CERT_FILE names an authority.",
        )
    except OSError as error:
        return wrong(f"TLS fails: {error}.", "Look at the proxy's log.")
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    days = (ends - datetime.now(UTC)).days
    told = f"The certificate is good until {ends:%Y-%m-%d}."
    return ok(told) if days > SOON else doubtful(told, "Renew it (certbot renew) soon.")


def _redirect(host: str) -> Iterator[Finding]:
    if obstacle(host, 80):
        return  # nobody is there to be redirected
    status, location, _ = _get(urlsplit(f"http://{host}"), "/")
    if status in (301, 302, 307, 308) and location.startswith("https://"):
        yield ok("http:// leads to https://.")
    else:
        remedy = "Let the proxy answer everything there with 301 to https://."
        yield wrong(f"http://{host} answers with {status} instead of leading to https://.", remedy)


def _health(site: SplitResult) -> Iterator[Finding]:
    base = site.path.rstrip("/")
    status, _, body = _get(site, f"{base}/healthz")
    if (status, body) != (200, b"ok"):
        yield wrong(
            f"{base}/healthz answers with {status}.",
            "502 and 504: no worker lives. 400: the Host that the proxy passes on is not in"
            " ALLOWED_HOSTS. 404: the proxy leads elsewhere.",
        )
        return
    status, _, body = _get(site, f"{base}/readyz")
    if status == 200:
        yield ok("A worker answers, and is ready.")
        return
    if status in (403, 404):
        yield ok("A worker answers; whether it is ready, the proxy tells nobody outside.")
        return
    try:
        words = [f"{part} {word}" for part, word in json.loads(body).items() if word != "ok"]
    except ValueError:
        words = [f"status {status}"]
    yield wrong(f"A worker answers, and is not ready: {', '.join(words)}.", "See above.")


def _websocket(site: SplitResult) -> Iterator[Finding]:
    own = f"{site.scheme}://{site.netloc}"
    status, code = _handshake(site, own)
    if status == 101 and code == CloseCode.LOGGED_OUT:
        yield ok("A WebSocket comes through, and asks who is there.")
    elif status == 101:
        yield doubtful(f"A WebSocket comes through, and ends with {code}.", "Look at the log.")
    elif status == 403:
        yield wrong(
            f"The site's own pages are refused a WebSocket: it does not know itself as {own}.",
            f"Put {own} into CHAT_ALLOWED_ORIGINS, and that host into ALLOWED_HOSTS. {PROXY}",
        )
    else:
        yield wrong(f"A WebSocket is answered with {status}: it does not come through.", PROXY)
        return
    status, _ = _handshake(site, STRANGER)
    if status == 101:
        yield wrong(
            "Pages of any other site may open a WebSocket.",
            "Do not let the proxy change Origin, and look at CHAT_ALLOWED_ORIGINS.",
        )
    else:
        yield ok("Pages of another site are refused.")


def _connection(site: SplitResult) -> http.client.HTTPConnection:
    """Of whose certificate enough has been said: nothing secret is told."""
    assert site.hostname  # noqa: S101
    if site.scheme == "http":
        return http.client.HTTPConnection(site.hostname, site.port, timeout=PATIENCE)
    context = ssl._create_unverified_context()  # noqa: S323
    return http.client.HTTPSConnection(site.hostname, site.port, timeout=PATIENCE, context=context)


def _get(site: SplitResult, path: str) -> tuple[int, str, bytes]:
    """Status, Location and the beginning of the body; 0 if there is no answer."""
    with closing(_connection(site)) as connection:
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.getheader("Location", ""), answer.read(10_000)
        except (OSError, http.client.HTTPException):
            return 0, "", b""


def _handshake(site: SplitResult, origin: str) -> tuple[int, int]:
    """The status and, of a WebSocket that opens, the code that it is closed with; or 0."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": base64.b64encode(secrets.token_bytes(16)).decode(),
        "Sec-WebSocket-Protocol": "chat.v1.json",
        "Origin": origin,
    }
    with closing(_connection(site)) as connection:
        try:
            connection.request("GET", "/ws/", headers=headers)
            answer = connection.getresponse()
            return answer.status, _close_code(answer) if answer.status == 101 else 0
        except (OSError, http.client.HTTPException, struct.error):
            return 0, 0


def _close_code(answer: http.client.HTTPResponse) -> int:
    """Of the first frame that closes; a server's frames are not masked."""
    stream = answer.fp
    for _ in range(10):
        kind, length = struct.unpack("!BB", stream.read(2))
        if length == 126:
            [length] = struct.unpack("!H", stream.read(2))
        payload = stream.read(min(length, 65_535))
        if kind & 0x0F == 8:
            return int.from_bytes(payload[:2])
    return 0
