"""More connections than there is room for, and none of them says what for."""

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.asgi_servers import PATIENCE, Running, hear, hear_event, served

DESCRIPTORS = 200
PLACES = 100

LIMITED = f"""
import resource
from project import channel, server
resource.setrlimit(resource.RLIMIT_NOFILE, (64, {DESCRIPTORS}))
channel.Channel.speaks_within = channel.Channel.asks_within = 2
channel.Channel.tells_within = 4
server.CommandLine.entrypoint()
"""

HALF_A_HANDSHAKE = b"GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="needs Linux to see descriptors")


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[Running]:
    with served(tmp_path / "log", command=(sys.executable, "-c", LIMITED)) as running:
        yield running


def descriptors(running: Running) -> int:
    return len(os.listdir(f"/proc/{running.process.pid}/fd"))


async def flood(running: Running, count: int) -> list[bytes]:
    """What each of so many is told, once its connection has ended."""
    says = (b"", HALF_A_HANDSHAKE)
    crowd = await asyncio.gather(*(come(running, says[number % 2]) for number in range(count)))
    return await asyncio.gather(*(heard(reader, writer) for reader, writer in crowd))


async def come(running: Running, says: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(says)
    return reader, writer


async def heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b"HTTP/1.1 503 "  # what it said late has made of the end a reset
    finally:
        writer.close()


async def test_a_flood_shuts_nobody_out_for_long_and_nobody_who_is_in(limited):
    async with asyncio.timeout(PATIENCE * 2), limited.connect("/echo") as ws:
        before = descriptors(limited)
        flooding = asyncio.create_task(flood(limited, 2 * PLACES))
        while not flooding.done():
            await ws.send("hello")
            assert (await hear_event(ws))["text"] == "hello"
            assert descriptors(limited) < DESCRIPTORS
            await asyncio.sleep(0.05)
        told = [answer[:13] for answer in await flooding]
        # Alice has one. On a busy machine some come when the first are gone by now.
        assert 0 < told.count(b"HTTP/1.1 503 ") <= PLACES + 1
        assert set(told) == {b"HTTP/1.1 503 ", b"HTTP/1.1 408 ", b""}
        while descriptors(limited) > before:
            await asyncio.sleep(0.05)
        assert limited.http({})["scheme"] == "http"
    assert limited.log.read_text().count("MAX_CONNECTIONS") == 1


async def test_large_bodies_leave_descriptors_to_others(limited):
    """Each takes two: its connection, and a file."""
    head = b"POST /body_size HTTP/1.1\r\nHost: localhost\r\nContent-Length: 200001\r\n\r\n"
    async with asyncio.timeout(PATIENCE), limited.connect("/echo") as ws:
        crowd = [await come(limited, head + b"x" * 200_000) for _ in range(PLACES - 1)]
        told = [await heard(reader, writer) for reader, writer in crowd]
        assert descriptors(limited) < DESCRIPTORS
        assert {answer[:13] for answer in told} == {b"HTTP/1.1 503 ", b"HTTP/1.1 408 "}
        await ws.send("hello")
        assert (await hear_event(ws))["text"] == "hello"


async def test_who_comes_when_there_are_no_descriptors_at_all_is_served_later(limited):
    """Though something else has taken those that are reserved, too."""
    async with asyncio.timeout(PATIENCE), limited.connect("/echo") as ws:
        async with limited.connect("/take_all_descriptors") as hog:
            await hear(hog)
            late = asyncio.create_task(asyncio.to_thread(limited.http, {}))
            worked = seconds_of_work(limited)
            await asyncio.sleep(1)  # in which it does not ask on and on for one
            assert seconds_of_work(limited) - worked < 0.5
            await ws.send("hello")
            assert (await hear_event(ws))["text"] == "hello"
            assert not late.done()
        assert (await late)["scheme"] == "http"
    assert limited.log.read_text().count("Too many open files") == 1


def seconds_of_work(running: Running) -> float:
    """Of the processor's time."""
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
