"""What the server listens on, and how connections that come from there are written to."""

import socket
from types import SimpleNamespace

import pytest

from project.listener import Listener, TCPConnection, UnixConnection, is_loopback


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


def test_several_may_share_a_port_if_all_agree():
    with Listener.on_port("127.0.0.1", 0, reuse_port=True).socket as one:
        port = one.getsockname()[1]
        with Listener.on_port("127.0.0.1", port, reuse_port=True).socket as two:
            assert two.getsockname() == one.getsockname()
        with pytest.raises(SystemExit, match=f"Cannot listen on 127.0.0.1, port {port}"):
            Listener.on_port("127.0.0.1", port)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_ipv6_is_fine_with_or_without_brackets(host):
    if not socket.has_ipv6:
        pytest.skip("there is no IPv6 here")
    with Listener.on_port(host, 0).socket as listener:
        assert listener.getsockname()[0] == "::1"


@pytest.mark.parametrize("host", ["", "localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_only_this_machine_can_connect_there(host):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "chat.example.org"])
def test_others_can_connect_there(host):
    assert not is_loopback(host)


def test_a_socket_that_we_are_given_tells_its_host(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert Listener(listener).host == "127.0.0.1"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        assert Listener(listener).host == ""
