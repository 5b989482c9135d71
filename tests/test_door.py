"""Who comes through a door, and what the others are told."""

import errno
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from project.door import REFUSED_AT_ONCE, Door
from project.places import Places

PATIENCE = 20


@pytest.fixture
def places() -> Places:
    return Places(most=2)


@pytest.fixture
def door(places: Places) -> Iterator[Door]:
    with Door(socket.create_server(("127.0.0.1", 0)), places) as door:
        yield door


def knock(door: Door) -> socket.socket:
    return socket.create_connection(door.getsockname(), timeout=PATIENCE)


def test_who_comes_in_can_talk(door):
    with knock(door) as client:
        inside, peer = door.accept()
        with inside:
            assert peer == client.getsockname()
            inside.sendall(b"hello")
            assert client.recv(100) == b"hello"


def test_who_finds_no_place_is_told_so_at_once(door):
    let_in = [(knock(door), door.accept()[0]) for _ in range(2)]
    with knock(door) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with pytest.raises(BlockingIOError):
            door.accept()
        with client.makefile("rb") as answer:
            said = answer.read()
    assert said.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: " in said
    for ends in let_in:
        for end in ends:
            end.close()


def test_who_leaves_makes_room(door, places):
    for _ in range(5):
        with knock(door):
            inside, _ = door.accept()
            inside.close()
            inside.close()  # twice is once
    assert places.taken == 0


def test_a_crowd_that_is_refused_leaves_those_who_are_in_their_turn(door):
    let_in = [(knock(door), door.accept()[0]) for _ in range(2)]
    crowd = [knock(door) for _ in range(REFUSED_AT_ONCE + 1)]
    with pytest.raises(BlockingIOError, match="first"):
        door.accept()
    with pytest.raises(BlockingIOError):
        door.accept()
    for end in [*crowd, *(end for ends in let_in for end in ends)]:
        end.close()


def test_without_descriptors_everybody_waits_outside(door, monkeypatch, caplog):
    def accept(_: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with knock(door):
        with monkeypatch.context() as short:
            short.setattr(socket.socket, "accept", accept)
            for _ in range(3):
                with pytest.raises(BlockingIOError):
                    door.accept()
        assert door.is_stuck
        [line] = caplog.messages
        assert "Too many open files" in line
        inside, _ = door.accept()
        inside.close()
