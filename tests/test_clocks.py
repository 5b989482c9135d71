"""Workers whose clocks differ by an hour agree: what counts is the database's clock."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.models import Session
from django.utils import timezone

from chat import access, control, messaging
from chat.authentication import by_bearer, by_ticket, identify, issue_ticket, issue_token
from chat.errors import Banned, Muted
from chat.models import Membership, Token
from chat.pulse import pulse
from tests.conversation import draft, say, stored

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)

either_way = pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["fast", "slow"])

really_now = timezone.now


@contextmanager
def wrong_clock(by: timedelta) -> Iterator[None]:
    """This worker's clock is fast, or slow."""
    with patch.object(timezone, "now", lambda: really_now() + by):
        yield


def bearer(secret: str) -> AbstractBaseUser | None:
    identity = by_bearer(f"Bearer {secret}")
    return identity and identity.user


def is_about(moment: datetime, expected: datetime) -> bool:
    return abs(moment - expected) < MINUTE


@pytest.fixture
def session(client, alice):
    """The key of alice's session."""
    client.force_login(alice)
    return client.session.session_key


@either_way
def test_a_ticket_of_a_worker_whose_clock_is_wrong_is_taken_by_the_others(session, by):
    with wrong_clock(by):
        ticket = issue_ticket(identify(session))
    assert by_ticket(ticket) == identify(session)


@either_way
def test_a_ticket_is_taken_by_a_worker_whose_clock_is_wrong(session, by):
    ticket = issue_ticket(identify(session))
    with wrong_clock(by):
        assert by_ticket(ticket) == identify(session)


@either_way
def test_a_ticket_lives_for_half_a_minute_whatever_clock_it_was_made_by(session, by):
    with wrong_clock(by):
        issue_ticket(identify(session))
    assert is_about(Token.objects.get().expires_at, really_now() + MINUTE / 2)


def test_a_ticket_whose_time_is_over_is_worth_nothing_to_a_slow_clock_either(session):
    ticket = issue_ticket(identify(session))
    Token.objects.update(expires_at=really_now() - MINUTE)
    with wrong_clock(-HOUR):
        assert by_ticket(ticket) is None


@either_way
def test_a_token_ends_at_the_same_moment_whatever_clock_it_was_made_by(alice, by):
    with wrong_clock(by):
        secret, told = issue_token(alice)
    assert is_about(told, really_now() + timedelta(days=30))
    assert Token.objects.get().expires_at == told
    assert bearer(secret) == alice


def test_a_token_is_good_to_the_last_for_a_fast_clock(alice):
    secret, _ = issue_token(alice)
    Token.objects.update(expires_at=really_now() + MINUTE)
    with wrong_clock(HOUR):
        assert bearer(secret) == alice
        issue_token(alice)  # which clears away those that are over
    assert bearer(secret) == alice


def test_a_token_whose_time_is_over_is_over_for_a_slow_clock(alice):
    secret, _ = issue_token(alice)
    Token.objects.update(expires_at=really_now() - MINUTE)
    with wrong_clock(-HOUR):
        assert bearer(secret) is None


def test_a_session_is_good_to_the_last_for_a_fast_clock(alice, session):
    Session.objects.update(expire_date=really_now() + MINUTE)
    with wrong_clock(HOUR):
        assert identify(session).user == alice


def test_a_session_whose_time_is_over_is_over_for_a_slow_clock(session):
    Session.objects.update(expire_date=really_now() - MINUTE)
    with wrong_clock(-HOUR):
        assert identify(session) is None


@either_way
def test_the_check_agrees_with_the_door(alice, session, by):
    issue_token(alice)
    digest = Token.objects.get().pk
    credentials = {session, digest}
    with wrong_clock(by):
        assert pulse([], [], credentials).credentials == credentials
        for ends, left in ((-MINUTE, set()), (MINUTE, credentials)):
            Session.objects.update(expire_date=really_now() + ends)
            Token.objects.update(expires_at=really_now() + ends)
            assert pulse([], [], credentials).credentials == left


@either_way
def test_a_ban_is_over_for_all_at_the_same_moment(alice, kitchen, by):
    with wrong_clock(by):
        control.ban(alice, really_now() + MINUTE)
        assert access.standing(alice.pk).banned
        [refused] = messaging.post([draft(alice, kitchen)])
        assert isinstance(refused, Banned)
        control.ban(alice, really_now() - MINUTE)
        assert not access.standing(alice.pk).banned
        assert say(alice, kitchen, "I am back")


@either_way
def test_a_mute_is_over_for_all_at_the_same_moment(alice, kitchen, by):
    seats = Membership.objects.filter(user=alice, room=kitchen)
    with wrong_clock(by):
        seats.update(muted_until=really_now() + MINUTE)
        [refused] = messaging.post([draft(alice, kitchen)])
        assert isinstance(refused, Muted)
        assert 0 < refused.retry_after_ms <= 60_000
        seats.update(muted_until=really_now() - MINUTE)
        assert say(alice, kitchen, "I am back")


def test_what_is_said_by_fast_and_slow_workers_keeps_its_order_and_its_time(alice, bob, kitchen):
    for n, by in enumerate((HOUR, -HOUR, timedelta(0), HOUR), 1):
        with wrong_clock(by):
            say(alice, kitchen, str(n))
            messaging.edit(alice, kitchen.pk, n, f"{n}!")
    messages = stored(kitchen)
    assert [message.body for message in messages] == ["1!", "2!", "3!", "4!"]
    assert [message.rev for message in messages] == [2, 4, 6, 8]
    times = [message.created_at for message in messages]
    assert times == sorted(times)
    assert all(is_about(time, really_now()) for time in times)
    assert all(is_about(message.edited_at, really_now()) for message in messages)
