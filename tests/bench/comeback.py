"""Somebody was away, and 5,000 messages wait."""

import asyncio
import json
import time

import uvloop

from tests.bench.stack import Stack
from tests.bench.stock import WAITING
from tests.bench.table import show
from tests.servers import PATIENCE, Server


def measure(stack: Stack) -> None:
    with stack.server() as server:
        times = [uvloop.run(_come_back(server, *away)) for away in stack.stock.away]
    print(f"\n  Coming back to {WAITING:,} waiting messages, ms from connecting")
    show("the first page", [first for first, _ in times], 1e-3)
    show("all, in order", [whole for _, whole in times], 1e-3)


async def _come_back(server: Server, token: str, room: str) -> tuple[float, float]:
    """From connecting to the first and to the last of the waiting messages, in seconds."""
    began = time.perf_counter()
    first = 0.0
    revs: list[int] = []
    wire = await server.wire(token).connect()
    await wire.send(json.dumps({"type": "resume"}))
    while len(revs) < WAITING:
        async with asyncio.timeout(PATIENCE):
            received = await wire.receive()
        for line in received.split("\n"):
            frame = json.loads(line)
            if frame["type"] != "replay":
                continue
            if frame["room"] == room:
                first = first or time.perf_counter() - began
                revs += [waiting["rev"] for waiting in frame["messages"]]
            cursors = {frame["room"]: frame["upto"]}
            await wire.send(json.dumps({"type": "ack", "cursors": cursors}))
    whole = time.perf_counter() - began
    await wire.close()
    assert revs == list(range(1, WAITING + 1)), "the waiting messages came out of order"
    return first, whole
