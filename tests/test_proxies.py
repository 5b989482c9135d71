"""Who is believed about a client, and what."""

import pytest

from project.proxies import TrustedProxies, networks, parsed

OURS = TrustedProxies(networks("10.0.0.0/8, ::1,192.0.2.7"))


def forwarded(*lines):
    return [(b"x-forwarded-for", line.encode()) for line in lines]


@pytest.mark.parametrize(
    "peer", [["10.1.2.3", 80], ["::1", 80], ["192.0.2.7", 1], ["::ffff:10.0.0.1", 1], None]
)
def test_our_own_proxies_are_trusted_and_whoever_comes_by_a_unix_socket(peer):
    assert OURS.trust(peer)


@pytest.mark.parametrize("peer", [["11.0.0.1", 80], ["192.0.2.8", 1], ["fe80::1", 1], ["", 0]])
def test_others_are_not(peer):
    assert not OURS.trust(peer)


@pytest.mark.parametrize(
    ("lines", "client"),
    [
        ([], None),
        (["203.0.113.7"], "203.0.113.7"),
        (["198.51.100.66, 203.0.113.7"], "203.0.113.7"),
        (["198.51.100.66", "203.0.113.7"], "203.0.113.7"),
        (["203.0.113.7, 10.1.1.1, 10.2.2.2"], "203.0.113.7"),
        (["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        (["203.0.113.7:4711"], "203.0.113.7"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["fe80::1%\x1b[31m made up"], "fe80::1"),
        (["203.0.113.7, unknown"], None),
        (["<script>, 10.1.1.1"], "10.1.1.1"),
    ],
)
def test_the_client_is_whom_the_first_of_our_proxies_saw(lines, client):
    assert OURS.client(forwarded(*lines)) == client


def test_another_header_may_name_the_client():
    proxies = TrustedProxies(OURS.networks, address_header="X-Real-IP")
    assert proxies.client([(b"x-real-ip", b"203.0.113.7")]) == "203.0.113.7"


def test_the_last_word_about_the_scheme_counts():
    headers = [(b"x-forwarded-proto", b"http"), (b"x-forwarded-proto", b"http, HTTPS")]
    assert OURS.scheme(headers) == "https"
    assert OURS.scheme([]) is None


@pytest.mark.parametrize("text", ["here", "10.0.0.0/33", "1.2.3"])
def test_what_is_no_network_is_refused(text):
    with pytest.raises(ValueError, match="does not appear to be"):
        networks(text)


@pytest.mark.parametrize("text", ["", "unknown", "1.2.3.4.5", "[::1.]", "::1]", "a:b"])
def test_what_is_no_address_is_none(text):
    assert parsed(text) is None
