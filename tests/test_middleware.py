"""Whatever is wrong with a request or with the database, there is a page that says so."""

from unittest.mock import patch

import pytest
from django.db import (
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    connection,
)
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client

from chat import views
from chat.models import Room
from tests.conftest import PASSWORD
from tests.failures import locked_database, meanwhile

HOME = "/"
NUL_IN_QUOTES = '"a-session-of-mine\\000"'  # as the standard for cookies writes it


@pytest.fixture
def browser(client: Client) -> Client:
    client.raise_request_exception = False
    return client


def answer_of(browser: Client, error: Exception) -> HttpResponse:
    """What a page shows when this happens to it."""

    def fail(request: HttpRequest) -> HttpResponse:
        raise error

    with patch.object(views.LogIn, "dispatch", lambda self, request: fail(request)):
        return browser.get("/login/")


# A database that does not answer


@pytest.mark.parametrize(
    "error",
    [
        OperationalError("database is locked"),
        OperationalError("connection refused"),
        OperationalError("couldn't get a connection after 5.00 sec"),
        InterfaceError("the connection is closed"),
    ],
    ids=str,
)
def test_a_page_whose_database_does_not_answer_says_so_and_when_to_come_back(browser, error):
    response = answer_of(browser, error)
    assert response.status_code == 503
    assert int(response["Retry-After"]) > 0
    assert b"Not available right now" in response.content
    assert str(error).encode() not in response.content


def test_the_log_tells_the_reason_in_one_line(browser, caplog):
    answer_of(browser, OperationalError("database is locked"))
    [told] = [record for record in caplog.records if record.name == "project.middleware"]
    assert told.getMessage() == "The database did not answer /login/: database is locked"
    assert [record for record in caplog.records if record.exc_info] == []


@pytest.mark.parametrize(
    "error", [ProgrammingError("a bug"), IntegrityError("a bug"), ZeroDivisionError("a bug")]
)
def test_a_mistake_of_ours_stays_one(browser, error):
    assert answer_of(browser, error).status_code == 500


@pytest.mark.django_db
def test_a_table_that_is_missing_is_no_outage(browser):
    with pytest.raises(Error) as missing, connection.cursor() as cursor:
        cursor.execute("SELECT * FROM nowhere")
    assert answer_of(browser, missing.value).status_code == 500


@pytest.mark.parametrize("error", [DataError("out of range"), OverflowError("int too large")])
def test_what_no_row_could_hold_is_a_bad_request(browser, error):
    assert answer_of(browser, error).status_code == 400


@pytest.mark.parametrize("page", ["change", "ban", "erase"])
def test_nobody_has_a_key_that_no_row_could_hold(admin_client, page):
    admin_client.raise_request_exception = False
    answer = admin_client.get(f"/admin/chat/access/{9**30}/{page}/")
    assert answer.status_code in (302, 400, 404)


@pytest.mark.django_db(transaction=True)
def test_while_the_database_is_locked_nobody_can_log_in_but_is_told_so(hurried, browser, alice):
    log_in = {"username": "alice", "password": PASSWORD}
    with locked_database():
        assert browser.get("/login/").status_code == 200
        response = browser.post("/login/", log_in)
        assert (response.status_code, "Retry-After" in response) == (503, True)
    assert browser.post("/login/", log_in).status_code == 302
    assert browser.get(HOME).status_code == 200


@pytest.mark.django_db(transaction=True)
async def test_it_is_the_same_when_pages_are_asked_for_asynchronously(alice):
    browser = AsyncClient(raise_request_exception=False)
    await browser.aforce_login(alice)
    with patch.object(views, "display_name", side_effect=OperationalError):
        assert (await browser.get(HOME)).status_code == 503
    assert (await browser.get(HOME)).status_code == 200
    assert await meanwhile(Room.objects.count) == 1


# What makes no sense


@pytest.mark.django_db
@pytest.mark.parametrize(
    "path",
    [
        "/?room=%00",
        "/login/?next=%00",
        "/admin/chat/room/?kind__exact=a%00b",
        "/admin/autocomplete/?term=%00&app_label=chat&model_name=membership&field_name=user",
    ],
)
def test_a_nul_in_a_query_is_refused(browser, admin_user, path):
    browser.force_login(admin_user)
    response = browser.get(path)
    assert response.status_code == 400
    assert b"This makes no sense" in response.content


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/%00", "/r/%00/", "/admin/chat/room/%00/change/"])
def test_where_a_nul_stands_in_the_path_is_nothing(browser, admin_user, path):
    browser.force_login(admin_user)
    response = browser.get(path)
    assert response.status_code == 404
    assert b"There is no such page" in response.content


@pytest.mark.parametrize("debug", [True, False])
def test_our_own_pages_forbid_scripts_of_others_while_developing_too(browser, settings, debug):
    settings.DEBUG = debug
    response = browser.get("/%00")
    assert "default-src 'self'" in response["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/static/chat/", "/static/chat", "/static/", "/static/no.css"])
def test_a_static_file_that_is_not_there_is_nothing_while_developing_too(
    client, settings, caplog, path
):
    settings.DEBUG = True
    assert client.get(path).status_code == 404
    assert [record for record in caplog.records if record.exc_info] == []
    assert client.get("/static/chat/base.css").status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("value", [NUL_IN_QUOTES, "a-session-of-mine\0"])
@pytest.mark.parametrize("name", ["sessionid", "csrftoken"])
def test_a_nul_in_a_cookie_is_refused(browser, name, value):
    response = browser.get(HOME, headers={"cookie": f"{name}={value}"})
    assert response.status_code == 400


@pytest.mark.django_db
@pytest.mark.parametrize("value", ["é" * 20, "\xff" * 20, '"\\355\\240\\200-a-surrogate"'])
def test_any_other_nonsense_in_a_cookie_is_nobodys_session(browser, value):
    response = browser.get(HOME, headers={"cookie": f"sessionid={value}"})
    assert (response.status_code, response["Location"]) == (302, "/login/?next=/")


@pytest.mark.django_db
@pytest.mark.parametrize("text", ["%00", "a%00b", "%ED%A0%80", "%FF"])
@pytest.mark.parametrize("path", ["/login/", "/signup/", "/admin/login/"])
def test_nonsense_in_a_form_is_told_beside_the_field(browser, path, text):
    names = ("username", "password", "password1", "password2")
    form = "&".join(f"{name}={text}" for name in names)
    response = browser.post(path, form, content_type="application/x-www-form-urlencoded")
    assert response.status_code == 200
    assert isinstance(response, TemplateResponse)
    assert response.context_data["form"].errors


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/?room=%00", "/%00", "/login/"])
def test_a_page_of_refusal_is_as_guarded_as_any_other(browser, path):
    response = browser.get(path)
    assert response["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in response["Content-Security-Policy"]
