"""A fake browser: a `Client` on a wire, in the test's own event loop or over a real network.

async with browser(application, alice) as page:
    await page.post("Hello", to="bob")
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from tests.client import Client, Frame

PATIENCE = 10.0  # seconds that a test waits for what should happen in milliseconds


class Closed(Exception):
    """The connection has ended, with this code; None: without a word."""

    def __init__(self, code: int | None, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code


class Interrupted(AssertionError):
    """The connection ended while somebody waited for something to come over it."""


class Refused(Exception):
    """The handshake was answered by HTTP 403."""


class Wire(Protocol):
    async def send(self, message: str | bytes) -> None: ...
    async def receive(self) -> str: ...
    async def close(self) -> None: ...


class ASGIWire:
    """Calls an ASGI application as a server would."""

    def __init__(
        self,
        application: Any,
        *,
        headers: dict[str, str] | None = None,
        more_headers: Sequence[tuple[str, str]] = (),
        query: str = "",
        subprotocols: list[str] | None = None,
        path: str = "/ws/",
        scheme: str = "ws",
        address: str = "127.0.0.1",
        pings: bool = True,
    ) -> None:
        given = [*{"host": "testserver", **(headers or {})}.items(), *more_headers]
        self.answers_pings = True
        self._scope = {
            "type": "websocket",
            "scheme": scheme,
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": query.encode("latin1"),
            "headers": [(k.lower().encode(), v.encode("latin1")) for k, v in given],
            "subprotocols": ["chat.v1.json"] if subprotocols is None else subprotocols,
            "client": (address, 1),
            "server": ("127.0.0.1", 80),
            "extensions": {"websocket.ping": {}} if pings else {},
        }
        self._application = application
        self._to: asyncio.Queue[Frame] = asyncio.Queue()
        self._from: asyncio.Queue[Frame] = asyncio.Queue()
        self.reads = asyncio.Event()  # clear it, and the client does not drain its socket
        self.reads.set()
        self.subprotocol: str | None = None
        self.closed: Closed | None = None

    async def connect(self) -> Self:
        self._to.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.create_task(self._run())
        event = await self._next()
        if event["type"] == "websocket.close":
            await self.task
            raise Refused
        self.subprotocol = event["subprotocol"]
        return self

    async def _run(self) -> None:
        try:
            await self._application(self._scope, self._to.get, self._take)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._from.put_nowait({"type": "crash", "error": error})
            raise

    async def _take(self, event: Frame) -> None:
        if self.closed is not None:
            return
        if event["type"] == "websocket.ping":
            if self.answers_pings:
                self._to.put_nowait({"type": "websocket.pong", "bytes": event["bytes"]})
            return
        if event["type"] != "websocket.close":  # which overtakes what nobody reads
            await self.reads.wait()
        self._from.put_nowait(event)

    async def _next(self) -> Frame:
        async with asyncio.timeout(PATIENCE):
            event = await self._from.get()
        if event["type"] == "crash":
            raise AssertionError("the application crashed") from event["error"]
        return event

    async def send(self, message: str | bytes) -> None:
        kind = "text" if isinstance(message, str) else "bytes"
        self._to.put_nowait({"type": "websocket.receive", kind: message})

    async def receive(self) -> str:
        if self.closed is not None:
            raise self.closed
        event = await self._from.get()
        if event["type"] == "websocket.send":
            return event["text"]
        if event["type"] == "crash":
            raise AssertionError("the application crashed") from event["error"]
        self.closed = Closed(event.get("code", 1000), event.get("reason", ""))
        self._to.put_nowait({"type": "websocket.disconnect", "code": self.closed.code})
        raise self.closed

    async def close(self, code: int | None = 1006) -> None:
        """Cut the connection; what the server says from now on is lost."""
        self.closed = self.closed or Closed(code)
        self.reads.set()
        self._to.put_nowait({"type": "websocket.disconnect", "code": code})
        async with asyncio.timeout(PATIENCE):
            await asyncio.wait({self.task})
        if not self.task.cancelled():
            self.task.result()


class NetworkWire:
    """A WebSocket to a real server."""

    def __init__(
        self,
        url: str,
        *,
        headers: dict[str, str] | None = None,
        subprotocols: Sequence[str] = ("chat.v1.json",),
        **options: Any,
    ) -> None:
        self._handshake = connect(
            url,
            **options,
            additional_headers=headers,
            subprotocols=[Subprotocol(name) for name in subprotocols] or None,
            compression=None,
            max_size=None,
            open_timeout=PATIENCE * 2,  # it may have to wait for a server that restarts
            close_timeout=1,
            ping_interval=None,
            proxy=None,
        )
        self._socket: ClientConnection | None = None

    async def connect(self) -> Self:
        try:
            self._socket = await self._handshake
        except InvalidStatus as error:
            raise Refused from error
        return self

    @property
    def socket(self) -> ClientConnection:
        assert self._socket is not None
        return self._socket

    async def send(self, message: str | bytes) -> None:
        with suppress(ConnectionClosed):  # as in a browser: what was said before is to be read
            await self.socket.send(message)

    async def receive(self) -> str:
        try:
            return str(await self.socket.recv(decode=True))
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()

    def cut(self) -> None:
        """End it without a word."""
        self.socket.transport.abort()


def _closed(error: ConnectionClosed) -> Closed:
    return Closed(error.rcvd.code, error.rcvd.reason) if error.rcvd else Closed(None)


class Browser:
    """A client on a wire."""

    def __init__(self, wire: Wire, client: Client | None = None) -> None:
        self.wire = wire
        self.client = client or Client()
        self.frames: list[Frame] = []
        self._answers: dict[str, Frame] = {}  # by their refs
        self.acknowledges = True
        self._changed = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self.closed: Closed | None = None

    async def open(self, *, resume: bool = True) -> Self:
        self._reader = asyncio.create_task(self._read())
        if resume:
            await self.send(self.client.resume())
            await self.until(lambda: self.of_type("synced") or self.closed)
        return self

    async def close(self) -> None:
        await self.wire.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while True:
                for line in (await self.wire.receive()).split("\n"):
                    frame = json.loads(line)
                    for answer in self.client.receive(frame):
                        if self.acknowledges or answer["type"] != "ack":
                            await self.send(answer)
                    self.frames.append(frame)
                    if "ref" in frame:
                        self._answers.setdefault(frame["ref"], frame)
                self._changed.set()
        except Closed as closed:
            self.closed = closed
        finally:
            self._changed.set()

    async def send(self, *frames: Frame) -> None:
        """Send frames in one WebSocket message."""
        await self.wire.send("\n".join(json.dumps(frame) for frame in frames))

    async def until(self, condition: Callable[[], Any], timeout: float = PATIENCE) -> Any:
        """Wait until the condition holds; it is looked at whenever something arrives."""
        async with asyncio.timeout(timeout):
            while not (value := condition()):
                if self._reader is not None and self._reader.done():
                    if (error := self._reader.exception()) is not None:
                        raise error
                    raise Interrupted(f"closed while waiting: {self.closed}")
                self._changed.clear()
                await self._changed.wait()
        return value

    async def says_goodbye(self) -> Frame:
        """Wait until the server has closed; its `bye`, which told the same code."""
        code = await self.ends()
        bye = self.of_type("bye")[-1]
        assert bye["code"] == code
        return bye

    async def ends(self) -> int | None:
        """Wait until the server has closed; the close code."""
        async with asyncio.timeout(PATIENCE):
            while self.closed is None:
                assert self._reader is not None
                await asyncio.wait({self._reader})
                self._reader.result()
        return self.closed.code

    def of_type(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    async def ask(self, type: str, *, timeout: float = PATIENCE, **fields: Any) -> Frame:
        """Send a request, wait for its answer."""
        ref = uuid.uuid4().hex
        await self.send({"type": type, "ref": ref, **fields})
        return await self.until(lambda: self._answers.get(ref), timeout)

    async def post(self, body: str, *, id: str | None = None, **where: str) -> Frame:
        """Post to `room=` or `to=`; `posted`, or the error."""
        return await self.ask("post", id=id or str(uuid.uuid4()), body=body, **where)

    async def sees(self, room: str, *bodies: str | None) -> None:
        """Wait until the last messages of a room are these."""
        await self.until(lambda: self.client.bodies(room)[-len(bodies) :] == list(bodies))

    def room(self, name: str) -> str:
        """The id of a room by its name, or of the direct room with somebody."""
        return next(
            room["room"]
            for room in self.client.rooms.values()
            if name in (room["name"], room.get("peer"))
        )


@asynccontextmanager
async def browser(
    application: Any, token: str, *, client: Client | None = None, resume: bool = True, **wire: Any
) -> AsyncIterator[Browser]:
    """A page of whoever holds this token."""
    headers = {"authorization": f"Bearer {token}", **wire.pop("headers", {})}
    page = Browser(await ASGIWire(application, headers=headers, **wire).connect(), client)
    try:
        yield await page.open(resume=resume)
    finally:
        await page.close()


class TextPage:
    """The page of ten lines: sends lines, remembers lines."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.lines: list[str] = []

    async def send(self, line: str) -> None:
        await self.wire.send(line)

    async def next(self, timeout: float = PATIENCE) -> str:
        async with asyncio.timeout(timeout):
            self.lines.append(await self.wire.receive())
        return self.lines[-1]

    async def ends(self) -> int | None:
        """Read up to the end; the close code."""
        try:
            while True:
                await self.next()
        except Closed as closed:
            return closed.code

    async def nothing_more(self, seconds: float = 0.2) -> bool:
        """Whether nothing comes for this long."""
        try:
            await self.next(seconds)
        except TimeoutError:
            return True
        return False


@asynccontextmanager
async def text_page(application: Any, token: str, **wire: Any) -> AsyncIterator[TextPage]:
    headers = {"authorization": f"Bearer {token}"}
    subprotocols = wire.pop("subprotocols", ["chat"])
    asgi = ASGIWire(application, headers=headers, subprotocols=subprotocols, **wire)
    try:
        yield TextPage(await asgi.connect())
    finally:
        await asgi.close()
