"""Which web pages may open a WebSocket."""

import pytest

from chat.origins import is_allowed

OWN = "https://chat.example.com"


def test_our_own_pages_may():
    assert is_allowed(OWN, own=OWN)


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("https://CHAT.Example.COM", OWN),
        ("HTTPS://chat.example.com", OWN),
        ("https://chat.example.com:443", OWN),
        ("http://localhost", "http://localhost:80"),
        ("http://localhost:8000", "http://localhost:8000"),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ],
)
def test_the_same_origin_may_be_written_in_several_ways(origin, own):
    assert is_allowed(origin, own)
    assert is_allowed(own, origin)


def test_other_origins_that_the_settings_name_may_too():
    others = ["https://intranet.example.com", "http://localhost:3000"]
    assert all(is_allowed(origin, OWN, others) for origin in others)
    assert not is_allowed("https://www.example.com", OWN, others)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "http://chat.example.com",
        "https://chat.example.com:8443",
        "https://chat.example.com.evil.example",
        "https://evil-chat.example.com",
        "https://example.com",
        "https://sub.chat.example.com",
        "https://chat.example.com.",
        "https://chat.exаmple.com",  # with a Cyrillic а
        "https://xn--chat-example.com",
        "wss://chat.example.com",
        "ftp://chat.example.com",
        "chrome-extension://chat.example.com",
    ],
)
def test_other_sites_may_not(origin):
    assert not is_allowed(origin, own=OWN)


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "null",
        "*",
        "chat.example.com",
        "//chat.example.com",
        "https:chat.example.com",
        "https:/chat.example.com",
        "https://",
        "https://chat.example.com/",
        "https://chat.example.com/path",
        "https://chat.example.com?",
        "https://chat.example.com?query",
        "https://chat.example.com#",
        "https://chat.example.com#fragment",
        "https://user@chat.example.com",
        "https://chat.example.com@evil.example",
        "https://evil.example\\@chat.example.com",
        "https://chat.example.com\\.evil.example",
        "https://chat.example.com:99999",
        "https://chat.example.com:-1",
        "https://chat.example.com:port",
        "https://chat.example.com:４４３",
        "https://[",
        "https://[::1",
        "https://[chat.example.com]",
        "https://chat.example.com, https://chat.example.com",
        "https://chat.example.com https://evil.example",
        " https://chat.example.com",
        "https://chat.example.com ",
        "https://chat.\texample.com",
        "https://chat.example.com\n",
        "https://chat.example.com\x0b",
        "https://chat.example.com\x00",
        "https://℀.example.com",
        "file://",
        "data:text/html,hello",
        "https://" + "x" * 8192,
    ],
    ids=lambda origin: ascii(origin)[:50],
)
def test_what_no_browser_sends_is_refused_without_an_exception(origin):
    assert not is_allowed(origin, own=OWN)


def test_port_zero_is_no_default():
    assert not is_allowed("https://chat.example.com:0", own=OWN)


@pytest.mark.parametrize("own", ["", "null", "https://[", "https://", "//chat.example.com"])
def test_two_origins_that_are_none_are_not_the_same(own):
    assert not is_allowed(own, own=own)


def test_a_setting_that_is_no_origin_opens_nothing():
    assert not is_allowed("https://evil.example", OWN, ["*", "", "null", "https://"])
