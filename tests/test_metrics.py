"""What operators see: each thing that happens is counted, once, under its name."""

import errno
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch
from uuid import uuid4

import pytest
from django.test import override_settings
from prometheus_client.parser import text_string_to_metric_families

from chat import checks, gauges, metrics
from chat.announcements import Announcement, Batch
from chat.close_codes import CloseCode
from chat.errors import ChatError
from chat.gauges import Gauges
from tests.conversation import say
from tests.failures import meanwhile, until
from tests.fake_browser import browser, text_page
from tests.figures import Figures, fallen, ours
from tests.servers import ROOT

DASHBOARD = ROOT / "deploy" / "grafana" / "dashboard.json"
RULES = ROOT / "deploy" / "prometheus" / "rules.yml"


@contextmanager
def rising() -> Iterator[Figures]:
    """What has changed meanwhile, and by how much."""
    rose: Figures = {}
    before = ours()
    yield rose
    after = ours()
    rose.update({name: after[name] - before.get(name, 0) for name in after})


# What is said


async def test_a_post_is_counted_where_it_is_stored_and_for_each_who_sees_it(
    application, tokens, worker
):
    async with (
        browser(application, tokens["alice"]) as alice,
        browser(application, tokens["bob"]) as bob,
    ):
        with rising() as rose:
            kitchen = alice.room("Kitchen")
            await alice.post("Tea?", room=kitchen)
            await bob.sees(kitchen, "Tea?")
            worker._gauges._look()
    assert rose["chat_posts_stored_total"] == 1
    assert rose['chat_deliveries_total{way="live"}'] == 2
    assert rose["chat_batch_posts_count"] == rose["chat_commit_seconds_count"] == 1
    assert rose["chat_hand_over_seconds_count"] == 1
    assert rose["chat_posts_known_total"] == 0


async def test_a_retry_is_no_second_post(application, tokens):
    async with browser(application, tokens["alice"]) as alice:
        with rising() as rose:
            for _ in range(2):
                await alice.post("Tea?", room=alice.room("Kitchen"), id=str(UUID))
    assert (rose["chat_posts_stored_total"], rose["chat_posts_known_total"]) == (1, 1)


UUID = uuid4()


def test_posts_over_http_count_too(client, tokens, kitchen):
    def post() -> int:
        return client.post(
            f"/api/rooms/{kitchen.pk}/messages",
            {"id": str(UUID), "body": "Tea?"},
            content_type="application/json",
            headers={"Authorization": f"Bearer {tokens['alice']}"},
        ).status_code

    with rising() as rose:
        assert [post(), post()] == [201, 200]
    assert (rose["chat_posts_stored_total"], rose["chat_posts_known_total"]) == (1, 1)


async def test_what_was_missed_is_counted_by_page(application, tokens, alice, kitchen):
    await meanwhile(say, alice, kitchen, "one", "two", "three")
    with rising() as rose:
        async with browser(application, tokens["bob"]) as bob:
            await bob.sees(kitchen.pk, "one", "two", "three")
    assert rose["chat_replay_page_messages_sum"] == 3
    assert rose['chat_deliveries_total{way="replay"}'] == 3


async def test_a_gap_that_was_filled_is_a_heal(application, tokens, worker, alice, kitchen):
    async with browser(application, tokens["bob"]) as bob:
        with rising() as rose:
            await meanwhile(say, alice, kitchen, "one")
            await bob.sees(kitchen.pk, "one")
    assert rose["chat_heals_total"] == 1


async def test_what_is_no_announcement_is_garbage(application, tokens, worker, kitchen):
    async with browser(application, tokens["bob"]):
        with rising() as rose:
            made_up = Batch(kitchen.pk, 0, 1, [b"{}"])
            worker.switchboard.hear(Announcement(batches=[made_up]))
    assert rose["chat_announcements_garbage_total"] == 1


async def test_what_was_too_much_is_counted(application, tokens, settings):
    settings.CHAT_POST_RATE = 0.001
    async with browser(application, tokens["alice"]) as alice:
        with rising() as rose:
            for _ in range(2):
                await alice.post("Tea?", room=alice.room("Kitchen"))
    assert rose['chat_throttled_total{what="post"}'] == 1


# What goes wrong


async def test_errors_are_counted_by_the_code_that_was_told(application, tokens, client, db):
    with rising() as rose:
        async with browser(application, tokens["alice"]) as alice:
            await alice.ask("join", room="nowhere")
        async with text_page(application, tokens["alice"]) as page:
            await page.send("nobody|Hello?")
            assert (await page.next()).startswith("!unknown_user")
        assert (await meanwhile(client.get, "/api/me")).status_code == 401
    assert rose['chat_errors_total{code="not_found"}'] == 1
    assert rose['chat_errors_total{code="unknown_user"}'] == 1
    assert rose['chat_errors_total{code="forbidden"}'] == 1


async def test_connections_are_counted_while_they_are_open_and_by_code_when_they_end(
    application, tokens, worker
):
    with rising() as rose:
        async with (
            browser(application, tokens["alice"]) as alice,
            browser(application, tokens["bob"]) as bob,
            text_page(application, tokens["bob"]),
        ):
            with rising() as while_open:
                pass
            assert while_open['chat_connections{dialect="chat.v1.json"}'] == 0
            open_now = ours()
            await alice.wire.close(1000)
            await bob.wire.close(3999)
    assert open_now['chat_connections{dialect="chat.v1.json"}'] >= 2
    assert open_now['chat_connections{dialect="chat"}'] >= 1
    assert rose['chat_connections{dialect="chat.v1.json"}'] == 0
    assert rose['chat_connections{dialect="chat"}'] == 0
    assert rose['chat_closes_total{code="1000"}'] == 1
    assert rose['chat_closes_total{code="other"}'] == 1


async def test_who_closes_without_a_code_has_said_goodbye_all_the_same(application, tokens, caplog):
    with rising() as rose, caplog.at_level("INFO", "chat.visits"):
        async with browser(application, tokens["alice"]) as alice:
            await alice.wire.close(None)  # as daphne tells it when a page calls close()
    assert rose['chat_closes_total{code="1005"}'] == 1
    assert "Closed: 1005" in caplog.text


async def test_our_own_code_counts_whatever_the_client_says(application, tokens, worker):
    with rising() as rose:
        async with browser(application, tokens["alice"]) as alice:
            await worker.drain()
            assert await alice.ends() == CloseCode.RESTART
        async with browser(application, tokens["alice"], resume=False) as refused:
            assert await refused.ends() == CloseCode.RESTART
    assert rose['chat_closes_total{code="4012"}'] == 2


def test_every_label_is_there_from_the_start():
    told = ours()
    for code in (*map(int, CloseCode), 1000, 1006, "other"):
        assert f'chat_closes_total{{code="{code}"}}' in told
    for error in (ChatError, *ChatError.__subclasses__()):
        assert f'chat_errors_total{{code="{error.code}"}}' in told


# States


async def test_states_are_looked_at(application, tokens, worker):
    async with browser(application, tokens["alice"], resume=False):
        await until(lambda: worker.switchboard.sockets())
        worker._gauges._look()
        told = ours()
    assert told["chat_sockets_behind"] == 1
    assert told["chat_journal_waiting_posts"] == 0
    [seen] = [value for name, value in told.items() if name.startswith("chat_database_seen")]
    assert seen == 1
    worker.switchboard.go_blind()
    worker._gauges._look()
    assert 0 in [value for name, value in ours().items() if name.startswith("chat_database_seen")]


async def test_what_cannot_be_looked_at_now_is_looked_at_again(worker, monkeypatch, caplog):
    monkeypatch.setattr(gauges, "LOOK_EVERY", 0.01)
    tries = []

    def no_descriptor_left(process):
        tries.append(process)
        raise OSError(errno.EMFILE, "Too many open files")

    with patch.object(gauges, "_look_at_process", no_descriptor_left):
        async with Gauges(worker._announcer, worker.switchboard, worker.journal):
            await until(lambda: len(tries) > 2)
    assert len([line for line in caplog.messages if "Too many open files" in line]) == 1


async def test_this_process_is_described(worker):
    told = {name.partition("{")[0]: value for name, value in ours().items()}
    assert told["chat_process_start_time_seconds"] > 1_600_000_000
    assert told["chat_process_cpu_seconds"] > 0
    if Path("/proc/self/statm").exists():
        assert told["chat_process_resident_memory_bytes"] > 10_000_000
        assert 3 < told["chat_process_open_descriptors"] < told["chat_process_max_descriptors"]


def test_without_a_layer_nobody_says_that_it_is_not_heard(monkeypatch):
    metrics.heard.clear()
    switchboard = SimpleNamespace(sockets=list, is_blind=False, delivered=0)
    announcer = SimpleNamespace(has_layer=False, is_heard=False)
    Gauges(announcer, switchboard, SimpleNamespace(waiting=0))._look()
    assert not [name for name in ours() if name.startswith("chat_layer_heard")]


def test_a_counter_that_falls_is_found():
    assert fallen({"a_total": 2, "b": 2}, {"a_total": 1, "b": 1}) == {"a_total": 2}


# Who may read them


def status(client, address, **headers):
    return client.get("/metrics", REMOTE_ADDR=address, headers=headers).status_code


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "::ffff:192.168.0.7"])
def test_whoever_is_near_reads_them(client, address):
    assert status(client, address) == 200


@pytest.mark.parametrize(
    "address", ["203.0.113.7", "2001:db8::7", "::ffff:203.0.113.7", "", "unix"]
)
def test_for_others_there_is_nothing(client, address):
    assert status(client, address) == 404


def test_a_proxy_that_is_not_believed_opens_nothing(client):
    assert status(client, "127.0.0.1", x_forwarded_for="127.0.0.1, 203.0.113.7") == 404
    assert status(client, "127.0.0.1", x_forwarded_for="10.0.0.9") == 200


@pytest.mark.parametrize("header", ["x_forwarded_for", "x_real_ip", "forwarded"])
def test_however_it_says_for_whom_it_speaks(client, header):
    said = "for=203.0.113.7" if header == "forwarded" else "203.0.113.7"
    assert status(client, "127.0.0.1", **{header: said}) == 404


@override_settings(CHAT_METRICS_FROM=["203.0.113.0/24"])
def test_a_setting_says_who_else_may(client):
    assert status(client, "203.0.113.7") == 200
    assert status(client, "127.0.0.1") == 404


@pytest.mark.parametrize("listed", ["10.0.0.0/8", ["10.0.0.0/33"], ["everybody"], 7])
def test_networks_that_are_none_are_refused(settings, listed):
    settings.CHAT_METRICS_FROM = listed
    assert "chat.E018" in [message.id for message in checks.check_settings()]


def test_they_are_only_read(client):
    assert client.post("/metrics").status_code == 405


def test_prometheus_understands_them(client):
    answer = client.get("/metrics")
    assert answer["Content-Type"].startswith("text/plain; version=")
    families = [*text_string_to_metric_families(answer.content.decode())]
    assert len(families) > 20
    assert all(family.documentation and family.name.startswith("chat_") for family in families)


# What shows them


def names_in(text: str) -> set[str]:
    return {*re.findall(r"\bchat_[a-z_]+", text)}


def names_told() -> set[str]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {sample.name for family in families for sample in family.samples}


@pytest.mark.parametrize("file", [DASHBOARD, RULES], ids=lambda file: file.name)
async def test_what_is_drawn_or_watched_is_told(file, worker):
    for gauge in (metrics.heard, metrics.resident_bytes, metrics.open_descriptors):
        gauge.labels("1")  # which not every system has
    asked = names_in(file.read_text())
    assert len(asked) > 5
    assert asked <= names_told()


async def test_all_that_is_told_is_drawn(worker):
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names_told()}
    drawn = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names_in(DASHBOARD.read_text())}
    assert drawn >= told


def test_the_dashboard_can_be_imported():
    dashboard = json.loads(DASHBOARD.read_text())
    assert dashboard["uid"] == "roost"
    [source] = [v for v in dashboard["templating"]["list"] if v["type"] == "datasource"]
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in panels:
        assert panel["datasource"]["uid"] == f"${{{source['name']}}}"
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["description"]
    places = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in dashboard["panels"]
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len({*places}) == len(places), "they overlap"
    assert max(x for x, _ in places) < 24


def test_each_metric_is_told_in_the_documentation_and_no_other_is():
    told = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names_told()}
    documented = names_in((ROOT / "docs" / "operations.md").read_text())
    gone = {re.sub(r"_total$", "", name) for name in documented} - {
        re.sub(r"_total$", "", name) for name in metrics.registry._names_to_collectors
    }
    assert not gone
    assert told <= documented
