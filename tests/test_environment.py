"""What stands in the environment is understood, or refused in one line that says what would be."""

import subprocess
import sys
from pathlib import Path

import pytest

from project import environment as env
from tests.servers import PATIENCE, ROOT, environment

FILE = Path("/srv/roost/db.sqlite3")


@pytest.fixture
def said(monkeypatch):
    """Sets NAME; without a value, nothing is set."""
    return lambda value: monkeypatch.setenv("NAME", value)


def refusal(read, *args, **options):
    with pytest.raises(SystemExit) as exit:
        read("NAME", *args, **options)
    line = exit.value.code
    assert line.startswith("NAME ")
    assert "\n" not in line
    return line


def test_what_is_not_set_is_the_default(monkeypatch):
    monkeypatch.delenv("NAME", raising=False)
    assert defaults() == ("", [], True, 10, 1, "INFO", "")


def test_what_is_empty_is_not_set(said):
    said("")
    assert defaults() == ("", [], True, 10, 1, "INFO", "")


def defaults():
    return (
        env.text("NAME"),
        env.words("NAME"),
        env.switch("NAME", True),
        env.number("NAME", 10),
        env.whole("NAME", 1),
        env.one_of("NAME", ("DEBUG", "INFO"), "INFO"),
        env.redis_url("NAME"),
    )


def test_a_text_is_taken_as_it_is(said):
    said("$ecret, #1")
    assert env.text("NAME") == "$ecret, #1"


def test_words_are_parted_by_commas_and_perhaps_blanks(said):
    said("https://a.example, https://b.example,")
    assert env.words("NAME") == ["https://a.example", "https://b.example"]


@pytest.mark.parametrize("value", ["1", "true", "True", "yes", "ON"])
def test_a_switch_can_be_on(said, value):
    said(value)
    assert env.switch("NAME", False) is True


@pytest.mark.parametrize("value", ["0", "false", "False", "no", "OFF"])
def test_a_switch_can_be_off(said, value):
    said(value)
    assert env.switch("NAME", True) is False


@pytest.mark.parametrize("value", ["ture", "2", "oui", "None"])
def test_a_mistyped_switch_is_neither_on_nor_off(said, value):
    said(value)
    assert "1 (on) or 0 (off)" in refusal(env.switch, True)


@pytest.mark.parametrize(("value", "number"), [("10", 10), ("0.5", 0.5), ("1e3", 1000), ("-1", -1)])
def test_a_number_is_what_it_says(said, value, number):
    said(value)
    assert env.number("NAME", 7) == number


@pytest.mark.parametrize("value", ["fast", "10/s", "1,5", "nan", "inf", "1e999"])
def test_what_is_no_number_is_refused(said, value):
    said(value)
    assert "a number, for example 7" in refusal(env.number, 7)


@pytest.mark.parametrize("value", ["2.5", "many", "1e3"])
def test_what_cannot_be_counted_is_refused(said, value):
    said(value)
    assert "a whole number" in refusal(env.whole, 1)


def test_what_is_too_little_is_refused(said):
    said("-1")
    assert "a whole number from 1, for example 5" in refusal(env.whole, 5, least=1)
    assert "a number from 0, for example 5" in refusal(env.number, 5, least=0)


def test_networks_are_addresses_or_ranges(said):
    said("127.0.0.1, 10.1.2.3/8,::1")
    assert env.networks("NAME") == ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]
    said("proxy.example")
    assert "addresses or networks" in refusal(env.networks)


def test_a_choice_may_be_written_small(said):
    said("debug")
    assert env.one_of("NAME", ("DEBUG", "INFO"), "INFO") == "DEBUG"
    said("loud")
    assert "DEBUG, INFO" in refusal(env.one_of, ("DEBUG", "INFO"), "INFO")


# Addresses of servers


@pytest.mark.parametrize(
    "file", [FILE, Path("/srv/c++ 100%/a?b#c.sqlite3"), Path("/srv/me@work/a.sqlite3")]
)
def test_the_database_is_a_file_by_default(monkeypatch, file):
    monkeypatch.delenv("NAME", raising=False)
    entry = env.database("NAME", default=file)
    assert entry["ENGINE"] == "django.db.backends.sqlite3"
    assert entry["NAME"] == str(file)


def test_a_file_may_lie_below_any_name(said):
    said("sqlite:////srv/me@work/a.sqlite3")
    assert env.database("NAME", default=FILE)["NAME"] == "/srv/me@work/a.sqlite3"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_the_database_may_be_postgresql(said, scheme):
    said(f"{scheme}://roost:p%40ss%2Fw@db.example:5433/chat?sslmode=require")
    entry = env.database("NAME", default=FILE)
    assert entry == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "chat",
        "USER": "roost",
        "PASSWORD": "p@ss/w",
        "HOST": "db.example",
        "PORT": 5433,
        "OPTIONS": {"sslmode": "require"},
    }


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "hunter2@db.example/chat",
        "//roost:hunter2@db.example/chat",
        "mysql://roost:hunter2@db.example/chat",
        "postgres://roost:hunter2@db.example",  # which database?
        "postgres://roost:hunter2@db.example:port/chat",
        "postgres://roost:hun/ter2@db.example/chat",
        "sqlite://db.sqlite3",  # two slashes too few
    ],
)
def test_a_database_that_cannot_be_is_refused_without_showing_its_password(
    said, url, recwarn, capfd
):
    said(url)
    line = refusal(env.database, default=FILE)
    assert "postgres://user:password@host/name" in line
    assert "sqlite:////path/to/file" in line
    shown = (
        line + "".join(str(warning.message) for warning in recwarn) + "".join(capfd.readouterr())
    )
    assert "hunter2" not in shown
    assert "ter2" not in shown


@pytest.mark.parametrize(
    "url",
    ["redis://127.0.0.1:6379/0", "rediss://:p%40ss@redis.example", "unix:///run/valkey.sock?db=1"],
)
def test_an_address_of_redis_is_taken_as_it_is(said, url):
    said(url)
    assert env.redis_url("NAME") == url


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "127.0.0.1:6379",
        "http://:hunter2@redis.example",
        "redis://:hunter2@redis.example:port/0",
        "redis://:hunter2@redis.example/?socket_timeout=soon",
    ],
)
def test_a_redis_that_cannot_be_is_refused_without_showing_its_password(said, url):
    said(url)
    line = refusal(env.redis_url)
    assert "redis://:password@host:6379/0" in line
    assert "hunter2" not in line


# The whole of it, as an operator meets it


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CHAT_POST_RATE", "fast"),
        ("CHAT_HEARTBEAT", "often"),
        ("CHAT_WORKERS", "many"),
        ("CHAT_OPEN_SIGNUP", "perhaps"),
        ("DATABASE_URL", "nonsense"),
        ("REDIS_URL", "nonsense"),
        ("LOG_LEVEL", "loud"),
        ("TRUSTED_PROXIES", "everybody"),
        ("WEBSOCKET_MESSAGE_BYTES", "65535"),
        ("WEBSOCKET_FRAME_BYTES", "1 MiB"),
        ("DRAIN_SECONDS", "-1"),
        ("SECRET_KEY", ""),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path, name, value):
    settings = {name: value} | ({"DEBUG": "0"} if name == "SECRET_KEY" else {})
    process = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env=environment(tmp_path, **settings),
        timeout=PATIENCE,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1
    [line] = process.stderr.splitlines()
    assert name in line
