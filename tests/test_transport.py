"""How connections are written to."""

import socket
from types import SimpleNamespace

import pytest

from project.transport import TCPConnection, UnixConnection


@pytest.fixture(params=[TCPConnection, UnixConnection])
def ends(request):
    """A connection as Twisted has it, its other end, and who waits to be told of room."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    waiting = set()
    reactor = SimpleNamespace(
        addReader=lambda _: None, addWriter=waiting.add, removeWriter=waiting.discard
    )
    server = SimpleNamespace(_realPortNumber=0, port=b"")
    protocol = SimpleNamespace()
    with ours, theirs:
        client = ("", 0)
        yield request.param(ours, protocol, client, server, 0, reactor), theirs, waiting


def test_what_the_kernel_takes_is_written_at_once(ends):
    connection, theirs, waiting = ends
    connection.write(b"now")
    assert theirs.recv(100) == b"now"
    assert not waiting


def test_what_it_does_not_take_follows_in_order_when_there_is_room(ends):
    connection, theirs, waiting = ends
    said = [bytes([n]) * 100_000 for n in range(20)]
    for piece in said:
        connection.write(piece)
    assert waiting == {connection}
    heard = b""
    while len(heard) < 2_000_000:
        heard += theirs.recv(1 << 20)
        if waiting:
            connection.doWrite()
    assert heard == b"".join(said)
    assert not waiting


def test_a_connection_that_is_lost_is_left_to_the_event_loop_to_notice(ends):
    connection, theirs, waiting = ends
    theirs.close()
    connection.write(b"anybody there?")
    assert waiting == {connection}
    assert isinstance(connection.doWrite(), Exception)


def test_nothing_is_written_to_what_has_ended(ends):
    connection, theirs, waiting = ends
    connection.connected = 0
    connection.write(b"late")
    with pytest.raises(BlockingIOError):
        theirs.recv(100)
    assert not waiting
