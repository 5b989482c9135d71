"""What the server listens on."""

import socket

import pytest

from project.listener import Listener, is_loopback


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


def test_who_takes_the_place_of_a_server_that_lives_says_so(tmp_path, caplog):
    path = str(tmp_path / "socket")
    with Listener.on_file(path).socket:
        assert not caplog.messages
        with Listener.on_file(path).socket:
            assert "another server's" in caplog.text
    caplog.clear()
    with Listener.on_file(path).socket:
        assert not caplog.messages  # that file was left over


def test_who_ends_leaves_no_file_behind_but_that_of_a_successor(tmp_path):
    path = tmp_path / "socket"
    first = Listener.on_file(str(path))
    second = Listener.on_file(str(path))
    with first.socket, second.socket:
        first.hide()
        assert path.exists()
        second.hide()
        assert not path.exists()
        second.hide()
