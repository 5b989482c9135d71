"""deploy/ at work: PostgreSQL, Valkey, Supervisor with two workers, and nginx with TLS before them.

Our files as they are shipped, but for paths, ports and names. Production's settings, on loopback.
"""

import asyncio
import grp
import json
import os
import pwd
import re
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from http.cookies import SimpleCookie
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from socketserver import ThreadingMixIn, UnixStreamServer
from typing import Any
from urllib.parse import urlencode

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.utils import timezone

from tests.checker import findings
from tests.device import Device, Writing, all_finish, all_have, all_post, living
from tests.fake_browser import Browser, NetworkWire, Refused
from tests.fleet import heads, rows
from tests.history import Event
from tests.servers import PATIENCE, ROOT, manage
from tests.stacks import Missing, PostgreSQL, Valkey

DEPLOY = ROOT / "deploy"
NGINX_CONF = (DEPLOY / "nginx.conf").read_text()
SUPERVISORD_CONF = (DEPLOY / "supervisord.conf").read_text()
EXAMPLE = (DEPLOY / "roost.env.example").read_text()
NAME = "127.0.0.1"  # of the site
PASSWORD = "over the hills"
MIME_TYPES = Path("/etc/nginx/mime.types")
MIB = 1 << 20

# What Debian has around our file. Its timeouts are short, to see that it is ours that count.
AROUND = """
daemon off;
user {user} {group};
worker_processes 2;
pid {home}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    include {mime_types};
    default_type application/octet-stream;
    types_hash_max_size 2048;
    proxy_read_timeout 1s;
    proxy_send_timeout 1s;
    send_timeout 1s;
    client_body_temp_path {home}/temp-1;
    proxy_temp_path {home}/temp-2;
    fastcgi_temp_path {home}/temp-3;
    uwsgi_temp_path {home}/temp-4;
    scgi_temp_path {home}/temp-5;
    include {home}/roost.conf;
}}
"""


def program(name: str) -> str:
    """Where it is; those of an administrator are not on everybody's PATH."""
    path = os.pathsep.join((os.environ["PATH"], "/usr/sbin", "/usr/local/sbin"))
    return shutil.which(name, path=path) or ""


pytestmark = pytest.mark.skipif(
    not (program("nginx") and program("supervisord") and MIME_TYPES.exists()),
    reason="there is no nginx or no Supervisor here: apt install nginx supervisor",
)


def replaced(text: str, changes: dict[str, str]) -> str:
    """Each has to be there."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def user_and_group() -> tuple[str, str]:
    return pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(os.getegid()).gr_name


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        taken = [stack.enter_context(socket.create_server((NAME, 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in taken]


def make_certificate(directory: Path) -> None:
    """One that vouches for itself, as docs/deployment.md makes it with openssl."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = timezone.now()
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(NAME))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (directory / "fullchain.pem").write_bytes(certificate.public_bytes(pem))
    unencrypted = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, unencrypted)
    (directory / "privkey.pem").write_bytes(private)


@dataclass
class Nginx:
    """In front of whoever listens on the Unix sockets in `home`/run."""

    home: Path
    http: int
    https: int
    local: int
    tls: ssl.SSLContext

    def ask(self, path: str, method: str = "GET", *, body: bytes | None = None, **headers: str):
        connection = HTTPSConnection(NAME, self.https, timeout=PATIENCE, context=self.tls)
        return asked(connection, method, path, body, headers)

    def ask_plainly(self, path: str, port: int) -> tuple[HTTPResponse, bytes]:
        return asked(HTTPConnection(NAME, port, timeout=PATIENCE), "GET", path, None, {})


def asked(connection, method, path, body, headers) -> tuple[HTTPResponse, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer, answer.read()
    finally:
        connection.close()


@contextmanager
def nginx(home: Path, static: Path) -> Iterator[Nginx]:
    (home / "run").mkdir(exist_ok=True)
    make_certificate(home)
    http, https, local = free_ports(3)
    site = re.sub(r"^ *listen \[::\].*\n", "", NGINX_CONF, flags=re.M)
    changes = {
        "/run/roost/": f"{home}/run/",
        "/etc/roost/tls/": f"{home}/",
        "/opt/roost/staticfiles/": f"{static}/",
        "/var/log/nginx/": f"{home}/",
        "listen 80;": f"listen {NAME}:{http};",
        "listen 443 ssl": f"listen {NAME}:{https} ssl",
        "listen 127.0.0.1:8080;": f"listen {NAME}:{local};",
        "chat.example.org": NAME,
    }
    (home / "roost.conf").write_text(replaced(site, changes))
    user, group = user_and_group()
    around = AROUND.format(home=home, user=user, group=group, mime_types=MIME_TYPES)
    (home / "nginx.conf").write_text(around)
    command = [program("nginx"), "-e", "stderr", "-p", home, "-c", home / "nginx.conf"]
    tls = ssl.create_default_context(cafile=home / "fullchain.pem")
    with running(command, home / "nginx.log") as process:
        front = Nginx(home, http, https, local, tls)
        wait_for(
            lambda: answers(partial(front.ask_plainly, "/", http)), process, home / "nginx.log"
        )
        yield front


@contextmanager
def running(command, log: Path, **options) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, **options)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()


def wait_for(condition: Callable[[], object], process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 2 * PATIENCE
    while not condition():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def answers(ask: Callable[[], object]) -> bool:
    try:
        return bool(ask())
    except OSError:
        return False


def healthz(path: Path) -> bool:
    """Of the worker on this socket."""
    connection = HTTPConnection(NAME, timeout=PATIENCE)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(path))
    return asked(connection, "GET", "/healthz", None, {})[1] == b"ok"


# A whole site


@dataclass
class Site:
    """As an operator has set it up, and ways to use it."""

    front: Nginx
    postgresql: PostgreSQL
    supervisord_conf: Path
    sockets: list[Path]
    log: Path

    @property
    def origin(self) -> str:
        return f"https://{NAME}:{self.front.https}"

    def restart(self, worker: int) -> None:
        command = [program("supervisorctl"), "-c", self.supervisord_conf]
        subprocess.run(
            [*command, "restart", f"worker:{worker}"],
            check=True,
            timeout=PATIENCE * 2,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 2 * PATIENCE
        while not answers(partial(healthz, self.sockets[worker - 1])):
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)

    def submit(self, path: str, **fields: str) -> SimpleCookie:
        """Fill in a form as a browser does; the cookies that it then has."""
        page, _ = self.front.ask(path)
        cookies = SimpleCookie(page.headers["Set-Cookie"])
        token = cookies["csrftoken"].value
        answer, text = self.front.ask(
            path,
            "POST",
            body=urlencode({"csrfmiddlewaretoken": token, **fields}).encode(),
            Cookie=f"csrftoken={token}",
            Content_Type="application/x-www-form-urlencoded",
            Origin=self.origin,
        )
        assert answer.status == 302, text
        for header in answer.headers.get_all("Set-Cookie"):
            cookies.load(header)
        return cookies

    def kitchen(self) -> str:
        """A room that alice shares with bob."""
        who = {"username": "alice", "password": PASSWORD}
        token = self._post("/api/token", who)["token"]
        return self._post("/api/rooms", {"name": "Kitchen", "members": ["bob"]}, token)["room"]

    def _post(self, path: str, body: dict[str, Any], token: str = "") -> Any:
        headers = {"Content_Type": "application/json", "Authorization": f"Bearer {token}"}
        said = json.dumps(body).encode()
        answer, text = self.front.ask(path, "POST", body=said, **headers)
        assert answer.status in (200, 201), text
        return json.loads(text)

    def wire(self, cookies: SimpleCookie, origin: str = "") -> NetworkWire:
        headers = {"Cookie": f"sessionid={cookies['sessionid'].value}"}
        url = f"wss://{NAME}:{self.front.https}/ws/"
        return NetworkWire(url, headers=headers, origin=origin or self.origin, ssl=self.front.tls)

    def workers(self) -> int:
        """How many have connections now."""
        [[count]] = self.postgresql.execute(
            "SELECT count(DISTINCT lease_id) FROM chat_connection", "roost"
        )
        return int(count)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    # Not in pytest's directory: that is closed to whom PostgreSQL runs as, and its paths are long.
    with tempfile.TemporaryDirectory(prefix="roost-") as directory, ExitStack() as stack:
        home = Path(directory)
        try:
            postgresql = stack.enter_context(PostgreSQL(home / "postgresql", fast=True))
            valkey = stack.enter_context(Valkey(home / "valkey"))
        except Missing as missing:
            pytest.skip(str(missing))
        static = home / "static"
        front = stack.enter_context(nginx(home, static))
        env = environment(front, postgresql, valkey, static)
        manage(env, "migrate")
        ours_alone = ("--ignore", "admin", "--ignore", "ninja")
        manage(env, "collectstatic", "--no-input", *ours_alone)
        conf, log = supervisord_conf(home), home / "supervisord.log"
        command = [program("supervisord"), "-c", conf]
        supervisord = stack.enter_context(running(command, log, env=env))
        sockets = [home / "run" / f"worker-{n}.sock" for n in (1, 2)]
        wait_for(lambda: all(answers(partial(healthz, path)) for path in sockets), supervisord, log)
        yield Site(front, postgresql, conf, sockets, log)
        supervisord.terminate()
        supervisord.wait(PATIENCE)
        assert "Traceback" not in log.read_text()


def environment(
    front: Nginx, postgresql: PostgreSQL, valkey: Valkey, static: Path
) -> dict[str, str]:
    """The example's, with the lines for several workers instead of the one for a file."""
    text = re.sub(r"^DATABASE_URL=sqlite.*\n", "", EXAMPLE, flags=re.M)
    text = re.sub(r"^#(?=[A-Z_]+=)", "", text, flags=re.M)
    changes = {
        "https://chat.example.org": f"https://{NAME}:{front.https}",
        "chat.example.org": NAME,
        "SECRET_KEY=\n": f"SECRET_KEY={secrets.token_urlsafe(50)}\n",
        "CHANNEL_KEYS=\n": f"CHANNEL_KEYS={secrets.token_urlsafe(50)}\n",
        "postgres://roost:password@127.0.0.1/roost": postgresql.url,
        "redis://:password@127.0.0.1:6379/0": valkey.url,
    }
    told = dict(re.findall(r"^([A-Z_]+)=(.*)$", replaced(text, changes), re.M))
    told |= {"DJANGO_SETTINGS_MODULE": "tests.production", "STATIC_ROOT": str(static), "DEBUG": ""}
    return os.environ | told


def supervisord_conf(home: Path) -> Path:
    changes = {
        "/run/roost/": f"{home}/run/",
        "user=roost": f"user={user_and_group()[0]}",
        "%(here)s/../.venv/bin/python": sys.executable,
        "%(here)s/..": str(ROOT),
    }
    conf = home / "supervisord.conf"
    conf.write_text(replaced(SUPERVISORD_CONF, changes))
    return conf


@pytest.fixture(scope="module")
def people(site: Site) -> dict[str, SimpleCookie]:
    """Alice and bob, who have made themselves accounts."""
    made = {}
    for name in ("alice", "bob"):
        words = {"username": name, "password1": PASSWORD, "password2": PASSWORD}
        made[name] = site.submit("/signup/", **words)
    return made


def test_http_leads_to_https(site):
    answer, _ = site.front.ask_plainly("/r/kitchen/?a=b", site.front.http)
    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{NAME}/r/kitchen/?a=b"


def test_whoever_logs_in_over_https_is_given_cookies_for_https_only(site, people):
    cookies = site.submit("/login/", username="alice", password=PASSWORD)
    assert cookies["sessionid"]["secure"]
    assert cookies["csrftoken"]["secure"]
    session = f"sessionid={cookies['sessionid'].value}"
    page, text = site.front.ask("/", Cookie=session)
    assert page.status == 200
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")
    assert b"alice" in text


def test_static_files_come_from_nginx_for_ever_and_compressed(site):
    _, page = site.front.ask("/login/")
    [path] = re.findall(rb'href="(/static/chat/base\.[0-9a-f]{12}\.css)"', page)
    answer, _ = site.front.ask(path.decode(), Accept_Encoding="gzip")
    assert answer.status == 200
    assert "immutable" in answer.headers["Cache-Control"]
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Content-Type"] == "text/css"
    assert "Strict-Transport-Security" in answer.headers
    plain, _ = site.front.ask("/static/chat/base.css")
    assert "immutable" not in plain.headers["Cache-Control"]


async def test_alice_and_bob_talk_over_two_workers(site, people):
    alice = Browser(await site.wire(people["alice"]).connect())
    bob = Browser(await site.wire(people["bob"]).connect())
    try:
        await alice.open()
        await bob.open()
        async with asyncio.timeout(PATIENCE):
            while site.workers() < 2:  # it is told about once a second
                await asyncio.sleep(0.1)
        posted = await alice.post("Tea?", to="bob")
        await bob.until(lambda: bob.client.bodies(posted["room"]) == ["Tea?"])
    finally:
        await alice.close()
        await bob.close()


async def test_a_silent_connection_outlives_the_timeouts_around(site, people):
    page = Browser(await site.wire(people["alice"]).connect())
    try:
        await page.open()
        await asyncio.sleep(3)
        assert (await page.ask("ping"))["type"] == "pong"
    finally:
        await page.close()


async def test_a_page_of_another_site_is_refused(site, people):
    with pytest.raises(Refused) as refusal:
        await site.wire(people["alice"], origin="https://evil.example.org").connect()
    assert refusal.value.__cause__.response.status_code == 403


def test_a_body_that_is_too_large_is_refused_by_name(site):
    answer, text = site.front.ask("/api/token", "POST", body=bytes(11 * MIB))
    assert answer.status == 413
    assert b"Too Large" in text


@pytest.mark.parametrize("path", ["/metrics", "/readyz"])
def test_how_the_site_does_is_told_on_this_machine_only(site, path):
    assert site.front.ask(path)[0].status == 404
    assert site.front.ask_plainly(path, site.front.local)[0].status == 200
    assert site.front.ask_plainly("/login/", site.front.local)[0].status == 404


async def test_nobody_loses_anything_while_workers_are_replaced(site, people):
    history: list[Event] = []
    room = site.kitchen()
    writing = Writing(room, "Tea?", pause=0.3)
    devices = [
        Device(name, partial(site.wire, people[name]), history.append, writing) for name in people
    ]
    async with living(devices):
        await all_post(devices)
        for worker in (1, 2):
            await asyncio.to_thread(site.restart, worker)
            await all_post(devices)
        await all_finish(devices)
        ends = heads(site.postgresql, [room])
        await all_have(devices, ends)
    there = [event for event in history if getattr(event, "room", room) == room]
    assert findings(there, rows(site.postgresql, [room]), ends) == []
    lost = [connection for device in devices for connection in device.lost]
    assert lost
    assert all(connection.was_sent_on for connection in lost)
    assert not any(device.failures for device in devices)  # they found another worker at once


# nginx alone, with workers that only repeat what they are told


class Parrot(BaseHTTPRequestHandler):
    """Answers with the headers that came; or, where it is rude, not at all."""

    def do_GET(self) -> None:
        self.server.asked.append(self.command)
        if "rude" in self.path:
            self.close_connection = True
            return
        heard = json.dumps(self.headers.items()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(heard)))
        self.end_headers()
        self.wfile.write(heard)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


class Parrots(ThreadingMixIn, UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: Path, asked: list[str]) -> None:
        self.asked = asked
        super().__init__(str(path), Parrot)


@dataclass
class Parroting:
    front: Nginx
    asked: list[str]


@pytest.fixture(scope="module")
def parrots() -> Iterator[Parroting]:
    with tempfile.TemporaryDirectory(prefix="roost-") as directory, ExitStack() as stack:
        home = Path(directory)
        front = stack.enter_context(nginx(home, home))
        asked: list[str] = []
        for n in (1, 2):
            server = stack.enter_context(Parrots(home / "run" / f"worker-{n}.sock", asked))
            threading.Thread(target=server.serve_forever, args=(0.02,)).start()
            stack.callback(server.shutdown)
        yield Parroting(front, asked)


def test_what_a_client_says_of_itself_reaches_no_worker(parrots):
    lies = {
        "X_Forwarded_For": "203.0.113.5",
        "X_Forwarded_Proto": "http",
        "Daphne_Root_Path": "/evil",
        "Connection": "X-Forwarded-For",
    }
    _, text = parrots.front.ask("/", **lies)
    heard = sorted((name.lower(), value) for name, value in json.loads(text))
    assert heard == [
        ("accept-encoding", "identity"),
        ("connection", "close"),
        ("host", f"{NAME}:{parrots.front.https}"),
        ("x-forwarded-for", NAME),
        ("x-forwarded-proto", "https"),
    ]


def test_a_post_that_a_worker_has_seen_is_not_sent_to_another(parrots):
    parrots.asked.clear()
    assert parrots.front.ask("/rude", "POST", body=b"Tea?")[0].status == 502
    assert parrots.asked == ["POST"]
    parrots.asked.clear()
    assert parrots.front.ask("/rude")[0].status == 502
    assert parrots.asked == ["GET", "GET"]
