"""Tiny ASGI applications, one a path, that test_server.py has served to it by a real server."""

import asyncio
import gc
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import ExitStack, suppress
from typing import Any

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# What each application noticed, by the query string that it was asked with.
noticed: defaultdict[bytes, dict[str, Any]] = defaultdict(dict)

CHUNK = "x" * 65_536

ending = asyncio.Event()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await LIFESPANS[os.environ.get("LIFESPAN", "unknown")](receive, send)
    elif scope["type"] == "http":
        await HTTP.get(scope["path"], http_scope)(scope, receive, send)
    else:
        assert (await receive())["type"] == "websocket.connect"
        await APPLICATIONS[scope["path"]](scope, receive, send)


async def http_scope(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    body = json.dumps({key: scope[key] for key in ("client", "root_path", "scheme")})
    await send({"type": "http.response.body", "body": body.encode()})


async def body_size(scope: Scope, receive: Receive, send: Send) -> None:
    """How many bytes came."""
    size, more = 0, True
    while more:
        event = await receive()
        size += len(event.get("body", b""))
        more = event.get("more_body", False)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"%d" % size})


async def slow_answer(scope: Scope, receive: Receive, send: Send) -> None:
    print("asked", flush=True)
    await asyncio.sleep(1)
    await http_scope(scope, receive, send)


async def fail_half_way(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"half", "more_body": True})
    raise RuntimeError("half-way")


async def much(scope: Scope, receive: Receive, send: Send) -> None:
    """A MiB, and how often it was asked for."""
    noticed[b"much"]["asked"] = noticed[b"much"].get("asked", 0) + 1
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": CHUNK.encode() * 16})


async def unknown(receive: Receive, send: Send) -> None:
    raise ValueError("There is no lifespan here")


async def told(receive: Receive, send: Send) -> None:
    for event in ("startup", "shutdown"):
        assert (await receive())["type"] == f"lifespan.{event}"
        await asyncio.sleep(0.3)
        print(f"{event} is over", flush=True)
        await send({"type": f"lifespan.{event}.complete"})


async def startup_failed(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "Nothing is there."})


async def slow_startup(receive: Receive, send: Send) -> None:
    await receive()
    print("starting", flush=True)
    await asyncio.sleep(1)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def failing_shutdown(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    raise RuntimeError("at the shutdown")


async def endless_shutdown(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    print("hanging", flush=True)
    await asyncio.sleep(3600)


async def announced_shutdown(receive: Receive, send: Send) -> None:
    """Tell the other applications, and wait for none of them."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    ending.set()
    await send({"type": "lifespan.shutdown.complete"})


LIFESPANS = {
    app.__name__: app
    for app in (
        unknown,
        told,
        startup_failed,
        slow_startup,
        failing_shutdown,
        endless_shutdown,
        announced_shutdown,
    )
}
HTTP = {f"/{app.__name__}": app for app in (body_size, slow_answer, fail_half_way, much)}


async def websocket_scope(scope: Scope, receive: Receive, send: Send) -> None:
    keys = ("client", "root_path", "scheme", "extensions")
    loop = type(asyncio.get_running_loop()).__module__
    facts = {key: scope[key] for key in keys} | {"token": os.environ["TOKEN"], "loop": loop}
    facts |= {"frozen": gc.get_freeze_count()}
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps(facts)})


async def report(scope: Scope, receive: Receive, send: Send) -> None:
    """What the other applications noticed."""
    await send({"type": "websocket.accept"})
    facts = noticed[scope["query_string"]]
    await send({"type": "websocket.send", "text": json.dumps(facts)})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    await show_events(receive, send)


async def show_events(receive: Receive, send: Send) -> None:
    while (event := await receive())["type"] != "websocket.disconnect":
        await send({"type": "websocket.send", "text": repr(event)})


async def take_all_descriptors(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    with ExitStack() as taken:
        with suppress(OSError):
            while True:
                taken.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        await send({"type": "websocket.send", "text": "all are taken"})
        await receive()


async def empty(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": ""})
    await send({"type": "websocket.send", "bytes": b""})


async def both(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    try:
        await send({"type": "websocket.send", "text": "", "bytes": b"x"})
    except ValueError as error:
        await send({"type": "websocket.send", "text": str(error)})


async def ping(scope: Scope, receive: Receive, send: Send) -> None:
    """Ping with each payload of the query, and show every event that comes."""
    await send({"type": "websocket.accept"})
    for payload in scope["query_string"].split(b","):
        await send({"type": "websocket.ping", "bytes": payload})
    await show_events(receive, send)


async def close(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": 4503, "reason": "kicked"})
    await receive()


async def finish(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})


async def finish_unaccepted(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def cancel_itself(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    raise asyncio.CancelledError


async def fail(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    raise RuntimeError("on purpose")


async def accept_unoffered(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        await send({"type": "websocket.accept", "subprotocol": "unoffered"})
    except ValueError as error:
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(error)})


def at_once(call: Awaitable[None]) -> bool:
    """Make the call if it does not have to wait."""
    steps = call.__await__()
    try:
        next(steps)
    except StopIteration:
        return True
    steps.close()
    return False


async def send_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    sent = at_once(send({"type": "websocket.send", "text": "at once"}))
    await send({"type": "websocket.send", "text": "it was" if sent else "it was not"})


async def flood(scope: Scope, receive: Receive, send: Send) -> None:
    """Send 100 MiB, counting what `send` took, and wait until the client is gone."""
    facts = noticed[scope["query_string"]]
    facts["chunks"] = 0
    await send({"type": "websocket.accept"})
    disconnected = asyncio.ensure_future(receive())
    while facts["chunks"] < 1600 and not disconnected.done():
        await send({"type": "websocket.send", "text": CHUNK})
        facts["chunks"] += 1
    facts["ended"] = (await disconnected)["type"]


async def fill(send: Send) -> None:
    """Send until nothing goes out any more."""
    refused = 0
    while refused < 3:
        try:
            async with asyncio.timeout(0.2):
                await send({"type": "websocket.send", "text": CHUNK})
            refused = 0
        except TimeoutError:
            refused += 1


async def in_turn(scope: Scope, receive: Receive, send: Send) -> None:
    """Three tasks wait for room, one of them in vain; a fourth tries to get in before them."""
    await send({"type": "websocket.accept"})
    await fill(send)
    one, two, three = [
        asyncio.ensure_future(send({"type": "websocket.send", "text": text}))
        for text in ("one", "two", "three")
    ]
    await asyncio.sleep(0)
    two.cancel()
    noticed[scope["query_string"]]["full"] = True
    while not at_once(send({"type": "websocket.send", "text": "four"})):
        await asyncio.sleep(0)
    await asyncio.gather(one, three)


async def close_a_slow_reader(scope: Scope, receive: Receive, send: Send) -> None:
    """Close while one `send` is suspended; both are to end at once."""
    await send({"type": "websocket.accept"})
    await fill(send)
    waiting = asyncio.ensure_future(send({"type": "websocket.send", "text": "too late"}))
    await asyncio.sleep(0)
    async with asyncio.timeout(1):
        await send({"type": "websocket.close", "code": 4002, "reason": "too slow"})
        await waiting
    noticed[scope["query_string"]]["closed"] = True


async def say_goodbye(scope: Scope, receive: Receive, send: Send) -> None:
    """To a slow reader, at the end, and close."""
    await send({"type": "websocket.accept"})
    await fill(send)
    noticed[scope["query_string"]]["full"] = True
    await ending.wait()
    await send({"type": "websocket.send", "text": "bye"})
    await send({"type": "websocket.close", "code": 4999})
    await receive()


async def send_after_the_end(scope: Scope, receive: Receive, send: Send) -> None:
    """Send for ever, without ever asking whether anybody is there."""
    await send({"type": "websocket.accept"})
    while True:
        await send({"type": "websocket.send", "text": "anybody there?"})


async def clean_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Take as many tenths of a second for it as the query says."""
    await send({"type": "websocket.accept"})
    try:
        await send({"type": "websocket.send", "text": "started"})
        await receive()
    finally:
        await asyncio.sleep(int(scope["query_string"]) / 10)
        print("cleaned up", flush=True)


async def never_listen(scope: Scope, receive: Receive, send: Send) -> None:
    """Take nothing of what the client says until it is told to."""
    await send({"type": "websocket.accept"})
    facts = noticed[scope["query_string"]]
    facts["bytes"] = 0
    while not noticed[b"listen"]:
        await asyncio.sleep(0.05)
    while (event := await receive())["type"] != "websocket.disconnect":
        facts["bytes"] += len(event.get("text") or event.get("bytes") or "")
        if event.get("text") == "the last one":
            facts["all"] = facts["bytes"]


async def listen(scope: Scope, receive: Receive, send: Send) -> None:
    noticed[b"listen"]["now"] = True
    await send({"type": "websocket.accept"})


async def fail_to_clean_up(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "websocket.accept"})
    try:
        await send({"type": "websocket.send", "text": "started"})
        await receive()
    finally:
        raise RuntimeError("at the very end")


APPLICATIONS = {
    f"/{app.__name__}": app
    for app in (
        websocket_scope,
        report,
        echo,
        take_all_descriptors,
        empty,
        both,
        ping,
        close,
        finish,
        finish_unaccepted,
        cancel_itself,
        fail,
        accept_unoffered,
        send_at_once,
        flood,
        in_turn,
        close_a_slow_reader,
        say_goodbye,
        send_after_the_end,
        clean_up,
        fail_to_clean_up,
        never_listen,
        listen,
    )
}
