"""What `make workers` runs: a whole site, with servers of its own, that ends without a trace."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests import site, stacks
from tests.servers import PATIENCE, ROOT

# One that keeps what people write in the directory that is its first argument.
START = """
import sys
from pathlib import Path
from tests import site

site.PLACE = Path(sys.argv[1])
sys.exit(site.main("--workers", "1", "--port", "0"))
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """Open to PostgreSQL, too, which as root runs as nobody; what is of pytest is closed."""
    with tempfile.TemporaryDirectory(prefix="roost-") as directory:
        Path(directory).chmod(0o711)
        yield Path(directory) / "var"


@pytest.fixture
def start(place: Path, tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    try:
        stacks._postgresql(), stacks._valkey()
    except stacks.Missing as missing:
        pytest.skip(str(missing))
    temporary = {"TMPDIR": str(place.parent)}  # who is killed leaves something there
    env = (
        os.environ
        | temporary
        | {"DEBUG": "1", "DATABASE_URL": "", "REDIS_URL": "", "CHAT_WORKERS": ""}
    )
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        with (tmp_path / "log").open("wb") as log:
            command = [sys.executable, "-c", START, str(place)]
            started.append(
                subprocess.Popen(
                    command, cwd=ROOT, env=env, stdout=log, stderr=log, process_group=0
                )
            )
        return started[-1]

    yield start
    for process in started:
        process.terminate()
        process.wait(PATIENCE * 2)


def port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    """Once it serves."""
    deadline = time.monotonic() + PATIENCE * 3
    while not (found := re.search(r"serve http://127.0.0.1:(\d+)", log.read_text())):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.1)
    return int(found[1])


def ask(port: int, method: str, path: str, body: object = None, token: str = "") -> tuple[int, str]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def descendants(pid: int) -> set[int]:
    children = stacks._children(pid)
    return {*children}.union(*map(descendants, children))


def is_alive(pid: int) -> bool:
    """And no zombie, which waits for somebody to bury it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_site_ends_without_a_trace_and_comes_back_with_what_it_knew(start, tmp_path):
    process = start()
    port = port_of(process, tmp_path / "log")
    assert ask(port, "GET", "/readyz")[0] == 200
    status, answer = ask(port, "POST", "/api/token", {"username": "alice", "password": "demo"})
    assert status in (200, 201)
    family = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    assert process.wait(PATIENCE * 2) == 0
    assert not [pid for pid in family if is_alive(pid)]

    process = start()
    port = port_of(process, tmp_path / "log")
    assert ask(port, "GET", "/api/me", token=json.loads(answer)["token"])[0] == 200
    process.terminate()
    assert process.wait(PATIENCE * 2) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells them")
def test_nobody_is_left_of_a_site_that_is_killed(start, tmp_path):
    process = start()
    port_of(process, tmp_path / "log")
    family = descendants(process.pid)
    process.kill()
    process.wait(PATIENCE)
    deadline = time.monotonic() + PATIENCE
    while left := [pid for pid in family if is_alive(pid)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to yield to somebody else")
def test_it_says_when_nothing_can_be_kept(tmp_path, monkeypatch, capsys):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(site, "PLACE", closed / "var")
    with site.lasting_place() as place:
        assert place.exists()
        assert not place.is_relative_to(closed)
    assert not place.exists()
    assert "nothing will be kept" in capsys.readouterr().out


def test_there_is_one_at_a_time(place, monkeypatch):
    monkeypatch.setattr(site, "PLACE", place)
    with site.lasting_place(), pytest.raises(SystemExit, match="run already"), site.lasting_place():
        pass
    with site.lasting_place():
        pass


def test_servers_that_are_named_are_not_started(monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "sqlite:////nowhere")
    monkeypatch.setenv("REDIS_URL", "redis://nowhere")
    monkeypatch.setattr(site, "turn_deaf", lambda: None)
    with site.servers() as urls:
        assert urls == {}
