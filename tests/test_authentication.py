"""Who is behind a credential, and when it ends."""

from datetime import timedelta

import pytest
from django.contrib.sessions.models import Session
from django.utils import timezone
from django.utils.crypto import get_random_string

from chat import conf
from chat.authentication import Credentials, by_bearer, by_ticket, holder, identify, issue_ticket
from chat.models import Token
from tests.conftest import token


def who(identity):
    return identity and identity.user


def bearer(secret):
    return by_bearer(f"Bearer {secret}")


@pytest.fixture
def session(client, alice):
    """The key of a session in which alice is logged in."""
    client.force_login(alice)
    return client.session.session_key


@pytest.fixture
def secret(alice):
    """A token of alice's."""
    return token(alice)


def expire(**which):
    Token.objects.filter(**which).update(expires_at=timezone.now() - timedelta(seconds=1))


def change_password(user):
    user.set_password("another")
    user.save()


def leave(user):
    user.is_active = False
    user.save()


# Tokens


def test_a_token_is_its_users(alice, secret):
    assert who(bearer(secret)) == alice


def test_the_scheme_may_be_written_in_any_case(alice, secret):
    assert who(by_bearer(f"bEARER  {secret} ")) == alice


@pytest.mark.parametrize("header", ["", "Bearer", "Bearer ", "Basic {}", "{}", "Bearer x{}"])
def test_anything_else_is_nobodys(secret, header):
    assert by_bearer(header.format(secret)) is None


def test_the_database_does_not_know_the_secret(secret):
    stored = Token.objects.get()
    assert secret not in {str(value) for value in vars(stored).values()}
    assert by_bearer(f"Bearer {stored.digest}") is None


def test_a_token_ends_by_itself(secret):
    expire()
    assert bearer(secret) is None


@pytest.mark.parametrize("end", [change_password, leave, lambda user: user.delete()])
def test_a_token_ends_with_the_password_and_the_account(alice, secret, end):
    end(alice)
    assert bearer(secret) is None


def test_a_token_survives_a_new_secret_key(alice, secret, settings):
    rotate_key(settings)
    assert who(bearer(secret)) == alice


def test_a_token_does_not_survive_a_lost_secret_key(secret, settings):
    settings.SECRET_KEY = get_random_string(50)
    assert bearer(secret) is None


def rotate_key(settings):
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = get_random_string(50)


def test_expired_tokens_are_cleared_away_by_the_next(alice, bob, secret):
    token(bob)
    expire()
    token(alice)
    assert Token.objects.filter(user=alice).count() == 1
    assert Token.objects.filter(user=bob).count() == 1


def test_somebody_who_asks_for_token_after_token_keeps_the_latest(alice, bob, monkeypatch):
    monkeypatch.setitem(conf.TOKENS, "bearer", 3)
    bobs, alices = token(bob), [token(alice) for _ in range(5)]
    assert [bearer(secret) is not None for secret in alices] == [False] * 2 + [True] * 3
    assert bearer(bobs)


# Tickets


def test_somebody_who_asks_for_ticket_after_ticket_keeps_the_latest(secret, monkeypatch):
    monkeypatch.setitem(conf.TOKENS, "ticket", 3)
    tickets = [issue_ticket(bearer(secret)) for _ in range(5)]
    assert [by_ticket(ticket) is not None for ticket in tickets] == [False] * 2 + [True] * 3
    assert bearer(secret)


def test_a_ticket_is_whose_token_it_was_asked_with(alice, secret):
    issuer = bearer(secret)
    assert by_ticket(issue_ticket(issuer)) == issuer


def test_a_ticket_is_whose_session_it_was_asked_with(session):
    issuer = identify(session)
    assert by_ticket(issue_ticket(issuer)) == issuer


def test_a_ticket_is_good_for_once(secret):
    ticket = issue_ticket(bearer(secret))
    assert by_ticket(ticket)
    assert by_ticket(ticket) is None


def test_a_ticket_is_good_for_thirty_seconds(secret):
    ticket = issue_ticket(bearer(secret))
    remaining = Token.objects.get(kind=Token.Kind.TICKET).expires_at - timezone.now()
    assert timedelta(seconds=29) < remaining <= timedelta(seconds=30)
    expire(kind=Token.Kind.TICKET)
    assert by_ticket(ticket) is None


def test_a_ticket_is_no_token_and_a_token_no_ticket(secret):
    ticket = issue_ticket(bearer(secret))
    assert bearer(ticket) is None
    assert by_ticket(secret) is None
    assert bearer(secret)


def test_a_ticket_ends_with_its_token(secret):
    ticket = issue_ticket(bearer(secret))
    Token.objects.filter(kind=Token.Kind.BEARER).delete()
    assert by_ticket(ticket) is None


def test_a_ticket_ends_with_its_session(client, session):
    ticket = issue_ticket(identify(session))
    client.logout()
    assert by_ticket(ticket) is None


def test_a_ticket_ends_with_the_password(alice, secret):
    ticket = issue_ticket(bearer(secret))
    change_password(alice)
    assert by_ticket(ticket) is None


# Sessions


def test_a_session_is_whose_log_in_it_was(session, alice):
    assert who(identify(session)) == alice


@pytest.mark.parametrize("key", ["", "nothing", "x" * 500])
def test_a_key_that_was_never_given_is_nobodys(db, key):
    assert identify(key) is None


def test_a_session_without_log_in_is_nobodys(client, db):
    client.session.save()
    assert Session.objects.exists()
    assert identify(client.session.session_key) is None


def test_a_session_ends_at_log_out(client, session):
    client.logout()
    assert identify(session) is None


def test_a_session_ends_by_itself(session):
    Session.objects.update(expire_date=timezone.now() - timedelta(seconds=1))
    assert identify(session) is None


@pytest.mark.parametrize("end", [change_password, leave, lambda user: user.delete()])
def test_a_session_ends_with_the_password_and_the_account(alice, session, end):
    end(alice)
    assert identify(session) is None


def test_a_session_survives_a_new_secret_key(session, alice, settings):
    rotate_key(settings)
    assert who(identify(session)) == alice


def test_a_session_ends_with_the_backend_that_vouched_for_it(session, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    assert identify(session) is None


# What a client shows


def test_a_bearer_counts_more_than_a_cookie(session, bob):
    shown = Credentials(authorization=f"Bearer {token(bob)}", session_key=session)
    assert who(holder(shown)) == bob


def test_a_bad_bearer_is_not_replaced_by_the_cookie(session):
    assert holder(Credentials(authorization="Bearer made-up", session_key=session)) is None


def test_a_bad_ticket_is_not_replaced_by_the_cookie(session):
    assert holder(Credentials(ticket="made-up", session_key=session)) is None


def test_only_a_cookie_comes_unasked(session):
    assert Credentials(session_key=session).ambient
    assert not Credentials(session_key=session, ticket="t").ambient
    assert not Credentials(session_key=session, authorization="a").ambient
    assert not Credentials().ambient


def test_the_digest_of_a_token_is_no_cookie(secret):
    [digest] = Token.objects.values_list("pk", flat=True)
    assert who(identify(digest)) is not None  # it names the credential within the server
    assert holder(Credentials(session_key=digest)) is None


def test_odd_secrets_are_nobodys(db):
    for odd in ("\0", "ü", "x" * 10_000):
        assert by_ticket(odd) is None
        assert bearer(odd) is None
        assert holder(Credentials(session_key=odd)) is None
