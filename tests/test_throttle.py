"""Whoever guesses passwords, makes accounts or asks without end has to wait."""

import json
from unittest.mock import patch

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import MD5PasswordHasher
from django.core.exceptions import PermissionDenied

from chat import allowances, limits
from chat.allowances import Visitor
from chat.throttle import Throttle
from tests.callers import Caller, refusal
from tests.conftest import PASSWORD, token

HERE, THERE = "192.0.2.1", "198.51.100.7"
GUESSES = 20  # at once, of one name at one address


@pytest.fixture(autouse=True)
def staff(alice):
    alice.is_staff = alice.is_superuser = True
    alice.save()


def form(client, **fields):
    return client.post("/login/", **fields)


def panel(client, **fields):
    return client.post("/admin/login/?next=/admin/", **fields)


def api(client, *, data, **headers):
    return client.post("/api/token", json.dumps(data), content_type="application/json", **headers)


class Clock:
    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture(autouse=True)
def clock(rested, monkeypatch):
    """It stands still: a busy machine must not give anybody time to be forgiven."""
    clock = Clock()
    monkeypatch.setattr(limits, "HERE", limits.Limits(clock=clock))
    return clock


@pytest.fixture(params=[form, panel, api])
def door(request):
    return request.param


@pytest.fixture
def knock(client):
    """Try to log in at an address."""

    def knock(name, password="wrong", address=HERE, door=form, **headers):
        data = {"username": name, "password": password}
        response = door(client, data=data, REMOTE_ADDR=address, **headers)
        client.logout()
        return response

    return knock


def has_guessed(name, address=HERE, times=GUESSES):
    """As somebody has who knocked so often, which would take its time."""
    shares = allowances.wrong_passwords(name, Visitor(None, address))
    for _ in range(times):
        limits.HERE.spend(*shares)


def told(response):
    if response.get("Content-Type") == "application/json":
        body = response.json()
        return response.status_code, body["code"], body["detail"]
    return response.status_code, response.context["form"].non_field_errors()


def is_in(response):
    return response.status_code in (200, 302) and b"errorlist" not in response.content


# Log-in


@pytest.mark.parametrize("name", ["alice", "nobody"])
def test_after_some_guesses_even_the_right_one_has_to_wait(knock, door, name):
    answers = [knock(name, door=door).status_code for _ in range(GUESSES)]
    assert 429 not in answers
    refused = knock(name, PASSWORD, door=door)
    assert refused.status_code == 429
    assert refused["Retry-After"] in ("60", "61")


def test_the_answers_do_not_tell_who_exists(knock, door):
    def answers(name):
        before = knock(name, door=door)
        has_guessed(name)
        return told(before), told(knock(name, door=door))

    assert answers("alice") == answers("nobody")


def test_whoever_waits_may_go_on(knock, clock):
    has_guessed("alice")
    clock.now += 60
    assert is_in(knock("alice", PASSWORD))


def test_nobody_hashes_the_password_of_whoever_has_to_wait(knock, door):
    has_guessed("alice")
    with patch.object(MD5PasswordHasher, "encode", side_effect=AssertionError):
        assert knock("alice", door=door).status_code == 429
        assert knock("alice", PASSWORD, door=door).status_code == 429


def test_whoever_makes_all_guesses_at_once_has_no_more_of_them(rf):
    def begin():
        Throttle().authenticate(rf.post("/", REMOTE_ADDR=HERE), username="alice", password="wrong")

    for _ in range(GUESSES):
        begin()  # and nobody knows yet how it ends
    with pytest.raises(PermissionDenied):
        begin()


def test_who_knows_the_password_never_waits(knock, door):
    assert all(is_in(knock("alice", PASSWORD, door=door)) for _ in range(GUESSES + 1))


def test_what_fails_counts_once(knock, door):
    knock("alice", door=door)
    has_guessed("alice", times=GUESSES - 2)
    assert is_in(knock("alice", PASSWORD, door=door))
    knock("alice", door=door)
    assert knock("alice", PASSWORD, door=door).status_code == 429


def test_to_know_one_password_does_not_help_to_guess_another(knock, bob):
    has_guessed("bob")
    knock("alice", PASSWORD)
    assert knock("bob").status_code == 429


def test_who_guesses_holds_up_nobody_at_another_address(knock):
    has_guessed("alice")
    assert is_in(knock("alice", PASSWORD, THERE))


def test_who_guesses_for_hours_holds_up_nobody_at_another_address(knock, clock):
    for _ in range(6 * 60):
        clock.now += 60
        while not limits.HERE.wait(*allowances.wrong_passwords("alice", Visitor(None, HERE))):
            has_guessed("alice", times=1)
    assert is_in(knock("alice", PASSWORD, THERE))


def test_who_guesses_holds_up_nobody_else_at_their_own_address(knock, bob):
    has_guessed("bob")
    assert is_in(knock("alice", PASSWORD))


@pytest.mark.parametrize("other", ["ALICE", " alice", "\uff41lice"])
def test_a_name_written_in_another_way_is_the_same(knock, other):
    has_guessed("alice")
    assert knock(other).status_code == 429


def test_made_up_headers_do_not_help(knock):
    has_guessed("alice", times=GUESSES - 1)
    made_up = {"HTTP_X_FORWARDED_FOR": "203.0.113.1", "HTTP_X_REAL_IP": "203.0.113.1"}
    assert knock("alice", **made_up).status_code == 200
    assert knock("alice", HTTP_X_FORWARDED_FOR="203.0.113.99").status_code == 429


def test_all_addresses_of_one_ipv6_customer_are_one(knock):
    has_guessed("alice", "2001:db8::/64", times=GUESSES - 1)
    assert knock("alice", address="2001:db8::1").status_code == 200
    assert knock("alice", address="2001:db8::ffff").status_code == 429
    assert knock("alice", address="2001:db8:0:1::1").status_code == 200


def test_who_guesses_from_everywhere_has_to_wait_too(knock):
    for n in range(100):
        has_guessed("nobody", f"192.0.2.{n}", times=1)
    refused = knock("nobody", address=THERE)
    assert (refused.status_code, refused["Retry-After"]) == (429, "36")


def test_who_tries_one_password_on_everybody_has_to_wait_too(knock, settings):
    settings.CHAT_PEOPLE_PER_ADDRESS = 2
    for n in range(2 * GUESSES):
        has_guessed(f"guest{n}", times=1)
    assert knock("nobody").status_code == 429
    assert knock("nobody", address=THERE).status_code == 200


def test_on_this_machine_only_names_count(knock):
    has_guessed("nobody", None, times=99)
    for status in (200, 429):
        assert knock("nobody", address="127.0.0.1").status_code == status
    assert knock("other", address="127.0.0.1").status_code == 200


def test_all_doors_count_together(client):
    data = {"username": "alice", "password": "wrong"}
    has_guessed("alice", times=GUESSES - 2)
    form(client, data=data, REMOTE_ADDR=HERE)
    api(client, data=data, REMOTE_ADDR=HERE)
    assert panel(client, data=data, REMOTE_ADDR=HERE).status_code == 429


def test_without_the_throttle_everything_is_as_ever(client, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.ModelBackend"]
    data = {"username": "alice", "password": "wrong"}
    has_guessed("alice")
    assert form(client, data=data, REMOTE_ADDR=HERE).status_code == 200
    data["password"] = PASSWORD
    assert form(client, data=data, REMOTE_ADDR=HERE).status_code == 302


def test_a_command_that_asks_for_a_password_is_not_throttled(client):
    assert not any(client.login(username="alice", password="wrong") for _ in range(GUESSES + 1))
    assert client.login(username="alice", password=PASSWORD)


# Sign-up


def sign_up(client, n, address=HERE):
    password = f"tide-and-pebble-{n}"
    fields = {"username": f"guest{n}", "password1": password, "password2": password}
    response = client.post("/signup/", fields, REMOTE_ADDR=address)
    client.logout()
    return response


def test_of_one_address_come_only_so_many_accounts(client):
    assert [sign_up(client, n).status_code for n in range(21)] == [302] * 20 + [429]
    refused = sign_up(client, 21)
    assert refused["Retry-After"] == "180"
    assert "3 minutes" in str(refused.context["form"].non_field_errors())
    assert get_user_model().objects.count() == 21
    assert sign_up(client, 22, THERE).status_code == 302


def test_a_form_that_was_filled_in_wrongly_costs_nothing(client):
    fields = {"username": "dora", "password1": "1", "password2": "2"}
    for _ in range(30):
        assert client.post("/signup/", fields, REMOTE_ADDR=HERE).status_code == 200
    assert sign_up(client, 1).status_code == 302


# The API


def test_who_asks_too_often_has_to_wait(alice, bob, settings):
    settings.CHAT_POST_RATE = 1  # a hundred requests at once
    as_alice, as_bob = Caller(token(alice)), Caller(token(bob))
    answers = [as_alice.ask("GET", "/api/me") for _ in range(110)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert len(answers) - len(refused) == 100
    assert {refusal(answer) for answer in refused} == {(429, "rate_limited")}
    assert as_bob.ask("GET", "/api/me").status_code == 200


def test_strangers_at_one_address_have_to_wait_before_anybody_looks_who_they_are(
    settings, django_assert_num_queries
):
    settings.CHAT_POST_RATE, settings.CHAT_PEOPLE_PER_ADDRESS = 0.1, 1
    for _ in range(110):
        answer = Caller("made up").ask("GET", "/api/me", REMOTE_ADDR=HERE)
    assert refusal(answer) == (429, "rate_limited")
    with django_assert_num_queries(0):
        Caller("made up").ask("GET", "/api/me", REMOTE_ADDR=HERE)
    assert Caller("made up").ask("GET", "/api/me", REMOTE_ADDR=THERE).status_code == 401


def test_a_rate_of_zero_lets_programs_ask_without_end(alice, settings):
    settings.CHAT_POST_RATE = 0
    as_alice = Caller(token(alice))
    assert {as_alice.ask("GET", "/api/me").status_code for _ in range(110)} == {200}


# Where it is counted


def test_a_request_is_counted_where_the_connections_of_its_worker_are(rf, alice):
    class Worker:
        limits = limits.Limits()

    request = rf.get("/")
    request.scope = {"worker": Worker}
    assert limits.of(request) is Worker.limits
    request.scope = {"worker": None}
    assert limits.of(request) is limits.of(rf.get("/")) is limits.HERE
    assert allowances.visitor(request, alice).user_key == str(alice.pk)
