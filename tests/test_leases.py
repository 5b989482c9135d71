"""Leases: a worker's connections count for as long as it renews its own."""

from datetime import timedelta

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from chat import leases
from chat.models import Connection, LastSeen, Lease
from tests.conversation import queries


@pytest.fixture
def people(alice, bob, charlie):
    return [alice, bob, charlie]


def link(person):
    return leases.Link(person.pk)


def connected(*workers):
    """Who is, to each of them."""
    crowds = leases.crowds(workers)
    return [set(crowds[worker].users) for worker in workers]


def grow_old(worker, age=leases.LIFE):
    """Let time pass in which the worker did nothing."""
    Lease.objects.filter(pk=worker).update(renewed_at=Now() - age - timedelta(seconds=1))


def test_whoever_is_connected_to_a_living_worker_is_online(people):
    alice, bob, _charlie = people
    leases.begin("one", {"a": link(alice)})
    leases.begin("two", {"b": link(bob)})
    assert leases.online([p.pk for p in people]) == {alice.pk, bob.pk}
    assert connected("one", "two") == [{alice.pk}, {bob.pk}]


def test_a_lease_that_nobody_renews_runs_out_and_its_people_are_gone(people):
    alice = people[0]
    leases.begin("one", {"a": link(alice)})
    grow_old("one")
    assert leases.versions() == {}
    assert leases.online([alice.pk]) == set()


def test_one_renewal_keeps_all_connections_in_as_many_statements(people):
    leases.begin("few", {"a": link(people[0])})
    leases.begin("many", {f"c{n}": link(people[n % 3]) for n in range(300)})
    few = queries(lambda: leases.renew("few", {}, []))
    assert queries(lambda: leases.renew("many", {}, [])) == few
    grow_old("many")
    assert leases.renew("many", {}, [])
    assert "many" in leases.versions()


def test_the_version_rises_when_connections_change_and_only_then(people):
    alice, bob, _ = people
    leases.begin("one", {"a": link(alice)})
    versions = [leases.versions()["one"]]
    for opened, closed in (({}, []), ({"b": link(bob)}, []), ({}, []), ({}, ["a"])):
        assert leases.renew("one", opened, closed)
        versions.append(leases.versions()["one"])
    assert versions[0] == versions[1] != versions[2] == versions[3] != versions[4]


def test_whoever_begins_anew_is_not_taken_for_who_they_were(people):
    alice, bob, _ = people
    seen = []
    leases.begin("one", {"a": link(alice)})
    seen.append(leases.versions()["one"])
    leases.begin("one", {"a": link(alice), "b": link(bob)})
    seen.append(leases.versions()["one"])
    leases.end("one")
    leases.begin("one", {"b": link(bob)})
    seen.append(leases.versions()["one"])
    assert len(set(seen)) == 3


def test_whoever_begins_anew_holds_what_they_say_and_nothing_else(people):
    """They may have been told nothing of what they had written."""
    alice, bob, _ = people
    leases.begin("one", {"a": link(alice), "b": link(bob)})
    leases.begin("one", {"b": link(bob)})
    assert connected("one") == [{bob.pk}]
    assert alice.pk in leases.last_seen([alice.pk])


def test_whoever_has_two_devices_is_online_until_both_are_gone(people):
    alice = people[0]
    leases.begin("one", {"phone": link(alice)})
    leases.begin("two", {"laptop": link(alice)})
    leases.renew("one", {}, ["phone"])
    assert leases.online([alice.pk]) == {alice.pk}
    leases.renew("two", {}, ["laptop"])
    assert leases.online([alice.pk]) == set()


def test_when_somebody_was_last_seen_is_noted_and_moves_on(people):
    alice = people[0]
    leases.begin("one", {"a": link(alice)})
    assert leases.last_seen([alice.pk]) == {}
    leases.renew("one", {}, ["a"])
    first = leases.last_seen([alice.pk])[alice.pk]
    assert abs(timezone.now() - first) < timedelta(minutes=1)
    LastSeen.objects.update(at=first - timedelta(days=1))
    leases.renew("one", {"b": link(alice)}, [])
    leases.renew("one", {}, ["b"])
    assert leases.last_seen([alice.pk])[alice.pk] >= first


def test_a_lease_that_is_given_back_takes_its_connections_with_it(people):
    alice = people[0]
    leases.begin("one", {"a": link(alice)})
    leases.end("one")
    assert not Lease.objects.exists()
    assert not Connection.objects.exists()
    assert alice.pk in leases.last_seen([alice.pk])


def test_whoever_leaves_is_online_for_the_moment_that_moving_takes(people):
    alice = people[0]
    leases.begin("one", {"a": link(alice)})
    leases.leave("one")
    assert leases.online([alice.pk]) == {alice.pk}
    assert timezone.now() - leases.last_seen([alice.pk])[alice.pk] < timedelta(seconds=5)
    lease = Lease.objects.get(pk="one")
    Lease.objects.update(renewed_at=lease.renewed_at - leases.MOVE)
    assert leases.online([alice.pk]) == set()


def test_what_a_dead_worker_left_is_cleared_up_with_the_time_of_its_last_sign(people):
    alice, bob, _ = people
    leases.begin("dead", {"a": link(alice)})
    leases.begin("alive", {"b": link(bob)})
    grow_old("dead")
    last_sign = Lease.objects.get(pk="dead").renewed_at
    leases.sweep()
    assert list(Lease.objects.values_list("pk", flat=True)) == ["alive"]
    assert leases.last_seen([alice.pk, bob.pk]) == {alice.pk: last_sign}
    assert leases.online([bob.pk]) == {bob.pk}


def test_a_dead_worker_takes_nobody_back_in_time(people):
    alice = people[0]
    leases.begin("dead", {"phone": link(alice)})
    leases.begin("alive", {"laptop": link(alice)})
    leases.renew("alive", {}, ["laptop"])
    seen = leases.last_seen([alice.pk])
    grow_old("dead")
    leases.sweep()
    assert leases.last_seen([alice.pk]) == seen
    assert not Connection.objects.exists()


def test_nothing_is_written_where_nothing_has_to_be_cleared_up(people):
    leases.begin("alive", {"a": link(people[0])})
    assert queries(leases.sweep) == 1


def test_a_worker_that_was_taken_for_dead_begins_anew(people):
    alice, bob, _ = people
    leases.begin("one", {"a": link(alice)})
    grow_old("one")
    leases.sweep()
    assert not leases.renew("one", {"b": link(bob)}, [])
    assert leases.online([alice.pk, bob.pk]) == set()
    leases.begin("one", {"a": link(alice), "b": link(bob)})
    assert leases.online([alice.pk, bob.pk]) == {alice.pk, bob.pk}


def test_whoever_asks_twice_because_no_answer_came_does_no_harm(people):
    alice, bob, _ = people
    for _ in range(2):
        leases.begin("one", {"a": link(alice)})
    for _ in range(2):
        leases.renew("one", {"b": link(bob)}, ["a"])
    assert connected("one") == [{bob.pk}]
    leases.end("one")
    leases.end("one")


def test_somebody_who_was_deleted_meanwhile_stops_nobody(people):
    alice, bob, _ = people
    leases.begin("one", {"a": link(alice), "b": link(bob)})
    key = alice.pk
    alice.delete()
    assert leases.renew("one", {}, ["a"])
    assert leases.last_seen([key]) == {}
    assert leases.online([bob.pk]) == {bob.pk}


def test_whoever_begins_anew_tells_also_how_its_old_connections_are(people):
    alice = people[0]
    leases.begin("one", {"a": link(alice)})
    leases.begin("one", {"a": leases.Link(alice.pk, state="live")})
    assert Connection.objects.get().state == "live"


def test_nobody_was_active_before_they_came(alice):
    """What a worker tells waits for its turn, and its durations grow old meanwhile."""
    leases.begin("one", {"phone": leases.Link(alice.pk, age=0, idle=0)})
    leases.renew("one", {}, [], {"phone": leases.Link(alice.pk, age=0, idle=60)})
    phone = Connection.objects.get()
    assert phone.active_at == phone.since
