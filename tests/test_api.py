"""The HTTP API: tokens and tickets, who may ask, and what is refused wherever one asks."""

import json
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
    transaction,
)
from django.test import Client
from django.utils import timezone

from chat import access, api, authentication, control, messaging
from chat.models import Token
from tests.callers import Caller, messages, refusal
from tests.conftest import PASSWORD, token

DEMO = {"username": "alice", "password": PASSWORD}


def ask_for_token(body, content_type="application/json"):
    return Caller().ask("POST", "/api/token", body, content_type=content_type)


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture
def browser(alice):
    """Alice is logged in; the server checks CSRF tokens."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    return client


def csrf_token(browser):
    return browser.get("/").cookies["csrftoken"].value


# Tokens


def test_alice_gets_a_token(alice):
    answer = ask_for_token(DEMO).json()
    assert authentication.by_bearer(f"Bearer {answer['token']}").user == alice
    life = datetime.fromisoformat(answer["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=29) < life <= authentication.TOKEN_LIFE


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer(alice):
    wrong = ask_for_token({**DEMO, "password": "no"})
    nobody = ask_for_token({**DEMO, "username": "nobody"})
    assert refusal(wrong) == refusal(nobody) == (401, "forbidden")
    assert wrong.content == nobody.content


def test_an_unknown_user_takes_as_long_as_a_wrong_password(alice):
    """Hashing is what takes time: it is done for both."""

    def hashed(**wrong):
        with patch.object(
            MD5PasswordHasher, "encode", autospec=True, side_effect=MD5PasswordHasher.encode
        ) as encode:
            ask_for_token({**DEMO, **wrong})
        return encode.call_count

    assert hashed(username="nobody") == hashed(password="no") == 1


def test_whoever_left_gets_no_token(alice):
    alice.is_active = False
    alice.save()
    assert ask_for_token(DEMO).status_code == 401


def test_whoever_is_banned_gets_no_token(alice):
    control.ban(alice, timezone.now() + timedelta(hours=1))
    assert refusal(ask_for_token(DEMO)) == (403, "forbidden")


def test_a_ban_that_is_over_is_forgotten(alice):
    control.ban(alice, timezone.now() - timedelta(seconds=1))
    assert ask_for_token(DEMO).status_code == 200


# Tickets


def test_a_program_gets_a_ticket_for_its_token(alice):
    answer = Caller(token(alice)).post("/api/ticket")
    assert answer["expires_in"] == 30
    assert authentication.by_ticket(answer["ticket"]).user == alice


def test_a_browser_gets_a_ticket_for_its_session(browser, alice):
    response = browser.post("/api/ticket", headers={"X-CSRFToken": csrf_token(browser)})
    assert authentication.by_ticket(response.json()["ticket"]).user == alice


def test_a_ticket_opens_nothing_here(alice):
    ticket = Caller(token(alice)).post("/api/ticket")["ticket"]
    for caller, path in (
        (Caller(ticket), "/api/me"),
        (Caller(), f"/api/me?ticket={ticket}"),
    ):
        assert refusal(caller.ask("GET", path)) == (401, "forbidden")


# Who asks


def test_alice_is_told_who_she_is(alice):
    alice.first_name, alice.last_name = "Alice", "Cooper"
    alice.save()
    assert Caller(token(alice)).get("/api/me") == {"username": "alice", "name": "Alice Cooper"}


def test_a_session_is_as_good_as_a_token(browser):
    assert browser.get("/api/me").json()["username"] == "alice"


def test_a_token_in_the_address_is_not_looked_at(alice):
    path = f"/api/me?token={token(alice)}"
    assert refusal(Caller().ask("GET", path)) == (401, "forbidden")


def test_a_bad_token_does_not_fall_back_to_the_cookie(browser):
    headers = {"X-CSRFToken": csrf_token(browser), **bearer("made-up")}
    assert browser.post("/api/ticket", headers=headers).status_code == 401
    assert browser.get("/api/me", headers=bearer("made-up")).status_code == 401


def test_a_good_token_beside_a_cookie_needs_no_csrf_token(browser, bob):
    response = browser.post("/api/ticket", headers=bearer(token(bob)))
    assert authentication.by_ticket(response.json()["ticket"]).user == bob


MANY_FIELDS = "&".join(f"field{number}=1" for number in range(2_000))
FORM = "application/x-www-form-urlencoded"
FORMS = [
    ("multipart/form-data", "no boundary"),
    ("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name="),
    ("multipart/form-data; boundary=b; charset=nonsense", "--b--"),
    (FORM, MANY_FIELDS),
    (FORM + "; charset=nonsense", "a=1"),
    (FORM, "csrfmiddlewaretoken=%00"),
]


@pytest.mark.parametrize(("kind", "body"), FORMS)
def test_no_form_is_looked_at_not_even_for_the_csrf_token(browser, caplog, kind, body):
    good = {"X-CSRFToken": csrf_token(browser)}
    sent = {"data": body, "content_type": kind}
    assert refusal(browser.generic("POST", "/api/ticket", **sent)) == (403, "forbidden")
    assert browser.generic("POST", "/api/ticket", headers=good, **sent).status_code == 200
    rejected = browser.generic("POST", "/api/direct", headers=good, **sent)
    assert refusal(rejected) == (415, "unsupported_type")
    assert [record for record in caplog.records if record.exc_info] == []


def test_a_csrf_token_is_sent_in_its_header_only(browser):
    form = {"csrfmiddlewaretoken": csrf_token(browser)}
    assert refusal(browser.post("/api/ticket", form)) == (403, "forbidden")


def test_a_digest_is_no_cookie(client, alice):
    token(alice)
    client.cookies["sessionid"] = Token.objects.get().digest
    assert client.get("/api/me").status_code == 401


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Basic YTpi", "Bearer a b", "Bearer ÿ", "Bearer \0"]
)
def test_an_odd_header_is_nobodys(db, header):
    response = Caller().ask("GET", "/api/me", headers={"Authorization": header})
    assert refusal(response) == (401, "forbidden")
    assert response["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("cookie", ["made-up", "a" * 5_000, '"\\000"', "%00", "ÿ"])
def test_an_odd_cookie_is_nobodys(db, cookie):
    response = Caller().ask("GET", "/api/me", headers={"Cookie": f"sessionid={cookie}"})
    assert refusal(response) == (401, "forbidden")


def test_whoever_changes_the_password_ends_the_token(alice):
    caller = Caller(token(alice))
    alice.set_password("another")
    alice.save()
    assert refusal(caller.ask("GET", "/api/me")) == (401, "forbidden")


def test_whoever_is_switched_off_is_nobody(alice):
    caller = Caller(token(alice))
    alice.is_active = False
    alice.save()
    assert refusal(caller.ask("GET", "/api/me")) == (401, "forbidden")


# Bodies, wherever they are sent


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (" ", "bad_json"),
        ("no", "bad_json"),
        ('{"username":', "bad_json"),
        ('{"username": "alice"} {}', "bad_json"),
        (b"\xff\xfe", "bad_json"),
        ('{"username": "alice"}'.encode("utf-16"), "bad_json"),
        (b'\xef\xbb\xbf{"username": "alice", "password": "demo"}', "bad_json"),
        ('{"username": NaN, "password": "x"}', "bad_json"),
        ('{"username": -Infinity, "password": "x"}', "bad_json"),
        ('{"username": %s, "password": "x"}' % ("9" * 5_000), "bad_json"),
        ("[" * 60_000, "bad_json"),
        ('{"a":' * 10_000, "bad_json"),
        (r'{"username": "\ud800", "password": "x"}', "invalid_text"),
        (r'{"username": "alice\u0000", "password": "demo"}', "invalid_text"),
        (r'{"username": "alice\\\u0000", "password": "demo"}', "invalid_text"),
        (r'{"username": "alice", "password": "demo", "more": ["\udfff"]}', "invalid_text"),
        ("", "bad_frame"),
        ("[]", "bad_frame"),
        ("null", "bad_frame"),
        ('"alice"', "bad_frame"),
        ("{}", "bad_frame"),
        ('{"username": "alice"}', "bad_frame"),
        ('{"username": "alice", "password": null}', "bad_frame"),
        ('{"username": "alice", "password": 7}', "bad_frame"),
        ('{"username": "alice", "password": 1e999}', "bad_frame"),
        ('{"username": "alice", "password": true}', "bad_frame"),
        ('{"username": ["alice"], "password": "demo"}', "bad_frame"),
        ('{"username": {"__proto__": {}}, "password": "demo"}', "bad_frame"),
        (json.dumps({"username": "a" * 5_000, "password": "demo"}), "bad_frame"),
    ],
)
def test_a_bad_body_is_told_what_is_wrong(db, body, code):
    assert refusal(ask_for_token(body)) == (400, code)


def test_what_only_looks_like_nul_is_text(alice):
    """A backslash, and six characters behind it."""
    alice.set_password(r"\u0000")
    alice.save()
    assert ask_for_token(r'{"username": "alice", "password": "\\u0000"}').status_code == 200


def test_a_detail_names_the_field(db):
    detail = ask_for_token('{"username": "alice"}').json()["detail"]
    assert detail == "`password`: Field required."


def test_of_a_key_that_comes_twice_the_last_counts(alice):
    body = '{"username": "bob", "username": "alice", "password": "demo"}'
    assert ask_for_token(body).status_code == 200


def test_unknown_keys_are_ignored(alice):
    more = {"\0": "\0", "__proto__": {}, **{str(n): 0 for n in range(5_000)}}
    assert ask_for_token({**more, **DEMO}).status_code == 200


@pytest.mark.parametrize("path", ["/api/token", "/api/ticket", "/api/rooms", "/api/nowhere"])
def test_an_enormous_body_is_refused(alice, path):
    response = Caller(token(alice)).ask("POST", path, " " * 65_537)
    assert refusal(response) == (413, "too_large")


def test_a_body_of_exactly_the_limit_is_read(alice):
    body = json.dumps(DEMO)
    assert ask_for_token(body + " " * (65_536 - len(body))).status_code == 200


def test_of_a_body_that_is_longer_than_it_says_no_more_is_read(rf):
    """Whether its length is too short, or it has none: in chunks."""
    request = rf.generic("POST", "/api/token", b" " * 1_000_000, "application/json")
    request.META["CONTENT_LENGTH"] = ""
    asked = []

    def read(size):
        asked.append(size)
        return b" " * size

    request._stream.read = read
    assert refusal(api.nothing_here(request)) == (413, "too_large")
    assert asked == [65_537]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application"])
def test_a_form_is_not_json(alice, kind):
    assert refusal(ask_for_token(json.dumps(DEMO), kind)) == (415, "unsupported_type")


def test_json_may_name_its_charset(alice):
    kind = "application/json; charset=utf-8"
    assert ask_for_token(json.dumps(DEMO), kind).status_code == 200


# Methods and addresses


ALLOWED = {
    "/api/token": {"POST"},
    "/api/ticket": {"POST"},
    "/api/me": {"GET", "HEAD"},
    "/api/rooms": {"GET", "HEAD", "POST"},
    "/api/direct": {"POST"},
    "/api/rooms/AAAAAAAAAAAAAAAA/messages": {"GET", "HEAD", "POST"},
    "/api/docs": {"GET", "HEAD"},
    "/api/openapi.json": {"GET", "HEAD"},
}


METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "GARDEN"}


@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for path in ALLOWED for method in sorted(METHODS - ALLOWED[path])],
)
def test_another_method_is_refused_and_told_which_there_are(alice, method, path):
    response = Caller(token(alice)).ask(method, path)
    assert refusal(response) == (405, "unsupported_method")
    assert {*response["Allow"].split(", ")} == ALLOWED[path]


def timeless(response):
    """Its headers, without those that tell when it was made."""
    return {name: value for name, value in response.items() if name != "Expires"}


READABLE = sorted(path for path in ALLOWED if "GET" in ALLOWED[path])


@pytest.mark.parametrize("path", [*READABLE, "/api/nowhere"])
def test_what_can_be_read_can_be_looked_at_by_its_headers(alice, path):
    caller = Caller(token(alice))
    read, seen = caller.ask("GET", path), caller.ask("HEAD", path)
    assert (seen.status_code, timeless(seen)) == (read.status_code, timeless(read))
    assert seen.content == b""


def test_who_looks_at_headers_learns_of_no_room_of_others(charlie, kitchen):
    caller = Caller(token(charlie))
    there, nowhere = (caller.ask("HEAD", messages(room)) for room in (kitchen, "AAAAAAAAAAAAAAAA"))
    assert there.status_code == 404
    assert timeless(there) == timeless(nowhere)


def test_who_looks_at_headers_has_to_be_somebody(db):
    assert Caller().ask("HEAD", "/api/me").status_code == 401


@pytest.mark.parametrize("path", sorted({*ALLOWED} - {*READABLE}))
def test_what_can_only_be_done_cannot_be_looked_at(alice, path):
    response = Caller(token(alice)).ask("HEAD", path)
    assert (response.status_code, response["Allow"]) == (405, "POST")


def test_no_header_makes_another_method_of_it(alice):
    response = Caller(token(alice)).ask(
        "GET", "/api/direct", headers={"X-HTTP-Method-Override": "POST"}
    )
    assert refusal(response) == (405, "unsupported_method")


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/api/",
        "/api/nowhere",
        "/api/me/",
        "/api//me",
        "/api/ME",
        "/api/rooms/",
        "/api/rooms/AAAAAAAAAAAAAAAA",
        "/api/rooms//messages",
        "/api/rooms/AAAAAAAAAAAAAAAA/messages/1",
        "/api/rooms/..%2f..%2fadmin/messages",
        "/api/%00",
        "/api/rooms/%00/messages",
        "/api/\N{SNOWMAN}",
        "/api/openapi.json/",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_an_address_where_nothing_is_says_so_in_json(db, settings, path, method):
    settings.DEBUG = True  # Django explains a missing slash by an exception then
    assert refusal(Caller().ask(method, path)) == (404, "not_found")


# When something breaks


@pytest.mark.parametrize("path", ["/api/me", "/api/rooms", messages("AAAAAAAAAAAAAAAA")])
@pytest.mark.parametrize("error", [OperationalError, InterfaceError])
def test_without_a_database_nothing_is_shown_and_one_is_told_when_to_come_back(alice, path, error):
    caller = Caller(token(alice))
    with patch.object(authentication, "holder", side_effect=error("at 10.0.0.7: SELECT secret")):
        response = caller.ask("GET", path)
    assert refusal(response) == (503, "unavailable")
    assert response["Retry-After"] == "1"
    assert b"10.0.0.7" not in response.content
    assert b"SELECT" not in response.content


def test_a_database_that_is_lost_on_the_way_is_told_the_same(alice, kitchen):
    caller = Caller(token(alice))
    with patch.object(messaging, "post", side_effect=OperationalError("gone")):
        assert refusal(caller.say(kitchen, "Hello")) == (503, "unavailable")


def test_a_full_disk_is_told(alice, kitchen):
    caller = Caller(token(alice))
    full = OperationalError("database or disk is full")
    with patch.object(messaging, "post", side_effect=full):
        assert refusal(caller.say(kitchen, "Hello")) == (507, "storage_full")


@pytest.mark.parametrize("debug", [True, False])
def test_a_mistake_of_ours_shows_nothing_of_it_and_is_in_the_log(alice, settings, caplog, debug):
    settings.DEBUG = debug
    with patch.object(access, "standing", side_effect=RuntimeError("the secret")):
        response = Caller(token(alice)).ask("GET", "/api/rooms")
    assert refusal(response) == (500, "internal")
    assert b"secret" not in response.content
    assert "RuntimeError: the secret" in caplog.text


@pytest.mark.parametrize("error", [ProgrammingError, IntegrityError, DataError])
def test_what_our_code_asks_the_database_wrongly_is_no_outage(alice, kitchen, caplog, error):
    """Whoever is told `unavailable` would ask for ever."""
    caller = Caller(token(alice))
    with patch.object(messaging, "post", side_effect=error("the secret")):
        response = caller.say(kitchen, "Hello")
    assert refusal(response) == (500, "internal")
    assert b"secret" not in response.content
    [told] = [record for record in caplog.records if record.exc_info]
    assert (told.name, told.levelname) == ("chat.refusals", "ERROR")
    assert f"{error.__name__}: the secret" in caplog.text


def test_a_table_that_is_missing_is_no_outage(alice, caplog):
    caller = Caller(token(alice))
    with pytest.raises(Error) as missing, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")
    with patch.object(access, "standing", side_effect=missing.value):
        assert refusal(caller.ask("GET", "/api/rooms")) == (500, "internal")
    assert "nowhere" in caplog.text


# What every answer says about itself


@pytest.mark.parametrize("path", [*ALLOWED, "/api/nowhere"])
def test_nobody_keeps_a_copy(alice, path):
    response = Caller(token(alice)).ask("GET", path)
    assert "no-store" in response["Cache-Control"]
    assert {"Authorization", "Cookie"} <= {*response["Vary"].split(", ")}
    assert response["X-Content-Type-Options"] == "nosniff"
