"""What an operator reads: what happened, once, and not what happens every second."""

import logging

import pytest

from chat import complaints
from chat.complaints import Nuisance, Outage
from tests.conversation import at_once

logger = logging.getLogger("chat.tests")


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(complaints, "time", clock)
    return clock


@pytest.fixture
def outage() -> Outage:
    return Outage(logger, "The sun", "wear a coat", settles=2.0)


def test_one_line_when_it_is_lost_and_one_when_it_is_back(clock, outage, caplog):
    for _ in range(10):
        outage.goes_on(ConnectionError("clouds"))
        clock.now += 1
    assert caplog.messages == ["The sun is lost (ConnectionError: clouds): wear a coat"]
    clock.now += 2
    outage.is_over()
    outage.is_over()
    assert caplog.messages[1:] == ["The sun is back after 12 seconds"]


def test_the_reason_is_told_again_once_a_minute(clock, outage, caplog):
    for second in range(150):
        outage.goes_on(ConnectionError("clouds" if second < 60 else "night"))
        clock.now += 1
    assert ["night" in told for told in caplog.messages] == [False, True, True]


def test_what_works_and_fails_in_turns_is_lost_once(clock, outage, caplog):
    for _ in range(10):
        outage.goes_on(ConnectionError("clouds"))
        outage.is_over()
        clock.now += 1
    assert len(caplog.messages) == 1


def test_what_was_never_lost_is_not_back(clock, outage, caplog):
    outage.is_over()
    assert caplog.messages == []


def test_an_error_of_many_lines_is_told_in_one(clock, outage, caplog):
    outage.goes_on(ValueError("one\n\ttwo\r\nthree"))
    assert caplog.messages == ["The sun is lost (ValueError: one two three): wear a coat"]


def test_many_threads_lose_it_once(outage, caplog):
    at_once(*[lambda: outage.goes_on(ConnectionError("clouds"))] * 8)
    assert len(caplog.messages) == 1


def test_what_comes_in_masses_is_told_at_once_and_then_once_a_minute(clock, caplog):
    nuisance = Nuisance(logger, "Flies")
    for n in range(601):
        nuisance.again(f"fly {n}")
        clock.now += 0.1
    nuisance.again(ValueError("a wasp"))
    assert caplog.messages == ["Flies (1 times): fly 0", "Flies (601 times): ValueError: a wasp"]
