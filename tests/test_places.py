"""For how many connections there is a place, and who takes more than one."""

import resource
from collections.abc import Iterator

import pytest

from project import places
from project.places import FULL, FULL_FOR_YOU, RESERVED, Places, room
from project.proxies import TrustedProxies, networks

ALICE = ("203.0.113.7", 40_000)


def take(places: Places, peer: object, times: int = 1) -> None:
    for _ in range(times):
        assert places.refusal(places.household(peer)) is None
        places.take(places.household(peer))


def give_back(places: Places, peer: object) -> None:
    places.give_back(places.household(peer))


def refusal(places: Places, peer: object) -> bytes | None:
    return places.refusal(places.household(peer))


def test_there_are_so_many_and_each_can_be_taken_again():
    places = Places(most=3)
    take(places, ALICE, times=3)
    assert refusal(places, ALICE) == FULL
    give_back(places, ALICE)
    assert refusal(places, ALICE) is None


def test_one_address_leaves_some_to_the_others():
    places = Places(most=10, most_of_one=3)
    take(places, ALICE, times=3)
    assert refusal(places, ("203.0.113.7", 50_000)) == FULL_FOR_YOU
    assert refusal(places, ("203.0.113.8", 40_000)) is None
    give_back(places, ALICE)
    assert refusal(places, ALICE) is None


def test_who_has_a_whole_network_of_addresses_is_one_all_the_same():
    places = Places(most_of_one=1)
    take(places, ("2001:db8:1:2::1", 1, 0, 0))
    assert refusal(places, ("2001:db8:1:2:ffff::2", 2, 0, 0)) == FULL_FOR_YOU
    assert refusal(places, ("2001:db8:1:3::1", 3, 0, 0)) is None


def test_an_ipv4_address_is_the_same_in_the_clothes_of_ipv6():
    places = Places(most_of_one=1)
    take(places, ALICE)
    assert refusal(places, ("::ffff:203.0.113.7", 1, 0, 0)) == FULL_FOR_YOU


@pytest.mark.parametrize("peer", [("127.0.0.1", 1), ("::1", 1, 0, 0), "", ("10.1.2.3", 1)])
def test_this_machine_and_trusted_proxies_are_not_counted(peer):
    places = Places(most_of_one=1, proxies=TrustedProxies(networks("10.0.0.0/8")))
    take(places, peer, times=100)


def test_no_limit_is_zero():
    take(Places(), ALICE, times=10_000)


def test_nothing_is_remembered_of_who_has_gone():
    places = Places(most_of_one=1)
    take(places, ALICE)
    give_back(places, ALICE)
    assert not places.taken
    assert not places._taken_by


def test_a_flood_is_one_line_in_the_log(caplog):
    places = Places(most=1)
    take(places, ALICE)
    for _ in range(1_000):
        refusal(places, ALICE)
    [line] = caplog.messages
    assert "MAX_CONNECTIONS" in line


# Descriptors


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, int]]]:
    """Of open files: a soft one and a hard one, as this process has them by now."""
    limits = [(256, 1_024)]
    monkeypatch.setattr(places.resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(places.resource, "setrlimit", lambda _, new: limits.append(new))
    return limits


def test_there_is_room_for_as_many_as_there_can_be_descriptors_but_some(limit):
    assert room() == 1_024 - RESERVED
    assert limit[-1] == (1_024, 1_024)


def test_there_is_no_more_room_than_that(limit, caplog):
    assert room(100) == 100
    assert not caplog.messages
    assert room(5_000) == 1_024 - RESERVED
    assert "ulimit" in caplog.text


def test_half_of_few_descriptors_is_for_connections(limit):
    limit.append((64, 64))
    assert room() == 32


def test_a_limit_that_cannot_be_raised_counts_as_it_is(limit, monkeypatch):
    def refuse(*_: object) -> None:
        raise ValueError("not allowed to raise maximum limit")

    monkeypatch.setattr(places.resource, "setrlimit", refuse)
    assert room() == 256 - RESERVED


def test_without_a_limit_there_is_room_for_more_than_come(limit):
    limit.append((256, resource.RLIM_INFINITY))
    assert room() > 100_000
