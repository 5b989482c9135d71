"""The pages, as a browser without JavaScript sees them."""

import json
import re

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from pytest_django.asserts import assertContains, assertRedirects, assertTemplateUsed

from chat import people, rooms
from chat.models import Membership, Room
from tests.conftest import PASSWORD

HOME = "/"
FIELDS = ("username", "password")
NEWCOMER = {"username": "dora", "password1": "tide-and-pebble", "password2": "tide-and-pebble"}


def config(response):
    """What the page tells its scripts."""
    found = re.search(
        rb'<script id="config" type="application/json">(.*?)</script>', response.content
    )
    return json.loads(found[1])


def log_in(client, password=PASSWORD, **query):
    url = reverse("login", query=query or None)
    return client.post(url, {"username": "alice", "password": password})


# The chat


def test_the_page_tells_its_scripts_who_is_there(as_alice):
    assert config(as_alice.get(HOME)) == {
        "username": "alice",
        "name": "alice",
        "room": None,
        "seq": None,
        "ws_path": "/ws/",
        "login_url": "/login/",
        "logout_url": "/logout/",
        "preferences": {
            "theme": "",
            "language": "",
            "enter_sends": True,
            "hide_receipts": False,
            "hide_typing": False,
            "hide_presence": False,
        },
        "remembered": {"theme": "", "language": ""},
    }


def test_the_name_is_the_full_name_where_there_is_one(as_alice, alice):
    alice.first_name, alice.last_name = "Alice", "Adams"
    alice.save()
    assert config(as_alice.get(HOME))["name"] == "Alice Adams"


def test_a_name_cannot_break_out_of_the_page(as_alice, alice):
    alice.first_name = "</script><script>alert(1)"
    alice.save()
    response = as_alice.get(HOME)
    assert b"<script>alert" not in response.content
    assert config(response)["name"] == alice.first_name


def test_a_room_has_an_address(as_alice, kitchen):
    assert config(as_alice.get(f"/r/{kitchen.pk}/"))["room"] == kitchen.pk


def test_a_message_has_an_address(as_alice, kitchen):
    page = config(as_alice.get(f"/r/{kitchen.pk}/m/7/"))
    assert (page["room"], page["seq"]) == (kitchen.pk, 7)


def test_a_room_of_others_looks_like_none(as_charlie, kitchen):
    theirs, none = as_charlie.get(f"/r/{kitchen.pk}/"), as_charlie.get("/r/nowhere/")
    assert theirs.status_code == none.status_code == 404
    assert theirs.content == none.content


@pytest.mark.parametrize("place", ["%00", "a%0Ab", "ü", "a b", "%ED%A0%80"])
def test_an_address_that_no_room_can_have_is_not_found(as_alice, place):
    assert as_alice.get(f"/r/{place}/").status_code == 404


def test_whoever_was_removed_does_not_find_the_room(as_alice, alice, bob, kitchen):
    rooms.dismiss(alice, kitchen.pk)
    assert as_alice.get(f"/r/{kitchen.pk}/").status_code == 404


@pytest.mark.parametrize("path", ["/", "/r/abc/", "/r/abc/m/7/"])
def test_a_stranger_is_sent_to_log_in_and_back(client, db, path):
    assertRedirects(client.get(path), f"/login/?next={path}")


def test_nobody_keeps_a_copy_of_a_private_page(as_alice, kitchen):
    for path in (HOME, f"/r/{kitchen.pk}/", "/admin/login/"):
        assert {"no-store", "private"} <= cache_control(as_alice.get(path))


def cache_control(response):
    return set(response["Cache-Control"].split(", "))


def test_pages_run_no_inline_scripts(as_alice):
    policy = as_alice.get(HOME)["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe-inline" not in policy


# Log-in


def test_alice_logs_in(client, alice):
    assertRedirects(log_in(client), HOME)


def test_alice_comes_back_to_where_she_was(client, alice, kitchen):
    assertRedirects(log_in(client, next=f"/r/{kitchen.pk}/"), f"/r/{kitchen.pk}/")


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:1"])
def test_a_log_in_leads_nowhere_else(client, alice, elsewhere):
    assertRedirects(log_in(client, next=elsewhere), HOME)


def test_a_wrong_password_is_told_but_not_which_part_was_wrong(client, alice):
    wrong = client.post("/login/", {"username": "alice", "password": "no"})
    nobody = client.post("/login/", {"username": "nobody", "password": "no"})
    assert wrong.context["form"].non_field_errors() == nobody.context["form"].non_field_errors()


def test_whoever_mistyped_a_password_types_it_again(client, alice):
    page = log_in(client, password="no").content.decode()
    name, password = (re.search(f'<input[^>]*name="{f}"[^>]*>', page)[0] for f in FIELDS)
    assert 'value="alice"' in name
    assert "autofocus" not in name
    assert "autofocus" in password
    assert 'aria-describedby="form-error"' in password
    assert "value=" not in password
    assert "<title>Error: " in page


def test_whoever_forgot_the_name_begins_there(client, alice):
    page = client.post("/login/", {"username": "", "password": PASSWORD}).content.decode()
    assert "autofocus" in re.search('<input[^>]*name="username"[^>]*>', page)[0]


def test_whoever_is_logged_in_need_not_log_in(as_alice):
    assertRedirects(as_alice.get("/login/"), HOME)
    assertRedirects(as_alice.get("/signup/"), HOME)


@pytest.mark.parametrize("page", ["/login/", "/signup/"])
def test_the_way_on_is_not_the_way_back(as_alice, page):
    assertRedirects(as_alice.get(page, {"next": page}), HOME)


# Log-out


def test_alice_logs_out(as_alice):
    assertRedirects(as_alice.post("/logout/"), "/login/")
    assertRedirects(as_alice.get(HOME), "/login/?next=/")


def test_a_link_logs_nobody_out(as_alice):
    assert as_alice.get("/logout/").status_code == 405
    assert as_alice.get(HOME).status_code == 200


# Sign-up


def test_a_newcomer_signs_up_and_is_in(client, db):
    assertRedirects(client.post("/signup/", NEWCOMER), HOME)
    assert config(client.get(HOME))["username"] == "dora"
    assert Membership.objects.get(user__username="dora").room.kind == Room.Kind.EVERYONE


def test_a_newcomer_comes_to_where_the_link_led(client, db, lobby):
    room = f"/r/{lobby.pk}/"
    assertRedirects(client.post(reverse("signup", query={"next": room}), NEWCOMER), room)


def test_log_in_and_sign_up_lead_to_each_other_and_on(client, db):
    for page, other in (("/login/", "/signup/"), ("/signup/", "/login/")):
        assertContains(client.get(page, {"next": "/r/a/"}), f'href="{other}?next=/r/a/"')


def test_a_name_is_taken_in_any_case(client, alice):
    response = client.post("/signup/", {**NEWCOMER, "username": "Alice"})
    assert "username" in response.context["form"].errors


def test_names_that_look_the_same_are_the_same(client, alice):
    response = client.post("/signup/", {**NEWCOMER, "username": "ａｌｉｃｅ"})
    assert "username" in response.context["form"].errors


def test_a_weak_password_is_refused_with_a_reason(client, db):
    weak = {**NEWCOMER, "password1": "12345678", "password2": "12345678"}
    assert client.post("/signup/", weak).context["form"].errors
    assert not get_user_model().objects.exists()


def test_sign_up_can_be_closed(client, db, settings):
    settings.CHAT_OPEN_SIGNUP = False
    assert client.get("/signup/").status_code == 404
    assert client.post("/signup/", NEWCOMER).status_code == 404
    assert b"/signup/" not in client.get("/login/").content


def test_a_new_account_may_have_to_wait_for_its_backend(client, db, settings):
    settings.AUTHENTICATION_BACKENDS = ["tests.test_views.NobodyYet"]
    assertRedirects(client.post("/signup/", NEWCOMER), "/login/")


class NobodyYet:
    def authenticate(self, request, **credentials):
        return None

    def get_user(self, key):
        return None


def test_fields_help_those_who_fill_them_in(client, db):
    page = client.get("/signup/").content.decode()
    assert re.search(r'name="username"[^>]*autofocus', page)
    assert re.search(r'name="username"[^>]*autocomplete="username"', page)
    assert len(re.findall(r'autocomplete="new-password"', page)) == 2
    assert page.count("<label for=") == 3


# Languages


def test_whoever_chooses_a_language_stays_where_they_are(client, db):
    page = "/login/?next=/r/abc/"
    switch = {"language": "zh-hans"}
    response = client.post("/language/", switch, headers={"Referer": f"http://testserver{page}"})
    assert response["Location"].endswith(page)
    assert client.cookies["django_language"].value == "zh-hans"


def test_each_page_of_its_own_offers_the_languages(client, db):
    client.raise_request_exception = False
    for path, status in (("/login/", 200), ("/signup/", 200), ("/nowhere/", 404), ("/?%00", 400)):
        assertContains(client.get(path), '<form class="languages"', status_code=status)


# When something is wrong


def test_an_expired_form_says_so(alice, client):
    client.handler.enforce_csrf_checks = True
    response = log_in(client)
    assert response.status_code == 403
    assertTemplateUsed(response, "403_csrf.html")


def test_the_page_for_our_own_failures_needs_no_database(client, monkeypatch):
    monkeypatch.setattr("chat.health.HttpResponse", None)
    client.raise_request_exception = False
    response = client.get("/healthz")
    assert response.status_code == 500
    assertContains(response, "Roost", status_code=500)


# Languages and themes, before any script has run

CHINESE = {"Accept-Language": "zh-CN,en;q=0.5"}
GERMAN = {"Accept-Language": "de"}


def test_a_page_is_in_the_language_that_the_browser_asks_for(client, db):
    page = client.get("/login/", headers=CHINESE)
    assertContains(page, '<html lang="zh-hans">')
    assertContains(page, "用户名")
    assert page["Content-Language"] == "zh-hans"


def test_whoever_asks_for_a_language_that_there_is_not_reads_english(client, db):
    assertContains(client.get("/login/", headers=GERMAN), '<html lang="en">')


def test_what_alice_prefers_goes_before_what_her_browser_asks_for(as_alice, alice):
    people.prefer(alice, {"language": "zh-hans", "theme": "dark"})
    page = as_alice.get(HOME, headers=GERMAN)
    assertContains(page, '<html lang="zh-hans" data-theme="dark">')
    assert page["Content-Language"] == "zh-hans"
    assert config(page)["preferences"]["theme"] == "dark"


def test_pages_that_do_not_know_who_is_there_remember_what_alice_prefers(client, as_alice, alice):
    people.prefer(alice, {"language": "zh-hans", "theme": "dark"})
    as_alice.get(HOME)
    client.post("/logout/")
    assertContains(client.get("/login/", headers=GERMAN), '<html lang="zh-hans" data-theme="dark">')
    nothing = client.get("/nowhere/")
    assertContains(nothing, 'data-theme="dark"', status_code=404)


def test_who_prefers_nothing_any_more_is_not_remembered(as_alice, alice):
    people.prefer(alice, {"language": "zh-hans", "theme": "dark"})
    as_alice.get(HOME)
    people.prefer(alice, {"language": "", "theme": ""})
    assertContains(as_alice.get(HOME, headers=GERMAN), '<html lang="en">')
    assertContains(
        as_alice.get("/login/nowhere", headers=GERMAN), '<html lang="en">', status_code=404
    )


def test_what_was_chosen_before_anybody_logged_in_counts_until_they_say_otherwise(as_alice):
    as_alice.cookies["django_language"] = "zh-hans"
    as_alice.cookies["roost_theme"] = "light"
    page = as_alice.get(HOME)
    assertContains(page, '<html lang="zh-hans" data-theme="light">')
    assert page.context["config"]["remembered"] == {"language": "zh-hans", "theme": "light"}


def test_what_a_cookie_remembers_is_nothing_to_whoever_has_said_otherwise(as_alice, alice):
    people.prefer(alice, {"enter_sends": False})
    as_alice.cookies["django_language"] = "zh-hans"
    assert as_alice.get(HOME).context["config"]["remembered"] == {}


def test_a_language_chosen_on_a_page_outlives_other_preferences(as_alice, alice):
    as_alice.post("/language/", {"language": "zh-hans"})
    people.prefer(alice, {"theme": "dark"})
    for _ in range(2):
        assertContains(as_alice.get(HOME, headers=GERMAN), '<html lang="zh-hans"')
    assert as_alice.cookies["django_language"].value == "zh-hans"


def test_a_language_chosen_on_a_page_outlives_what_was_preferred_before(as_alice, alice):
    people.prefer(alice, {"language": "en"})
    as_alice.get(HOME)
    as_alice.post("/language/", {"language": "zh-hans"})
    people.prefer(alice, {"language": ""})
    assertContains(as_alice.get(HOME, headers=GERMAN), '<html lang="zh-hans"')


def test_a_cookie_that_is_already_right_is_not_set_again(as_alice, alice):
    people.prefer(alice, {"theme": "dark"})
    assert as_alice.get(HOME).cookies["roost_theme"].value == "dark"
    assert "roost_theme" not in as_alice.get(HOME).cookies


@pytest.mark.parametrize("theme", ["pink", '"><script>', "", 'dark" onload='])
def test_a_cookie_that_names_no_theme_is_nothing(client, db, theme):
    client.cookies["roost_theme"] = theme
    assertContains(client.get("/login/"), '<html lang="en">')


def test_the_page_for_our_own_failures_looks_as_the_system_does(client, monkeypatch):
    monkeypatch.setattr("chat.health.HttpResponse", None)
    client.raise_request_exception = False
    client.cookies["roost_theme"] = "dark"
    assertContains(client.get("/healthz"), '<html lang="en">', status_code=500)
