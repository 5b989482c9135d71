"""Settings with which the chat could not keep its promises are refused; doubtful ones are named."""

import json
import logging
import subprocess
import sys
from pathlib import Path

import pytest
from channels.layers import InMemoryChannelLayer
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connections

from chat import checks, conf
from chat.checks import check_deployment, check_settings, insist
from tests.servers import PATIENCE, ROOT, environment

SESSIONS = "django.contrib.sessions.backends."
PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"
KEY = "Qm8vX2kRz0Lw7TnYc4HbJ5sDf9GpAe1UiOo3WxMZtVyKqNrEhSl"
SITE = "https://chat.example.org"


class Shared(InMemoryChannelLayer):
    """By name only."""


def ids():
    return [message.id for message in check_settings()]


def dangers():
    return [message.id for message in check_deployment()]


@pytest.fixture
def database(monkeypatch):
    """Makes the default database look otherwise; its OPTIONS are replaced."""

    def look(vendor, **entries):
        monkeypatch.setattr(connections["default"], "vendor", vendor)
        for name, value in entries.items():
            monkeypatch.setitem(connections["default"].settings_dict, name, value)

    return look


@pytest.fixture
def sqlite(database):
    database("sqlite", NAME="/srv/roost/db.sqlite3", OPTIONS=checks.SQLITE_OPTIONS)


@pytest.fixture
def postgresql(database):
    database("postgresql", CONN_MAX_AGE=0, OPTIONS={"pool": True})


@pytest.fixture
def redis_at(settings):
    """Makes the channel layer one of Redis, at such an entry of its hosts."""

    def configure(*hosts):
        layer = {"BACKEND": PUBSUB, "CONFIG": {"hosts": hosts}}
        settings.CHANNEL_LAYERS = {"default": layer}

    return configure


def layer(backend):
    return {"default": {"BACKEND": backend}}


# This project


def test_the_settings_of_this_project_are_fine():
    assert ids() == []


def test_django_runs_what_is_for_everybody_and_on_demand_what_is_for_production(settings):
    settings.CHAT_POST_RATE, settings.DEBUG, settings.ALLOWED_HOSTS = -1, False, ["*"]
    always = {message.id for message in run_checks(tags=["chat"])}
    deployed = {message.id for message in run_checks(None, ["chat"], True)}
    assert always == {"chat.E002"}
    assert always | {"chat.C103"} <= deployed


# Sessions


@pytest.mark.parametrize("backend", ["db", "cached_db"])
def test_sessions_may_be_rows(settings, backend):
    settings.SESSION_ENGINE = SESSIONS + backend
    assert ids() == []


@pytest.mark.parametrize("backend", ["cache", "file", "signed_cookies"])
def test_sessions_without_rows_are_refused(settings, backend):
    settings.SESSION_ENGINE = SESSIONS + backend
    assert ids() == ["chat.E001"]


# Numbers and switches


@pytest.mark.parametrize("rate", [0, 0.01, 10, 1_000_000])
def test_any_rate_will_do_and_zero_is_no_limit(settings, rate):
    settings.CHAT_POST_RATE = rate
    assert ids() == []


@pytest.mark.parametrize("rate", [-1, 1e9, float("nan"), float("inf"), "fast", None])
def test_a_rate_that_makes_no_sense_is_refused(settings, rate):
    settings.CHAT_POST_RATE = rate
    assert ids() == ["chat.E002"]


@pytest.mark.parametrize("seconds", [0, -1, 86_400, float("nan"), "often", None])
def test_a_heart_that_does_not_beat_is_refused(settings, seconds):
    settings.CHAT_HEARTBEAT = seconds
    assert ids() == ["chat.E003"]


@pytest.mark.parametrize("number", [0, -1, 2.5, "many", "2", None])
@pytest.mark.parametrize(("name", "id"), [("CHAT_WORKERS", "E004"), ("CHAT_MACHINES", "E005")])
def test_what_cannot_be_counted_is_refused(settings, name, id, number):
    setattr(settings, name, number)
    assert ids() == [f"chat.{id}"]


def test_signup_is_open_or_it_is_not(settings):
    for is_open in (True, False):
        settings.CHAT_OPEN_SIGNUP = is_open
        assert ids() == []


def test_signup_that_looks_closed_and_is_open_is_refused(settings):
    settings.CHAT_OPEN_SIGNUP = "False"
    assert conf.open_signup()
    assert ids() == ["chat.E006"]


# Origins


@pytest.mark.parametrize("origin", [SITE, "http://127.0.0.1:9000", "https://[::1]:8443"])
def test_an_origin_is_a_scheme_a_host_and_perhaps_a_port(settings, origin):
    settings.CHAT_ALLOWED_ORIGINS = [origin]
    assert ids() == []


@pytest.mark.parametrize(
    "origin",
    [
        "example.org",
        "//example.org",
        "https://example.org/",
        "https://example.org/chat",
        "https://example.org:port",
        "https://*.example.org",
        "https://bücher.example",
        " https://example.org",
        "*",
        "null",
        "",
        None,
    ],
)
def test_what_no_browser_would_send_as_its_origin_is_refused(settings, origin):
    settings.CHAT_ALLOWED_ORIGINS = [SITE, origin]
    assert ids() == ["chat.E008"]


def test_a_text_is_no_list_of_origins(settings):
    settings.CHAT_ALLOWED_ORIGINS = SITE
    assert ids() == ["chat.E007"]


# The database


@pytest.mark.parametrize("vendor", ["mysql", "oracle", "unknown"])
def test_another_database_is_refused(database, vendor):
    database(vendor)
    assert ids() == ["chat.E009"]


def test_a_database_in_memory_is_refused(sqlite, database):
    assert ids() == []
    database("sqlite", NAME=":memory:", OPTIONS={})
    assert ids() == ["chat.E010"]


@pytest.mark.parametrize(
    "command",
    [
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL",
        "pragma journal_mode = wal; pragma synchronous = 2;",
        "PRAGMA journal_mode('WAL'); PRAGMA synchronous(EXTRA); PRAGMA cache_size=-64000",
    ],
)
def test_sqlite_can_be_set_up_in_different_words(database, sqlite, command):
    options = {"transaction_mode": "immediate", "init_command": command}
    database("sqlite", OPTIONS=options)
    assert ids() == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"transaction_mode": "IMMEDIATE"},
        {"init_command": checks.SQLITE_OPTIONS["init_command"]},
        {**checks.SQLITE_OPTIONS, "transaction_mode": "DEFERRED"},
        {**checks.SQLITE_OPTIONS, "init_command": "PRAGMA journal_mode=WAL"},
        {**checks.SQLITE_OPTIONS, "init_command": "PRAGMA synchronous=FULL"},
    ],
)
def test_sqlite_as_django_sets_it_up_is_doubtful(database, sqlite, options):
    database("sqlite", OPTIONS=options)
    assert ids() == ["chat.W001"]


@pytest.mark.parametrize(
    "command",
    [
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL",
        "PRAGMA journal_mode=WAL; PRAGMA synchronous = off",
        "PRAGMA journal_mode=WAL; PRAGMA synchronous(1)",
        "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=FULL",
    ],
)
def test_sqlite_that_does_not_wait_for_the_disk_is_refused(database, sqlite, command):
    database("sqlite", OPTIONS={**checks.SQLITE_OPTIONS, "init_command": command})
    assert ids() == ["chat.E011"]


def test_atomic_requests_are_refused(database, sqlite):
    database("sqlite", ATOMIC_REQUESTS=True)
    assert ids() == ["chat.E015"]


def test_persistent_connections_are_doubtful(postgresql, database):
    assert ids() == []
    for age in (60, None):
        database("postgresql", CONN_MAX_AGE=age, OPTIONS={})
        assert ids() == ["chat.W003"]


def test_persistent_connections_of_a_pool_are_refused(postgresql, database):
    database("postgresql", CONN_MAX_AGE=60)
    assert ids() == ["chat.E013"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("-c synchronous_commit=off", ["chat.W004"]),
        ("-c statement_timeout=10s -csynchronous_commit = off", ["chat.W004"]),
        ("-c synchronous_commit=remote_apply", []),
        ("-c statement_timeout=10s", []),
    ],
)
def test_postgresql_that_does_not_wait_for_the_disk_is_doubtful(database, options, expected):
    database("postgresql", CONN_MAX_AGE=0, OPTIONS={"options": options})
    assert ids() == expected


# Several workers


def test_one_worker_needs_no_channel_layer(settings, sqlite):
    for layers in ({}, layer("channels.layers.InMemoryChannelLayer")):
        settings.CHANNEL_LAYERS = layers
        assert ids() == []


def test_several_workers_share_postgresql_and_redis(settings, postgresql):
    settings.CHAT_WORKERS, settings.CHAT_MACHINES = 4, 2
    settings.CHANNEL_LAYERS = layer(PUBSUB)
    assert ids() == []


@pytest.mark.parametrize(
    "backend", ["channels.layers.InMemoryChannelLayer", "tests.test_checks.Shared"]
)
@pytest.mark.parametrize("name", ["CHAT_WORKERS", "CHAT_MACHINES"])
def test_several_workers_cannot_share_the_memory_of_one(settings, postgresql, backend, name):
    setattr(settings, name, 2)
    settings.CHANNEL_LAYERS = layer(backend)
    assert ids() == ["chat.E014"]


def test_several_workers_without_a_layer_are_slow(settings, postgresql):
    settings.CHAT_WORKERS = 2
    settings.CHANNEL_LAYERS = {}
    assert ids() == ["chat.W005"]


def test_several_workers_on_sqlite_are_doubtful(settings, sqlite):
    settings.CHAT_WORKERS = 2
    settings.CHANNEL_LAYERS = layer(PUBSUB)
    assert ids() == ["chat.W002"]


def test_several_machines_cannot_share_a_file(settings, sqlite):
    settings.CHAT_WORKERS = settings.CHAT_MACHINES = 2
    settings.CHANNEL_LAYERS = layer(PUBSUB)
    assert ids() == ["chat.E012"]


# In front of people


@pytest.fixture
def production(settings):
    """As docs/settings.md shows it."""
    settings.DEBUG = False
    settings.SECRET_KEY = KEY
    settings.SECRET_KEY_FALLBACKS = []
    settings.ALLOWED_HOSTS = ["chat.example.org"]
    settings.CSRF_TRUSTED_ORIGINS = settings.CHAT_ALLOWED_ORIGINS = [SITE]
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True


def test_a_careful_site_is_fine(production):
    assert dangers() == []


@pytest.mark.parametrize("key", ["insecure-development-key", "django-insecure-" + KEY])
def test_a_key_that_everybody_knows_is_critical(production, settings, key):
    settings.SECRET_KEY = key
    assert dangers() == ["chat.C101"]
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = KEY, [key]
    assert dangers() == ["chat.C101"]


def test_the_key_of_this_project_for_development_is_such_a_key():
    assert 'default="insecure-' in (ROOT / "project" / "settings.py").read_text()


@pytest.mark.parametrize("key", [KEY[:49], "abcd" * 20])
def test_a_key_that_can_be_guessed_is_an_error(production, settings, key):
    settings.SECRET_KEY = key
    assert dangers() == ["chat.E101"]


def test_a_site_without_a_name_is_critical(production, settings):
    settings.ALLOWED_HOSTS = []
    assert "chat.C102" in dangers()


@pytest.mark.parametrize("host", ["*", ".", ".org", ".org."])
def test_a_site_of_any_name_is_critical(production, settings, host):
    settings.ALLOWED_HOSTS = ["chat.example.org", host]
    assert dangers() == ["chat.C103"]


@pytest.mark.parametrize("host", [".example.org", ".internal", "org"])
def test_names_of_ones_own_are_fine(production, settings, host):
    settings.ALLOWED_HOSTS = ["chat.example.org", host]
    assert dangers() == []


@pytest.mark.parametrize("name", ["SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE"])
def test_cookies_that_travel_unencrypted_are_an_error(production, settings, name):
    setattr(settings, name, False)
    assert dangers() == ["chat.E102"]


def test_pages_that_travel_unencrypted_are_an_error(production, settings):
    settings.CHAT_ALLOWED_ORIGINS = [SITE, "http://127.0.0.1:9000"]
    assert dangers() == []
    settings.CHAT_ALLOWED_ORIGINS = [SITE, "http://www.example.org"]
    assert dangers() == ["chat.E103"]


def test_a_site_that_cannot_know_its_scheme_is_doubtful(production, settings):
    settings.CHAT_ALLOWED_ORIGINS = ["https://www.example.org"]  # another one
    assert dangers() == ["chat.W102"]
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    assert dangers() == []


@pytest.mark.parametrize("trusted", [[], ["https://www.example.org"], ["http://chat.example.org"]])
def test_a_site_that_does_not_trust_itself_is_doubtful(production, settings, trusted):
    settings.CSRF_TRUSTED_ORIGINS = trusted
    assert dangers() == ["chat.W103"]


def test_a_site_may_trust_all_names_of_a_domain(production, settings):
    settings.CSRF_TRUSTED_ORIGINS = ["https://*.example.org"]
    assert dangers() == []


@pytest.mark.parametrize(
    "entry",
    [
        "redis://127.0.0.1:6379/0",
        "redis://localhost",
        "unix:///run/valkey.sock",
        "redis://:hunter2@redis.example:6379/0",
        {"address": "rediss://roost:hunter2@redis.example"},
        {"address": "redis://redis.example", "password": "hunter2"},
        {"host": "redis.example", "port": 6379, "password": "hunter2"},
        ("127.0.0.1", 6379),
    ],
)
def test_a_redis_of_our_own_or_with_a_password_is_not_for_everybody(production, redis_at, entry):
    redis_at(entry)
    assert "chat.W104" not in dangers()


def test_guesses_that_nobody_counts_are_doubtful(production, settings):
    first, *others = settings.AUTHENTICATION_BACKENDS
    for backends in (others, [*others, first]):
        settings.AUTHENTICATION_BACKENDS = backends
        assert dangers() == ["chat.W105"]


@pytest.mark.parametrize(
    "entry",
    [
        "redis://redis.example:6379/0",
        {"address": "redis://10.0.0.5"},
        {"host": "redis.example", "port": 6379},
        ("redis.example", 6379),
    ],
)
def test_a_redis_for_everybody_is_doubtful(production, redis_at, entry):
    redis_at("redis://127.0.0.1", entry)
    assert dangers() == ["chat.W104"]


def test_plain_text_on_its_way_to_redis_is_doubtful(production, redis_at, settings):
    redis_at("redis://:secret@redis.example.org")
    assert dangers() == ["chat.W106"]
    redis_at({"host": "redis.example.org", "password": "secret", "ssl": True})
    assert dangers() == []
    redis_at("redis://:secret@redis.example.org")
    settings.CHANNEL_LAYERS["default"]["CONFIG"]["symmetric_encryption_keys"] = ["another"]
    assert dangers() == []


def test_containers_among_themselves_are_not_overheard(production, redis_at):
    redis_at("redis://:secret@redis")
    assert dangers() == []


def test_a_key_for_two_purposes_is_an_error(production, redis_at, settings):
    redis_at("redis://127.0.0.1")
    settings.CHANNEL_LAYERS["default"]["CONFIG"]["symmetric_encryption_keys"] = ["another", KEY]
    assert dangers() == ["chat.E105"]


@pytest.fixture
def hashed(production, settings, tmp_path):
    """Static files are named by their content, as this project's production does it."""
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = {
        **settings.STORAGES,
        "staticfiles": {"BACKEND": "project.storage.HashedFiles"},
    }


def test_pages_whose_static_files_were_not_collected_are_an_error(hashed, settings):
    assert dangers() == ["chat.E104"]
    call_command("collectstatic", interactive=False, verbosity=0)
    settings.STATIC_ROOT = Path(settings.STATIC_ROOT)  # the storage is made anew
    assert dangers() == []


def test_static_files_of_before_the_chat_was_there_are_an_error(hashed, settings):
    settings.STATIC_ROOT.mkdir()
    manifest = {"version": "1.1", "paths": {"site.css": "site.0123456789ab.css"}}
    (settings.STATIC_ROOT / "staticfiles.json").write_text(json.dumps(manifest))
    assert dangers() == ["chat.E104"]


@pytest.mark.parametrize("manifest", ["", "{}", "no", '{"version": "7"}'])
def test_static_files_whose_list_is_damaged_are_an_error(hashed, settings, manifest):
    settings.STATIC_ROOT.mkdir()
    (settings.STATIC_ROOT / "staticfiles.json").write_text(manifest)
    assert dangers() == ["chat.E104"]


def test_static_files_that_have_nowhere_to_be_are_an_error(hashed, settings):
    settings.STATIC_ROOT = None
    assert dangers() == ["chat.E104"]


def test_a_site_that_serves_no_static_files_or_others_hears_nothing_of_them(hashed, settings):
    settings.INSTALLED_APPS = [
        app for app in settings.INSTALLED_APPS if app != "django.contrib.staticfiles"
    ]
    assert dangers() == []


def test_whoever_develops_hears_nothing_of_that(settings, sqlite, redis_at):
    settings.DEBUG = True
    redis_at("redis://127.0.0.1:6379")
    assert dangers() == []


@pytest.mark.parametrize("host", ["", "/run/postgresql", "localhost", "127.0.0.1", "::1"])
def test_whoever_develops_may_do_so_on_postgresql(settings, postgresql, database, redis_at, host):
    settings.DEBUG = True
    redis_at("redis://127.0.0.1:6379")
    database("postgresql", HOST=host)
    assert dangers() == []


def test_whoever_debugs_what_looks_like_production_is_asked(
    settings, postgresql, database, redis_at
):
    settings.DEBUG = True
    redis_at("redis://127.0.0.1:6379")
    database("postgresql", HOST="db.example")
    assert dangers() == ["chat.W101"]
    database("postgresql", HOST="")
    redis_at("redis://:hunter2@redis.example")
    assert dangers() == ["chat.W101"]


@pytest.mark.parametrize("name", ["CHAT_ALLOWED_ORIGINS", "CSRF_TRUSTED_ORIGINS"])
def test_whoever_debugs_a_site_that_is_served_over_https_is_asked(settings, name):
    settings.DEBUG = True
    setattr(settings, name, ["https://chat.example.org"])
    assert dangers() == ["chat.W101"]
    setattr(settings, name, ["http://127.0.0.1:9000", "https://localhost"])
    assert dangers() == []


# Messages


def test_every_message_says_what_to_do_and_none_shows_a_secret(
    settings, postgresql, database, redis_at
):
    settings.DEBUG = False
    settings.SECRET_KEY = "insecure-hunter2"
    settings.ALLOWED_HOSTS = ["*"]
    settings.CHAT_ALLOWED_ORIGINS = ["https://me:hunter2@example.org"]
    settings.CHAT_WORKERS = 2
    settings.CHAT_POST_RATE = -1
    database("postgresql", PASSWORD="hunter2", HOST="db.example", CONN_MAX_AGE=60)
    redis_at("redis://redis.example", {"address": "redis://:hunter2@redis.example"})
    found = [*check_settings(), *check_deployment()]
    assert len(found) > 5
    for message in found:
        assert message.hint
        for text in (message.msg, message.hint):
            assert "hunter2" not in text
            assert "\n" not in text


# Starting


def test_a_good_start_says_nothing(production, caplog):
    insist()
    assert caplog.messages == []


def test_what_is_wrong_ends_the_start_in_one_line_each(production, settings):
    settings.CHAT_HEARTBEAT = 0
    settings.SECRET_KEY = "insecure-development-key"
    with pytest.raises(SystemExit) as exit:
        insist()
    critical, error = exit.value.code.splitlines()
    assert critical.endswith("(chat.C101)")
    assert error.endswith("(chat.E003)")


def test_what_is_doubtful_is_logged_in_one_line_each(production, settings, postgresql, caplog):
    settings.CHAT_WORKERS = 2
    settings.CHANNEL_LAYERS = {}
    settings.SECRET_KEY = KEY[:40]
    insist()
    error, warning = caplog.records
    assert error.levelno == logging.ERROR
    assert error.getMessage().endswith("(chat.E101)")
    assert warning.levelno == logging.WARNING
    assert warning.getMessage().endswith("(chat.W005)")


def test_a_server_starts_without_static_files_and_says_how_to_collect_them(hashed, caplog):
    insist()
    [line] = caplog.messages
    assert "manage.py collectstatic" in line


def test_what_an_operator_has_silenced_ends_nothing(production, settings):
    settings.ALLOWED_HOSTS = ["*"]
    settings.SILENCED_SYSTEM_CHECKS = ["chat.C103"]
    insist()


@pytest.mark.parametrize(
    ("mistakes", "id"),
    [
        ({"CHAT_HEARTBEAT": "-1"}, "chat.E003"),
        ({"DEBUG": "0", "SECRET_KEY": "insecure-development-key"}, "chat.C101"),
        ({"DEBUG": "0", "SECRET_KEY": KEY, "ALLOWED_HOSTS": "*"}, "chat.C103"),
    ],
)
def test_a_server_does_not_start_like_that(tmp_path, mistakes, id):
    hosts = {"ALLOWED_HOSTS": "chat.example.org", "CHAT_ALLOWED_ORIGINS": SITE}
    env = environment(tmp_path, **{**hosts, "CSRF_TRUSTED_ORIGINS": SITE, **mistakes})
    process = subprocess.run(
        [sys.executable, "-m", "project.server", "--port", "0", "project.asgi:application"],
        cwd=ROOT,
        env=env,
        timeout=PATIENCE,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    [line] = process.stderr.splitlines()
    assert line.endswith(f"({id})")
