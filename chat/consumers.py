"""The life of one WebSocket: handshake, listening, and the end, however it comes.

Its dispatch is its own: Channels' would visit the one ORM thread before every frame, and listen to
the channel layer for each socket, where one switchboard per worker does.
"""

import asyncio
import logging
import random
from collections.abc import Iterator
from functools import lru_cache
from io import BytesIO

from channels.consumer import AsyncConsumer
from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.handlers.asgi import ASGIRequest

from . import allowances, conf, origins
from .addresses import household
from .allowances import Visitor
from .authentication import Credentials
from .close_codes import CloseCode
from .complaints import Nuisance
from .errors import Banned, ChatError, NotLoggedIn, RateLimited, Restarting, TooManyConnections
from .frame_socket import FrameSocket
from .limits import TokenBucket
from .sockets import Endpoint, Socket
from .text_socket import TextSocket
from .visits import NO_CODE, Visit
from .worker import Receive, Scope, Send, Worker

logger = logging.getLogger(__name__)

_strangers = Nuisance(logger, "CHAT_ALLOWED_ORIGINS lets a page open no WebSocket")

DIALECTS = {socket.subprotocol: socket for socket in (FrameSocket, TextSocket)}  # best first
ADDRESS_CHARS, CLIENT_CHARS = 45, 200  # that are stored
ORIGIN_CHARS = 100  # that are logged
COME_BACK = (1.0, 3.0)  # seconds, at least, for whoever came too often: not all at once
SILENCE = 10.0  # seconds until a client that speaks frames must have said something

REFUSALS: dict[type[ChatError], CloseCode] = {
    NotLoggedIn: CloseCode.LOGGED_OUT,
    Banned: CloseCode.BANNED,
    TooManyConnections: CloseCode.TOO_MANY,
    RateLimited: CloseCode.TOO_FAST,
    Restarting: CloseCode.RESTART,
}


class ChatConsumer(AsyncConsumer):  # type: ignore[misc]  # untyped
    """One WebSocket, in either dialect."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.worker: Worker = scope["worker"]
        self.scope: Scope = scope
        self.receive: Receive = receive
        self.send: Send = send
        self._pace = TokenBucket(conf.LINES_RATE, 10 * conf.LINES_RATE)
        await receive()  # websocket.connect
        credentials, endpoint = _introduction(scope)
        if credentials is None:
            await send({"type": "websocket.close"})  # before accepting: HTTP 403
            return
        await self._accept()
        self._visit = Visit(self.worker.key, self.dialect.subprotocol, endpoint)
        socket: Socket | None = None
        try:
            socket = await self._admit(credentials, endpoint)
            self._visit.begin()
            socket.begin()
            await self._listen(socket)
        except ChatError as error:
            await self._refuse(error)
        except asyncio.CancelledError:
            if socket is None or socket.closed_at is None:
                raise
            await socket.cut()  # the client has not taken our goodbye, or never answered it
        except Exception:
            logger.exception("A connection failed")
            await self._refuse(ChatError())
        finally:
            if socket is not None:
                self.worker.switchboard.unregister(socket)
                socket.abandon()
                self._visit.code = socket.close_code or self._visit.code
            self._visit.end()

    async def _accept(self) -> None:
        offered = self.scope["subprotocols"]
        chosen = next((name for name in DIALECTS if name in offered), None)
        self.dialect = DIALECTS.get(chosen or "", TextSocket)
        await self.send({"type": "websocket.accept", "subprotocol": chosen})

    async def _admit(self, credentials: Credentials, endpoint: Endpoint) -> Socket:
        self._insist_on_leisure(Visitor(None, household(endpoint.address)))
        identity, standing = await self.worker.admit(credentials)
        self._insist_on_leisure(Visitor(str(identity.user.pk), None))
        if standing.banned:
            raise Banned(retry_after_ms=standing.banned_for_ms)
        pings = "websocket.ping" in self.scope.get("extensions", {})
        socket = self.dialect(self.send, identity, endpoint, self.worker, pings=pings)
        self.worker.insist_on_room(socket)
        self.worker.switchboard.register(socket, standing)
        self._lines = allowances.lines(socket.visitor)
        return socket

    def _insist_on_leisure(self, visitor: Visitor) -> None:
        """RateLimited if the visitor comes too often."""
        arrivals = allowances.arrivals(visitor)
        wait = random.uniform(*COME_BACK)
        self.worker.limits.insist(*arrivals, detail="You connect too often.", at_least=wait)

    async def _refuse(self, error: ChatError) -> None:
        code = self._visit.code = REFUSALS.get(type(error), CloseCode.INTERNAL)
        text = self.dialect.refusal(error, code)
        await self.send({"type": "websocket.send", "text": text})
        await self.send({"type": "websocket.close", "code": int(code), "reason": code.reason})

    async def _listen(self, socket: Socket) -> None:
        event = await self._first_event(socket)
        while event["type"] != "websocket.disconnect":
            match event:
                case {"type": "websocket.receive"}:
                    text = event.get("text")
                    await self._hear(socket, event["bytes"] if text is None else text)
                case {"type": "websocket.pong", "bytes": payload}:
                    socket.pong(payload)
            event = await self.receive()
        code = event.get("code")
        self._visit.code = NO_CODE if code is None else code

    async def _hear(self, socket: Socket, message: str | bytes) -> None:
        if conf.post_rate():  # and not where programs may say as much as they can
            lines = message.count("\n") if isinstance(message, str) else 0
            for debt in self._debts(1 + lines + len(message) / 8_192):
                if debt:
                    await asyncio.sleep(debt)
        if socket.closed_at is not None:
            return  # it does not know yet
        if self.worker.is_draining:
            socket.decline()
        else:
            await socket.take(message)

    def _debts(self, cost: float) -> Iterator[float]:
        """Of the connection, its user and its address: the next only when the one before is paid.

        So nobody lays on those who share an address what they could not say by themselves.
        """
        yield self._pace.owe(cost)
        for share in self._lines:
            yield self.worker.limits.owe(share, cost)

    async def _first_event(self, socket: Socket) -> Scope:
        """Whoever speaks frames begins with one; without it we would keep a socket for nobody."""
        if socket.speaks_first:
            try:
                async with asyncio.timeout(SILENCE):
                    return await self.receive()
            except TimeoutError:
                self.worker.switchboard.dismiss(socket, CloseCode.PROTOCOL)
        return await self.receive()


def _as_request(scope: Scope) -> ASGIRequest:
    """The handshake as Django sees requests: its rules for hosts, proxies and cookies are ours."""
    http = {
        "type": "http",
        "method": "GET",
        "scheme": {"ws": "http", "wss": "https"}.get(scope.get("scheme", "ws"), "http"),
        "query_string": scope["query_string"].decode(errors="replace"),  # Django would raise
    }
    return ASGIRequest({**scope, **http}, BytesIO())


def _introduction(scope: Scope) -> tuple[Credentials | None, Endpoint]:
    """What the client shows, and where it is. The request, of 5 KiB, is gone afterwards."""
    request = _as_request(scope)
    return _trusted_credentials(request), _endpoint(request)


def _endpoint(request: ASGIRequest) -> Endpoint:
    # A server may believe whatever is said of an address; if one cannot be stored, none of this
    # worker's connections is.
    return Endpoint(
        _in_print(request.META.get("REMOTE_ADDR", ""), ADDRESS_CHARS),
        _in_print(request.headers.get("User-Agent", ""), CLIENT_CHARS),
    )


@lru_cache(maxsize=1_000)
def _in_print(text: str, most: int) -> str:
    """What may be stored and shown; the same text for all who say the same."""
    return "".join(filter(str.isprintable, text))[:most]


def _trusted_credentials(request: ASGIRequest) -> Credentials | None:
    """What the client shows; None if it must not even be asked who it is."""
    try:
        credentials = Credentials(
            authorization=request.headers.get("Authorization", ""),
            ticket=request.GET.get("ticket", ""),
            session_key=request.COOKIES.get(settings.SESSION_COOKIE_NAME, ""),
        )
        return credentials if _is_trusted(request, credentials) else None
    except SuspiciousOperation:  # too many fields, a foreign host
        return None


def _is_trusted(request: ASGIRequest, credentials: Credentials) -> bool:
    """Whether the page that connects is one of ours; a program sends no Origin and no cookie."""
    origin = request.headers.get("Origin")
    if origin is None:
        return not credentials.ambient
    # A foreign name that leads to us would otherwise make any page our own: get_host() checks it.
    own = f"{request.scheme}://{request.get_host()}"
    if origins.is_allowed(origin, own, conf.allowed_origins()):
        return True
    _strangers.again(f"{_in_print(origin, ORIGIN_CHARS)} wanted one of {own}")
    return False
