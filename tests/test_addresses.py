"""Addresses of clients: what counts as one of them."""

import pytest

from chat.addresses import household


def test_an_ipv4_address_counts_alone():
    assert household("203.0.113.7") == "203.0.113.7" != household("203.0.113.8")


def test_all_ipv6_addresses_of_one_customer_count_as_one():
    assert household("2001:db8:1:2:aaaa::1") == household("2001:db8:1:2:bbbb::2")
    assert household("2001:db8:1:2::1") != household("2001:db8:1:3::1")


def test_one_address_written_in_two_ways_is_one():
    assert household("::ffff:203.0.113.7") == household("203.0.113.7")
    assert household("2001:DB8:0::1") == household("2001:db8::1")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_this_machine_is_not_limited_by_address(address):
    assert household(address) is None


@pytest.mark.parametrize("address", ["", "unknown", "/run/roost.socket", "203.0.113.7:80"])
def test_neither_is_whoever_has_none(address):
    assert household(address) is None
