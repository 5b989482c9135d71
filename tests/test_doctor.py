"""The doctor names what is wrong and how to mend it, in time, and tells no secret."""

import json
import socket
import ssl
import subprocess
import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import ClassVar
from unittest.mock import patch

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import OperationalError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from chat import health, leases
from chat.doctor import (
    database,
    examination,
    layer,
    machine,
    network,
    packages,
    people,
    site,
    workers,
)
from chat.doctor import settings as configuration
from chat.doctor.examination import Part, findings
from chat.doctor.findings import Verdict, ok
from chat.journal import Journal
from chat.models import Lease, Room
from chat.switchboard import Switchboard
from chat.watch import Watch
from tests.conversation import say
from tests.servers import PATIENCE, ROOT, environment
from tests.stacks import Missing, Valkey
from tests.test_checks import KEY, SITE

OK, DOUBTFUL, WRONG = Verdict


def verdicts(found):
    return [finding.verdict for finding in found]


def only(found):
    [finding] = found
    return finding


@pytest.fixture
def production(settings):
    settings.DEBUG = False
    settings.SECRET_KEY = KEY
    settings.SECRET_KEY_FALLBACKS = []
    settings.ALLOWED_HOSTS = ["chat.example.org"]
    settings.CSRF_TRUSTED_ORIGINS = settings.CHAT_ALLOWED_ORIGINS = [SITE]
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SECURE_HSTS_SECONDS = 60
    settings.SECURE_SSL_REDIRECT = True


@pytest.fixture
def nowhere():
    """A port on which nobody listens, and nobody else can."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# The whole


@pytest.fixture
def doctor(tmp_path):
    """Runs the command as an operator does: output and status."""

    def run(*options, **changes):
        process = subprocess.run(
            [sys.executable, "manage.py", "doctor", "--no-color", *options],
            cwd=ROOT,
            env=environment(tmp_path, **changes),
            capture_output=True,
            text=True,
            timeout=PATIENCE * 2,
        )
        assert process.stderr == ""
        return process.stdout, process.returncode

    return run


def test_whatever_is_down_is_named_and_no_password_is(doctor, nowhere):
    said, status = doctor(
        DEBUG="0",
        SECRET_KEY="insecure-sesame",
        DATABASE_URL=f"postgres://roost:hush-hush@127.0.0.1:{nowhere}/roost",
        REDIS_URL=f"redis://:tell-nobody@127.0.0.1:{nowhere}/0",
        CHAT_WORKERS="2",
        CHANNEL_KEYS="open-sesame",
    )
    assert status == 1
    assert f"wrong    database: 127.0.0.1:{nowhere}/roost cannot be reached: the connection" in said
    assert f"wrong    channel layer: The channel layer is stopped: 127.0.0.1:{nowhere}" in said
    assert "up to a second late; nothing is lost" in said
    assert "(chat.C101)" in said
    assert not any(word in said for word in ("hush-hush", "tell-nobody", "sesame", "Traceback"))


def test_what_machines_read_says_the_same(doctor):
    said, status = doctor("--json")
    told = json.loads(said)
    assert (status, told["wrong"]) == (1, True)
    [missing] = [found for found in told["findings"] if found["verdict"] == "wrong"]
    assert missing["part"] == "database"
    assert "manage.py migrate" in missing["remedy"]


@pytest.fixture
def durable(monkeypatch):
    """The PostgreSQL of the tests waits for no disk, which the doctor does not like."""
    monkeypatch.setattr(database, "_durability", lambda: ok("Durable."))


def test_a_healthy_site_ends_with_status_0(transactional_db, durable, settings, capsys):
    settings.DEBUG = True
    call_command("doctor", "--no-color", "--thorough")
    said = capsys.readouterr().out
    assert f"{0} wrong" in said
    assert "doubtful machine" not in said
    assert "No message lies beyond the head of its room." in said


# In time


def test_what_hangs_is_left_alone(monkeypatch):
    over = Event()

    def hang():
        yield ok("so far")
        over.wait()

    first, second = findings(Part("part", hang, 0.2))
    over.set()
    assert first.says == "so far"
    assert second.verdict == WRONG
    assert "within 0.2 seconds" in second.says


def test_a_doctor_who_faints_says_so():
    def faint():
        raise LookupError("oops")

    finding = only(findings(Part("part", faint)))
    assert finding.verdict == DOUBTFUL
    assert "LookupError: oops" in finding.says


def test_secrets_that_a_driver_says_are_left_out(monkeypatch, settings):
    settings.SECRET_KEY = "open-sesame"
    monkeypatch.setitem(connection.settings_dict, "PASSWORD", "hush-hush")
    look = [ok("hush-hush and open-sesame")]
    [line] = examination._lines(Part("part", lambda: look))
    assert line.finding.says == "… and …"


# Settings


def test_debugging_is_told(settings):
    settings.DEBUG = True
    assert DOUBTFUL in verdicts(configuration.look())


def test_a_careful_site_is_fine(production, settings):
    found = [*configuration._origins()]
    assert verdicts(found) == [OK]
    assert SITE in found[0].says


def test_a_host_without_an_origin_is_doubtful(production, settings):
    settings.ALLOWED_HOSTS = ["chat.example.org", "www.example.org", "127.0.0.1", ".example.net"]
    finding = only(configuration._origins())
    assert finding.verdict == DOUBTFUL
    assert "but not www.example.org of" in finding.says


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.11", "[fd00::11]"])
def test_a_machine_that_is_watched_by_its_address_shows_no_pages(production, settings, address):
    settings.ALLOWED_HOSTS = ["chat.example.org", address]
    assert verdicts(configuration._origins()) == [OK]


def test_forms_of_strangers_are_doubtful(production, settings):
    settings.CSRF_TRUSTED_ORIGINS = [SITE, "https://elsewhere.example"]
    finding = only(configuration._origins())
    assert finding.verdict == DOUBTFUL
    assert "https://elsewhere.example" in finding.says


def test_what_checks_say_is_told_with_their_hints(production, settings):
    settings.ALLOWED_HOSTS = ["*"]
    told = {finding.says: finding for finding in configuration.look()}
    [about] = [finding for says, finding in told.items() if "(chat.C103)" in says]
    assert about.verdict == WRONG
    assert "ALLOWED_HOSTS=chat.example.org" in about.remedy


# Packages


def test_what_is_installed_is_what_is_required():
    assert WRONG not in verdicts(packages.look())


def test_a_version_that_is_known_to_be_bad_is_wrong():
    versions = {"redis": "8.0.1", "daphne": "4.2.1"}
    with patch.object(packages, "_installed", lambda name: versions.get(name, "")):
        redis, daphne = (packages._outside(name, packages.KNOWN[name]) for name in versions)
        assert "has to be <8: 8 drops connections" in only(redis).says
        assert "CVE-2026-44545" in only(daphne).says


def test_what_is_older_than_the_lock_is_doubtful(tmp_path, monkeypatch):
    lock = tmp_path / "requirements.txt"
    lock.write_text("django==99.1.2 \\\n    --hash=sha256:0\nnever-heard-of-it==1.0\n")
    monkeypatch.setattr(packages, "LOCK", lock)
    assert [*packages._older_than_pinned()] == [f"django {packages._installed('django')} (99.1.2)"]


def test_the_doctor_asks_for_no_less_than_the_requirements():
    required = (ROOT / "requirements.in").read_text()
    for name, known in packages.KNOWN.items():
        [line] = [
            line
            for line in required.splitlines()
            if line.startswith(name) and (not line[len(name)].isalpha() and line[len(name)] != "-")
        ]
        assert known.least.rstrip("0") in line or not known.least, name


# The database


def test_the_database_is_told_by_its_name_and_version(db, durable):
    finding = only(database.reach())
    assert finding.verdict == OK
    assert finding.says.startswith(("SQLite 3", "PostgreSQL 1"))
    assert WRONG not in verdicts(database.look())


def test_a_file_that_is_not_there_is_not_made(monkeypatch, tmp_path):
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setitem(connection.settings_dict, "NAME", str(tmp_path / "none.sqlite3"))
    assert only(database.reach()).verdict == WRONG
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("said", "meaning", "remedy"),
    [
        ('FATAL:  password authentication failed for user "roost"', "name or password", "%40"),
        ('FATAL:  database "roost" does not exist', "no such database", "CREATE DATABASE"),
        ("FATAL:  sorry, too many clients already", "are taken", "max_connections"),
        ("connection timeout expired", "answers nothing", "Start it"),
        ("FATAL:  the database system is starting up", "is starting", "Start it"),
        ("unsupported startup parameter: options", "PgBouncer", "ignore_startup_parameters"),
        ("something new\nin two lines", "something new in two lines", "Start it"),
    ],
)
def test_what_postgresql_says_is_put_into_plain_words(said, meaning, remedy, monkeypatch):
    monkeypatch.setattr(connection, "vendor", "postgresql")
    monkeypatch.setitem(connection.settings_dict, "HOST", "")
    real = type(connections["default"])
    with patch.object(real, "ensure_connection", side_effect=OperationalError(said)):
        finding = only(database.reach())
    assert finding.verdict == WRONG
    assert meaning in finding.says
    assert remedy in finding.remedy


def test_one_of_two_servers_is_enough_to_go_on(monkeypatch):
    monkeypatch.setattr(connection, "vendor", "postgresql")
    monkeypatch.setitem(connection.settings_dict, "HOST", "one,two")
    monkeypatch.setitem(connection.settings_dict, "PORT", "")
    assert database._servers() == [("one", 5432), ("two", 5432)]


def test_migrations_that_have_not_been_applied_are_wrong(db):
    health._missing.cache_clear()
    with patch.object(MigrationExecutor, "migration_plan", return_value=[("chat", "0007")] * 2):
        finding = only(database.compare_migrations())
    health._missing.cache_clear()
    assert finding.verdict == WRONG
    assert "2 migrations" in finding.says


def test_a_database_that_does_not_wait_for_the_disk_is_wrong(monkeypatch):
    monkeypatch.setattr(database, "_ask", lambda statement: "off")
    assert database._durability().verdict == WRONG
    off = {"SHOW synchronous_commit": "off"}
    monkeypatch.setattr(database, "_ask", lambda statement: off.get(statement, "on"))
    assert database._durability().verdict == DOUBTFUL
    pragmas = {"PRAGMA journal_mode": "wal", "PRAGMA synchronous": 1}
    monkeypatch.setattr(database, "_ask", pragmas.get)
    assert only(database._sqlite()).verdict == WRONG
    pragmas |= {"PRAGMA journal_mode": "delete", "PRAGMA synchronous": 2}
    assert only(database._sqlite()).verdict == DOUBTFUL


@pytest.mark.parametrize(("workers", "verdict"), [(5, OK), (6, DOUBTFUL), (9, WRONG)])
def test_connections_for_all_workers_are_counted(workers, verdict, monkeypatch, settings):
    settings.CHAT_WORKERS = workers
    monkeypatch.setitem(settings.DATABASES["default"], "OPTIONS", {"pool": {"max_size": 8}})
    told = {"max_connections": 100, "superuser_reserved": 3, "rolconnlimit": -1, "count": 7}
    monkeypatch.setattr(
        database, "_ask", lambda asked: next(n for words, n in told.items() if words in asked)
    )
    assert database._room().verdict == verdict


async def test_a_worker_has_as_many_connections_as_the_doctor_counts(transactional_db):
    with (
        patch("chat.database.ThreadPoolExecutor") as threads,
        patch.object(connection, "vendor", "postgresql"),
    ):
        switchboard = Switchboard(None)
        Watch(switchboard)
        Journal(switchboard.publish)
    assert sum(call.args[0] for call in threads.call_args_list) == database.OWN_CONNECTIONS


@pytest.mark.parametrize(("seconds", "verdict"), [(0, OK), (5, DOUBTFUL), (-60, WRONG)])
def test_clocks_are_compared(seconds, verdict, monkeypatch):
    theirs = datetime.now(UTC) + timedelta(seconds=seconds)
    monkeypatch.setattr(database, "_ask", lambda _: theirs)
    assert database._clock().verdict == verdict


def test_somebody_between_is_noticed_by_the_process_that_they_tell(db, monkeypatch):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has nobody between")
    connection.ensure_connection()
    assert not database._is_behind_pgbouncer()
    monkeypatch.setattr(database, "_ask", lambda _: -1)
    assert database._is_behind_pgbouncer()


def test_a_damaged_file_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "vendor", "sqlite")
    monkeypatch.setattr(
        database, "_ask", lambda asked: "row 7 missing from index" if "PRAGMA" in asked else 0
    )
    assert verdicts(database.read_all()) == [WRONG, OK]


def test_messages_beyond_the_head_are_wrong(db, kitchen, alice):
    say(alice, kitchen, "one", "two")
    assert verdicts(database.read_all())[-1] == OK
    Room.objects.filter(pk=kitchen.pk).update(rev=1)
    assert verdicts(database.read_all())[-1] == WRONG


# The way to a server


def test_each_obstacle_has_its_words(nowhere):
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert network.obstacle("127.0.0.1", server.getsockname()[1]) == ""
    assert "refused" in network.obstacle("127.0.0.1", nowhere)
    for error, words in (
        (socket.gaierror(), "nobody knows the name db.example.org"),
        (TimeoutError(), "nothing answered"),
        (OSError(101, "Network is unreachable"), "Network is unreachable"),
    ):
        with patch("socket.create_connection", side_effect=error):
            assert words in network.obstacle("db.example.org", 5432)


# The channel layer


def test_a_layer_that_works_is_measured(transactional_db):
    assert verdicts(layer.look())[-1] == OK


def test_a_password_that_is_refused_is_told(valkey, settings):
    url = valkey.url.replace(valkey.secret, "guessed")
    settings.CHANNEL_LAYERS = redis_at(url)
    finding = only(layer.look())
    assert "refuses our password" in finding.says
    assert "guessed" not in finding.says + finding.remedy


def test_a_server_that_hangs_is_told(valkey, settings):
    settings.CHANNEL_LAYERS = redis_at(valkey.url)
    valkey.pause()
    try:
        finding = only(layer.look())
    finally:
        valkey.resume()
    assert "answers nothing" in finding.says


def test_a_server_that_answers_is_told_by_its_version(valkey, settings):
    settings.CHANNEL_LAYERS = redis_at(valkey.url)
    server, echo = layer.look()
    assert server.says.startswith("Valkey ")
    assert "comes back within" in echo.says


@pytest.fixture(scope="module")
def valkey():
    with tempfile.TemporaryDirectory(prefix="roost-") as home:
        try:
            server = Valkey(Path(home))
        except Missing as missing:
            pytest.skip(str(missing))
        with server:
            yield server


def redis_at(url):
    backend = "channels_redis.pubsub.RedisPubSubChannelLayer"
    return {"default": {"BACKEND": backend, "CONFIG": {"hosts": [{"address": url}]}}}


# People, workers, machine


def test_users_of_the_demo_are_wrong_in_production(db, settings):
    settings.DEBUG = True
    call_command("demo", verbosity=0)
    settings.DEBUG = False
    found = [*people._demo_users()]
    assert verdicts(found) == [WRONG]
    assert found[0].says.startswith("admin, alice, bob, charlie of the demo")
    for user in get_user_model().objects.all():
        user.set_password("her own")
        user.save()
    assert verdicts(people._demo_users()) == [OK]


def test_a_superuser_who_is_never_there_is_doubtful(db):
    assert verdicts(people._superusers()) == [OK]
    get_user_model().objects.create_superuser("root", password="long enough")
    assert "root" in only(people._superusers()).says
    get_user_model().objects.update(last_login=datetime.now(UTC))
    assert verdicts(people._superusers()) == [OK]


def test_workers_are_counted_by_their_leases(db, alice, settings):
    assert "Nobody is connected" in only(workers.look()).says
    leases.begin("one", {"socket": leases.Link(alice.pk)})
    assert verdicts(workers.look()) == [OK]
    leases.begin("two", {})
    assert "CHAT_WORKERS says 1" in only(workers.look()).says
    Lease.objects.filter(pk="two").update(renewed_at=datetime.now(UTC) - timedelta(hours=1))
    dead, living = workers.look()
    assert (dead.verdict, living.verdict) == (DOUBTFUL, OK)
    assert "1 worker ended without a word: " in dead.says


def test_a_worker_of_several_that_holds_everything_is_doubtful(db, alice, settings):
    settings.CHAT_WORKERS = 2
    leases.begin("one", {f"socket{n}": leases.Link(alice.pk) for n in range(20)})
    assert "1 of 2 workers hold all of 20 connections" in only(workers.look()).says


@pytest.mark.parametrize(("free", "verdict"), [(1, WRONG), (5e8, DOUBTFUL), (5e9, OK)])
def test_a_full_disk_is_told(free, verdict, db):
    with patch("shutil.disk_usage") as usage:
        usage.return_value.free = int(free)
        assert {*verdicts(machine._disks())} == {verdict}


def test_few_descriptors_are_doubtful():
    with patch("resource.getrlimit", return_value=(1024, 1024)):
        assert machine._descriptors().verdict == DOUBTFUL


# The site, from outside


class Pages(BaseHTTPRequestHandler):
    """What a proxy may answer in front of the site; tests say what differs."""

    protocol_version = "HTTP/1.1"
    answers: ClassVar[dict] = {}

    def do_GET(self):
        own = f"http://127.0.0.1:{self.server.server_port}"
        asked = "own" if self.headers["Origin"] == own else "foreign"
        key = asked if self.path == "/ws/" else self.path
        usual = {"/healthz": (200, b"ok"), "/readyz": (200, b"{}"), "own": (101, GOODBYE)}
        status, body = self.answers.get(key) or usual.get(key, (403, b""))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_):
        pass


GOODBYE = b"\x81\x02hi" + b"\x88\x02" + (4501).to_bytes(2)


@pytest.fixture
def pages():
    """Where they are; what is to differ."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server, patch.dict(Pages.answers) as told:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", told
        server.shutdown()
        thread.join()


def test_a_site_that_serves_is_fine(pages):
    found = [*site.look(pages[0])]
    assert verdicts(found) == [OK, OK, OK]
    assert "asks who is there" in found[1].says


def test_a_proxy_need_not_tell_the_world_whether_a_worker_is_ready(pages):
    url, told = pages
    told["/readyz"] = (404, b"")
    found = [*site.look(url)]
    assert verdicts(found) == [OK, OK, OK]
    assert "nobody outside" in found[0].says


@pytest.mark.parametrize(
    ("path", "answer", "says", "remedy"),
    [
        ("/healthz", (502, b""), "answers with 502", "no worker lives"),
        ("/readyz", (503, b'{"database": "does not answer"}'), "database does not", ""),
        ("own", (403, b""), "does not know itself as http://127", "CHAT_ALLOWED_ORIGINS"),
        ("own", (400, b""), "answered with 400", "Upgrade"),
        ("own", (101, b"\x88\x02\x03\xf3"), "ends with 1011", "log"),
        ("foreign", (101, GOODBYE), "Pages of any other site", "Origin"),
    ],
)
def test_what_comes_through_the_proxy_is_told(pages, path, answer, says, remedy):
    url, told = pages
    told[path] = answer
    [finding] = [finding for finding in site.look(url) if finding.verdict != OK]
    assert says in finding.says
    assert remedy in finding.remedy


def test_a_certificate_that_nobody_trusts_is_wrong(tmp_path):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_made(tmp_path / "certificate.pem"))
    with socket.create_server(("127.0.0.1", 0)) as plain:
        listener = context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
        thread = Thread(target=lambda: shake_hands(listener))
        thread.start()
        finding = site._certificate("127.0.0.1", listener.getsockname()[1])
        thread.join()
        listener.close()
    assert finding.verdict == WRONG
    assert "self-signed certificate" in finding.says


def shake_hands(listener):
    connection, _ = listener.accept()
    with connection, suppress(OSError):
        connection.do_handshake()


def self_made(file):
    """A certificate with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = made.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    encoding = serialization.Encoding.PEM
    file.write_bytes(
        key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + signed.sign(key, hashes.SHA256()).public_bytes(encoding)
    )
    return file


@pytest.mark.parametrize(("days", "verdict"), [(60, OK), (3, DOUBTFUL)])
def test_a_certificate_that_ends_soon_is_doubtful(days, verdict):
    ends = datetime.now(UTC) + timedelta(days=days, hours=1)
    with (
        patch("socket.create_connection"),
        patch("ssl.create_default_context") as context,
    ):
        encrypted = context.return_value.wrap_socket.return_value.__enter__.return_value
        encrypted.getpeercert.return_value = {"notAfter": f"{ends:%b %d %H:%M:%S %Y} GMT"}
        finding = site._certificate("chat.example.org", 443)
    assert finding.verdict == verdict
    assert f"{ends:%Y-%m-%d}" in finding.says


def test_a_site_that_is_away_is_wrong(nowhere):
    assert "cannot be reached" in only(site.look(f"https://127.0.0.1:{nowhere}")).says
    assert "no address" in only(site.look("ftp://chat.example.org")).says
