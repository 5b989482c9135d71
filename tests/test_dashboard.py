"""The dashboard shows what workers say and what was counted: once, to whoever may see it."""

import csv
import hashlib
import re
from datetime import timedelta
from io import StringIO

import pytest
from django.conf import settings as our_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.asserts import assertContains, assertNotContains

from chat import leases, vitals
from chat.models import Day, Hour, Tally, Vitals
from chat.vitals import Figures
from tests.conftest import user
from tests.conversation import say_much

PAGE = "/admin/chat/vitals/"
LIVE = f"{PAGE}live/"
FILES = ["messages-per-hour", "messages-per-day", "people-per-day", "busiest-hours", "workers"]
VENDOR = our_settings.BASE_DIR / "chat" / "static" / "chat" / "admin" / "vendor"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def half_past(monkeypatch):
    """No hour ends between two answers."""
    moment = timezone.now().replace(minute=30)
    monkeypatch.setattr(timezone, "now", lambda: moment)


@pytest.fixture
def operator(client, db):
    """A browser of somebody who may see the dashboard, and nothing else."""
    somebody = user("olivia")
    somebody.is_staff = True
    somebody.save()
    somebody.user_permissions.add(Permission.objects.get(codename="can_view_dashboard"))
    client.force_login(somebody)
    return client


def tell(name="one", pid=7, release="", host="machine", **told):
    vitals.tell(name, host, pid, release, 60.0, Figures(**told))


def fill():
    """Something was said, an hour ago and before."""
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    for n in (1, 2, 30):
        Hour.objects.create(at=now - n * HOUR, messages=n, first_message=1)
    Day.objects.create(date=now.date(), people=2)


def cards(client):
    return {card["name"]: card for card in client.get(LIVE).json()["cards"]}


def rows_of(response):
    return list(csv.reader(StringIO(response.content.decode())))


def table_after(page, title):
    """The cells of the table in the section of this id, as the page shows them."""
    section = page.content.decode().partition(f'id="{title}"')[2].partition("</table>")[0]
    rows = re.findall(r"<tr.*?</tr>", section, re.DOTALL)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row, re.DOTALL) for row in rows]


# Who may see it


@pytest.mark.parametrize("address", [PAGE, LIVE, *(f"{PAGE}{name}.csv" for name in FILES)])
def test_only_who_may_see_the_dashboard_does(client, operator, alice, address):
    assert operator.get(address).status_code == 200
    client.logout()
    assert client.get(address).status_code == 302
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assert client.get(address).status_code == 403


def test_the_panel_leads_to_it_whoever_may_see_it(client, operator, alice):
    assertContains(operator.get("/admin/"), PAGE)
    alice.is_staff = True
    alice.save()
    client.force_login(alice)
    assertNotContains(client.get("/admin/"), PAGE)


def test_there_is_nothing_to_add_to_change_or_to_delete(admin_client):
    tell()
    for action in ("add/", "one/change/", "one/delete/", "one/history/"):
        assert admin_client.get(f"{PAGE}{action}").status_code == 403
    assert Vitals.objects.exists()


def test_it_is_not_kept_by_anybody_on_the_way(operator):
    for address in (PAGE, LIVE):
        assert "no-store" in operator.get(address)["Cache-Control"]


def test_there_is_no_other_file(operator):
    assert operator.get(f"{PAGE}secrets.csv").status_code == 404


# Now


def test_figures_are_those_of_all_workers(operator, alice, bob):
    leases.begin("one", {"phone": leases.Link(alice.pk), "laptop": leases.Link(alice.pk)})
    leases.begin("two", {"tablet": leases.Link(bob.pk)})
    tell("one", pid=1, sockets=2, behind=1, posts=3, closes=4, reconnects=5, heard=True)
    tell("two", pid=2, sockets=1, posts=4, deliveries=9, heard=True)
    told = cards(operator)
    assert (told["connections"]["value"], told["posts"]["value"]) == (3, 7)
    assert told["connections"]["note"] == "2 people, 1 behind"
    assert told["posts"]["note"] == "9 deliveries in the last minute"
    assert (told["reconnects"]["value"], told["reconnects"]["note"]) == (5, "4 connections ended")
    assert (told["workers"]["value"], told["layer"]["value"]) == (2, "Heard")
    assert {card["tone"] for card in told.values()} == {"good"}


LISTS = {"connection": "view_connection", "message": "view_message", "waiting": "view_waiting"}


@pytest.mark.parametrize("place", LISTS)
def test_a_figure_leads_to_its_list_whoever_may_see_that(operator, place):
    link = f'<a class="label" href="/admin/chat/{place}/">'
    assert link not in operator.get(PAGE).content.decode()
    [olivia] = get_user_model().objects.filter(username="olivia")
    olivia.user_permissions.add(Permission.objects.get(codename=LISTS[place]))
    assert link in operator.get(PAGE).content.decode()


def test_how_long_it_took_is_told_of_all_posts_together(operator):
    quick, slow = [0] * 14, [0] * 14
    quick[3] = 90  # up to 10 ms
    slow[6] = 10  # up to 100 ms
    tell("one", hand_over=quick)
    tell("two", hand_over=slow)
    answer = operator.get(LIVE).json()
    assert 5 <= answer["points"]["half"] <= 10
    assert 50 <= answer["points"]["most"] <= 100
    assert cards(operator)["hand_over"]["value"].endswith(" ms")


def test_where_nothing_was_said_there_is_no_time_that_it_took(operator):
    tell(hand_over=[0] * 14)
    answer = operator.get(LIVE).json()
    assert (answer["points"]["half"], answer["points"]["most"]) == (None, None)
    assert cards(operator)["hand_over"]["value"] == "–"


def test_an_answer_has_all_that_the_page_follows(operator):
    tell("one", posts=3)
    answer = operator.get(LIVE).json()
    assert set(answer) == {"at", "cards", "points", "workers"}
    assert answer["at"].endswith("+00:00")
    assert all({"name", "label", "value", "note", "tone"} == {*card} for card in answer["cards"])
    page = operator.get(PAGE).content.decode()
    assert re.findall(r'data-card="(\w+)"', page) == [card["name"] for card in answer["cards"]]
    [worker] = answer["workers"]
    assert worker["cells"] == table_after(operator.get(PAGE), "workers")[1]


def test_where_no_worker_lives_the_page_says_so(operator):
    told = cards(operator)
    assert (told["workers"]["value"], told["workers"]["tone"]) == (0, "bad")
    assert told["connections"]["value"] == 0
    assert operator.get(LIVE).json()["workers"] == []
    assertContains(operator.get(PAGE), "nobody can chat")


def test_a_worker_that_has_died_is_gone_and_one_that_is_silent_is_pointed_at(operator):
    tell("dead")
    Vitals.objects.update(seen_at=Now() - timedelta(seconds=20))
    tell("silent", pid=9)
    Vitals.objects.filter(pk="silent").update(seen_at=Now() - timedelta(seconds=10))
    [worker] = operator.get(LIVE).json()["workers"]
    assert worker["tone"] == "bad"
    assert worker["cells"][1].startswith("Silent for 1")
    tell("alive")
    told = cards(operator)["workers"]
    assert (told["value"], told["tone"]) == (1, "bad")
    assert told["note"].startswith("machine:9: Silent for 1")


def test_without_a_layer_nothing_is_wrong(operator):
    tell(heard=None)
    assert (cards(operator)["layer"]["value"], cards(operator)["layer"]["tone"]) == ("None", "good")


def test_a_layer_that_is_down_is_told_in_words(operator):
    tell("one", heard=False)
    tell("two", heard=True)
    told = cards(operator)["layer"]
    assert (told["value"], told["tone"]) == ("1 not heard", "poor")
    assert "a second later" in told["note"]


def test_a_worker_that_sees_no_database_is_told_in_words(operator):
    tell(sees_database=False)
    told = cards(operator)["database"]
    assert (told["note"], told["tone"]) == ("1 worker does not see it", "bad")


def test_what_waits_for_people_who_are_away_is_what_was_counted_last(operator):
    assert cards(operator)["backlog"]["note"] == "Not counted yet"
    oldest = timezone.now() - timedelta(hours=2, minutes=1)
    backlog = {"people": 3, "changes": 41, "oldest": oldest.isoformat()}
    Tally.objects.create(pk=1, backlog=backlog)
    told = cards(operator)["backlog"]
    assert (told["value"], told["note"]) == (41, "for 3 people, the oldest 2 hours ago")
    Tally.objects.update(backlog={"people": 0, "changes": 0, "oldest": None})
    assert cards(operator)["backlog"]["note"] == "for 0 people"


# Figures of the past


@pytest.mark.parametrize("name", FILES)
def test_a_file_holds_what_the_table_shows(operator, name):
    fill()
    tell("one", release="v1", posts=3, hand_over=[0, 4, *[0] * 12])
    rows = rows_of(operator.get(f"{PAGE}{name}.csv"))
    shown = table_after(operator.get(PAGE), name)
    if name == "busiest-hours":  # where the page leaves out zeros that say nothing
        rows = [[cell.removesuffix(".0") for cell in row] for row in rows]
    assert rows == shown
    assert len(rows) > 1


def test_messages_per_hour_end_with_the_hour_that_is_not_over(operator):
    fill()
    heading, *rows = rows_of(operator.get(f"{PAGE}messages-per-hour.csv"))
    assert (heading, len(rows)) == (["Hour", "Messages"], 48)
    assert [int(messages) for _, messages in rows[-3:]] == [2, 1, 0]


def test_a_file_begins_no_formula(operator):
    tell(host="=2+2", release="@evil")
    _, row = rows_of(operator.get(f"{PAGE}workers.csv"))
    assert (row[0], row[-1]) == ("'=2+2:7", "'@evil")


def test_nothing_of_a_worker_is_markup(operator):
    tell(host="<b>", release="<script>")
    assertNotContains(operator.get(PAGE), "<script>")
    assertContains(operator.get(PAGE), "&lt;b&gt;:7")


def test_it_costs_the_same_for_few_and_for_many(operator, alice, kitchen):
    def queries(address):
        with CaptureQueriesContext(connection) as captured:
            assert operator.get(address).status_code == 200
        assert not [query for query in captured if '"chat_message"' in query["sql"]]
        return len(captured)

    addresses = [PAGE, LIVE, *(f"{PAGE}{name}.csv" for name in FILES)]
    few = [queries(address) for address in addresses]
    fill()
    say_much(alice, kitchen, 100)
    for n in range(20):
        leases.begin(str(n), {f"phone{n}": leases.Link(alice.pk)})
        tell(str(n), pid=n, sockets=1)
    assert [queries(address) for address in addresses] == few
    assert max(few) <= 16


# What draws them


def test_what_others_made_is_as_they_made_it():
    [name, told] = re.findall(r"`(chart\S+js)`.*`(\w{64})`", (VENDOR / "README.md").read_text())[0]
    made = (VENDOR / name).read_bytes()
    assert hashlib.sha256(made).hexdigest() == told
    assert b"Chart.js v4" in made[:100]
    assert b"sourceMappingURL" not in made  # there is none
    assert "MIT" in (VENDOR / "chart.LICENSE.md").read_text()


def test_no_other_page_loads_it(admin_client):
    assertContains(admin_client.get(PAGE), "vendor/chart")
    for address in ("/admin/", "/admin/chat/room/"):
        assertNotContains(admin_client.get(address), "vendor/chart")


def test_the_page_has_neither_scripts_nor_styles_of_its_own(admin_client):
    page = admin_client.get(PAGE).content.decode()
    assert not re.findall(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=", page)
