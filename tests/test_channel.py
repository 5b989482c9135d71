"""How long a connection may take to ask; by a clock of its own."""

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.web import http

from project.channel import Channel

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Asked(http.Request):
    """Answers when it is told to."""

    is_refused = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.channel.asked = [*getattr(self.channel, "asked", ()), self]

    def answer(self) -> None:
        self.write(b"answer")
        self.finish()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def channel(clock: Clock) -> Channel:
    channel = Channel()
    channel.callLater = clock.callLater
    channel.timeOut = 60
    channel.requestFactory = Asked
    channel.makeConnection(StringTransport())
    return channel


def drip(channel: Channel, clock: Clock, *, seconds: float) -> None:
    """A byte a second of a header, or of a body, that never ends."""
    for _ in range(int(seconds)):
        clock.advance(1)
        if not is_ended(channel):
            channel.dataReceived(b"x")


def is_ended(channel: Channel) -> bool:
    return bool(channel.transport.disconnecting)


def test_who_says_nothing_is_not_waited_for(channel, clock):
    clock.advance(Channel.speaks_within - 1)
    assert not is_ended(channel)
    clock.advance(1)
    assert is_ended(channel)
    assert channel.transport.value() == b""


def test_a_head_that_drips_in_is_not_waited_for(channel, clock):
    channel.dataReceived(HEAD)
    drip(channel, clock, seconds=Channel.asks_within - 1)
    assert not is_ended(channel)
    drip(channel, clock, seconds=1)
    assert is_ended(channel)
    assert channel.transport.value().startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("header", [b"Content-Length: 1000", b"Transfer-Encoding: chunked"])
def test_a_body_that_drips_in_is_not_waited_for(channel, clock, header):
    channel.dataReceived(HEAD + header + b"\r\n\r\n3e8\r\n")
    drip(channel, clock, seconds=Channel.tells_within - 1)
    assert not is_ended(channel)
    drip(channel, clock, seconds=1)
    assert is_ended(channel)


def test_an_answer_may_take_its_time(channel, clock):
    channel.dataReceived(GET)
    clock.advance(3_600)
    assert not is_ended(channel)


def test_what_is_asked_ahead_ends_no_answer(channel, clock):
    channel.dataReceived(GET)
    channel.dataReceived(HEAD)
    clock.advance(3_600)
    assert not is_ended(channel)


def test_what_was_asked_ahead_in_part_is_not_waited_for_either(channel, clock):
    channel.dataReceived(GET + HEAD)
    channel.asked[0].answer()
    drip(channel, clock, seconds=Channel.idles_for + Channel.asks_within)
    assert is_ended(channel)


def test_who_asks_again_has_as_long_again(channel, clock):
    for number in range(5):
        channel.dataReceived(GET)
        channel.asked[number].answer()
        clock.advance(Channel.idles_for - 1)
    assert not is_ended(channel)


def test_who_does_not_ask_again_is_not_waited_for(channel, clock):
    channel.dataReceived(GET)
    channel.asked[0].answer()
    clock.advance(Channel.idles_for)
    assert is_ended(channel)


def test_a_second_request_may_not_drip_in_either(channel, clock):
    channel.dataReceived(GET)
    channel.asked[0].answer()
    channel.dataReceived(HEAD)
    drip(channel, clock, seconds=Channel.asks_within)
    assert is_ended(channel)
