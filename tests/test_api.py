"""Tokens and tickets over HTTP."""

import json
from datetime import UTC, datetime, timedelta
from time import perf_counter

import pytest
from django.test import Client
from django.utils import timezone

from chat import authentication, rooms
from chat.models import Token
from tests.conftest import PASSWORD, token

DEMO = {"username": "alice", "password": PASSWORD}


def ask_for_token(client, body, content_type="application/json"):
    return client.post("/api/token", body, content_type=content_type)


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def browser(alice):
    """Alice is logged in; the server checks CSRF tokens."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    return client


# Tokens


def test_alice_gets_a_token(client, alice):
    answer = ask_for_token(client, DEMO).json()
    assert authentication.by_bearer(f"Bearer {answer['token']}").user == alice
    life = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < life <= authentication.TOKEN_LIFE


def test_no_csrf_token_is_asked_for(alice):
    assert ask_for_token(Client(enforce_csrf_checks=True), DEMO).status_code == 200


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(client, alice):
    wrong = ask_for_token(client, {**DEMO, "password": "no"})
    nobody = ask_for_token(client, {**DEMO, "username": "nobody"})
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.content == nobody.content


def test_an_unknown_user_takes_as_long_as_a_wrong_password(client, alice, settings):
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    alice.set_password(PASSWORD)
    alice.save()

    def seconds(**wrong):
        start = perf_counter()
        ask_for_token(client, {**DEMO, **wrong})
        return perf_counter() - start

    assert seconds(username="nobody") > seconds(password="no") / 2


def test_whoever_left_gets_no_token(client, alice):
    alice.is_active = False
    alice.save()
    assert ask_for_token(client, DEMO).status_code == 401


def test_whoever_is_banned_gets_no_token(client, alice):
    rooms.ban(alice, timezone.now() + timedelta(hours=1))
    response = ask_for_token(client, DEMO)
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_a_ban_that_is_over_is_forgotten(client, alice):
    rooms.ban(alice, timezone.now() - timedelta(seconds=1))
    assert ask_for_token(client, DEMO).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (" ", "bad_json"),
        ("no", "bad_json"),
        ('{"username":', "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (r'{"username": "\ud800", "password": "x"}', "bad_json"),
        ('{"a":' * 100_000, "bad_json"),
        ("[]", "bad_frame"),
        ("null", "bad_frame"),
        ("{}", "bad_frame"),
        ('{"username": "alice"}', "bad_frame"),
        ('{"username": "alice", "password": 7}', "bad_frame"),
        ('{"username": ["alice"], "password": "demo"}', "bad_frame"),
        (r'{"username": "alice\u0000", "password": "demo"}', "bad_frame"),
        (json.dumps({"username": "a" * 5_000, "password": "demo"}), "bad_frame"),
    ],
)
def test_a_bad_body_is_told_what_is_wrong(client, db, body, code):
    response = ask_for_token(client, body)
    assert (response.status_code, response.json()["code"]) == (400, code)
    assert response.json()["detail"]


def test_an_enormous_body_is_refused(client, db, settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    response = ask_for_token(client, {**DEMO, "more": "x" * 100})
    assert (response.status_code, response.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application"])
def test_a_form_is_not_json(client, alice, kind):
    assert ask_for_token(client, json.dumps(DEMO), kind).status_code == 415


def test_json_may_name_its_charset(client, alice):
    kind = "application/json; charset=utf-8"
    assert ask_for_token(client, json.dumps(DEMO), kind).status_code == 200


@pytest.mark.parametrize("path", ["/api/token", "/api/ticket"])
def test_there_is_nothing_to_get(client, db, path):
    response = client.get(path)
    assert (response.status_code, response["Allow"]) == (405, "POST")


def test_nobody_keeps_a_copy_of_a_token(client, alice):
    assert "no-store" in ask_for_token(client, DEMO)["Cache-Control"]


# Tickets


def test_a_program_gets_a_ticket_for_its_token(alice):
    response = Client(enforce_csrf_checks=True).post("/api/ticket", headers=bearer(token(alice)))
    answer = response.json()
    assert answer["expires_in"] == 30
    assert authentication.by_ticket(answer["ticket"]).user == alice


def test_a_browser_gets_a_ticket_for_its_session(browser, alice):
    secret = browser.get("/").cookies["csrftoken"].value
    response = browser.post("/api/ticket", headers={"X-CSRFToken": secret})
    assert authentication.by_ticket(response.json()["ticket"]).user == alice


def test_a_foreign_page_gets_no_ticket_for_a_cookie(browser):
    response = browser.post("/api/ticket")
    assert (response.status_code, response.json()["code"]) == (403, "forbidden")


def test_another_origin_gets_no_ticket_for_a_cookie(browser):
    secret = browser.get("/").cookies["csrftoken"].value
    headers = {"X-CSRFToken": secret, "Origin": "https://evil.example"}
    assert browser.post("/api/ticket", headers=headers).status_code == 403


def test_a_bad_token_does_not_fall_back_to_the_cookie(browser):
    secret = browser.get("/").cookies["csrftoken"].value
    headers = {"X-CSRFToken": secret, **bearer("made-up")}
    assert browser.post("/api/ticket", headers=headers).status_code == 401


def test_a_digest_is_no_cookie(client, alice):
    token(alice)
    client.cookies["sessionid"] = Token.objects.get().digest
    assert client.post("/api/ticket").status_code == 401


def test_a_stranger_gets_no_ticket(client, db):
    assert client.post("/api/ticket").status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer ÿ"]
)
def test_an_odd_header_is_nobodys(client, db, header):
    assert client.post("/api/ticket", headers={"Authorization": header}).status_code == 401


def test_whoever_is_banned_gets_no_ticket(client, alice):
    secret = token(alice)
    rooms.ban(alice, timezone.now() + timedelta(hours=1))
    assert client.post("/api/ticket", headers=bearer(secret)).status_code == 403


# Health


def test_the_process_says_that_it_lives_without_a_database(client):
    response = client.get("/healthz")
    assert (response.status_code, response.content) == (200, b"ok")
