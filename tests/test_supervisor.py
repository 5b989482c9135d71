"""Several workers behind one address: started, spread, replaced and ended by project.workers."""

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, RemoteDisconnected
from pathlib import Path
from typing import Any, Self

import pytest

from project import workers
from tests.servers import PATIENCE, ROOT, environment

# Settings and application in one. Its start is refused while there is a file called `refused`.
SMALL_SITE = """
import asyncio, json, os, sys, time
from pathlib import Path
from project.settings import *

INSTALLED_APPS = ["daphne", "project"]
ASGI_APPLICATION = "small_site.application"
if Path(__file__).with_name("refused").exists():
    sys.exit("A setting is refused.")

async def application(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError
    if scope["path"] == "/hang":
        print("It hangs.")
        time.sleep(60)
    if scope["path"] == "/log":
        sys.stdout.write("a line\\n" + "x" * 200_000 + "\\n")
        sys.stderr.buffer.write(b"no \\xff text\\nno end")
        os._exit(0)
    told = {"pid": os.getpid(), "workers": os.environ["CHAT_WORKERS"]}
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": json.dumps(told).encode()})
"""


class Workers:
    """A supervisor, on a port that was free, and what it has said so far."""

    def __init__(self, home: Path, count: int, port: int = 0, **env: str) -> None:
        (home / "small_site.py").write_text(SMALL_SITE)
        self.refusal = home / "refused"
        self.log = home / f"log {time.monotonic_ns()}"
        self._command = ["--workers", str(count), "--port", str(port)]
        ours = {"PYTHONPATH": str(home), "DJANGO_SETTINGS_MODULE": "small_site", "CHAT_WORKERS": ""}
        self._env = environment(home, **ours, **env)
        self.port = 0

    def __enter__(self) -> Self:
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "project.workers", *self._command],
                cwd=ROOT,
                env=self._env,
                stdout=log,
                stderr=log,
                process_group=0,  # as a terminal does
            )
        return self

    def __exit__(self, *_: object) -> None:
        """However the test went, nobody is left."""
        for pid in self.pids():
            if is_ours(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.kill()
        self.process.wait(PATIENCE)
        Path(ROOT / "var" / f"workers-{self.port}.socket").unlink(missing_ok=True)

    def serving(self) -> Self:
        self.port = int(self.wait_for(r"serve http://127.0.0.1:(\d+)")[0])
        return self

    def said(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def wait_for(self, pattern: str, times: int = 1) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while len(found := re.findall(pattern, self.log.read_text(errors="replace"))) < times:
            assert time.monotonic() < deadline, self.said()
            assert self.process.poll() is None, self.said()
            time.sleep(0.05)
        return found

    def pids(self) -> list[int]:
        """Of all workers that have ever been ready, in that order."""
        ready = re.findall(r"ready \(process (\d+)\)", self.log.read_text(errors="replace"))
        return [int(pid) for pid in ready]

    def ask(self, path: str = "/") -> Any:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def restart(self) -> subprocess.CompletedProcess[str]:
        return run("--restart", "--port", str(self.port))

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        self.press_ctrl_c()
        return self.process.wait(PATIENCE)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "project.workers", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
    )


def is_ours(pid: int) -> bool:
    """Whether a worker is alive; another process may have its number by now."""
    try:
        return b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def workers_of(tmp_path: Path) -> Callable[..., Workers]:
    return lambda count, **options: Workers(tmp_path, count, **options)


@pytest.fixture
def two(workers_of: Callable[..., Workers]) -> Iterator[Workers]:
    with workers_of(2) as both:
        yield both.serving()


@contextmanager
def visitors(site: Workers) -> Iterator[list[BaseException]]:
    """Two who ask one thing after the other; what went wrong for them."""
    failures: list[BaseException] = []
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            try:
                site.ask()
            except Exception as failure:
                failures.append(failure)

    threads = [threading.Thread(target=visit) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        over.set()
        for thread in threads:
            thread.join(PATIENCE)


def test_connections_are_spread_evenly_over_workers_that_know_how_many_they_are(workers_of):
    with workers_of(3) as site:
        site.serving()
        answers = [site.ask() for _ in range(300)]
    shares = Counter(answer["pid"] for answer in answers)
    assert len(shares) == 3
    assert min(shares.values()) >= 45
    assert {answer["workers"] for answer in answers} == {"3"}


def test_a_number_for_more_machines_is_left_alone(monkeypatch):
    monkeypatch.setenv("CHAT_WORKERS", "8")
    assert workers.all_workers(4) == "8"
    monkeypatch.setenv("CHAT_WORKERS", "1")
    assert workers.all_workers(4) == "4"


def test_a_worker_that_is_killed_is_replaced_while_the_other_serves(two):
    killed, other = two.pids()
    os.kill(killed, signal.SIGKILL)
    two.wait_for("worker 1 is gone")
    assert {two.ask()["pid"] for _ in range(20)} == {other}
    two.wait_for("is ready", times=3)
    assert two.pids()[2] in {two.ask()["pid"] for _ in range(100)}


def test_a_restart_replaces_every_worker_and_nobody_notices(two):
    before = two.pids()
    with visitors(two) as failures:
        outcome = two.restart()
    assert not failures
    assert outcome.returncode == 0
    assert outcome.stdout.startswith("2 replaced")
    assert not any(map(is_ours, before))
    assert {two.ask()["pid"] for _ in range(50)} == {*two.pids()} - {*before}


def test_a_hangup_is_a_restart(two):
    two.process.send_signal(signal.SIGHUP)
    two.wait_for("2 replaced")
    assert len(two.pids()) == 4


def test_whoever_started_it_is_told_how_it_stands(workers_of, tmp_path):
    """systemd, before which it is not active, and after which a reload is done."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        with workers_of(1, NOTIFY_SOCKET=str(tmp_path / "notify")) as site:
            assert manager.recv(100) == b"READY=1"
            site.serving().process.send_signal(signal.SIGHUP)
            state, _, since = manager.recv(100).decode().partition("\nMONOTONIC_USEC=")
            assert state == "RELOADING=1"
            assert 0 < int(since) <= time.monotonic() * 1_000_000
            assert manager.recv(100) == b"READY=1"
            assert len(site.pids()) == 2
            assert site.end() == 0
            assert manager.recv(100) == b"STOPPING=1"


def test_a_successor_that_cannot_start_leaves_everything_as_it_is(two):
    before = two.pids()
    two.refusal.touch()
    outcome = two.restart()
    assert outcome.returncode == 1
    assert "worker 1 has no successor" in outcome.stdout
    assert "worker 1 | A setting is refused." in two.said()
    assert all(map(is_ours, before))
    two.refusal.unlink()
    assert two.restart().returncode == 0


async def test_all_who_ask_while_a_restart_runs_share_the_next_one(monkeypatch):
    began, may_end = asyncio.Queue(), asyncio.Queue()

    async def restart(_: workers.Supervisor) -> workers.Outcome:
        began.put_nowait(None)
        await may_end.get()
        return workers.Outcome(0, "replaced")

    monkeypatch.setattr(workers.Supervisor, "_restart", restart)
    supervisor = workers.Supervisor(workers.Address.on("127.0.0.1", 0), workers=0)
    restarting = asyncio.create_task(supervisor._restart_when_asked())
    async with asyncio.timeout(PATIENCE):
        first = supervisor.ask()
        await began.get()
        later = [supervisor.ask() for _ in range(3)]
        may_end.put_nowait(None)
        await first
        assert not any(answer.done() for answer in later)
        may_end.put_nowait(None)
        await asyncio.gather(*later)
    assert began.qsize() == 1
    restarting.cancel()


def test_a_restart_needs_somebody_to_restart(free_port):
    outcome = run("--restart", "--port", str(free_port))
    assert outcome.returncode == 1
    assert len(outcome.stderr.splitlines()) == 1


def test_ctrl_c_ends_all(two):
    assert two.end() == 0
    assert not any(map(is_ours, two.pids()))
    assert not (ROOT / "var" / f"workers-{two.port}.socket").exists()


def test_a_second_ctrl_c_waits_for_nobody(two):
    with socket.create_connection(("127.0.0.1", two.port)) as visitor:
        visitor.sendall(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
        two.wait_for("It hangs")
        two.press_ctrl_c()
        two.wait_for("all are to end")
        assert two.end() == 0  # long before it has been answered
    assert not any(map(is_ours, two.pids()))


@pytest.mark.skipif(sys.platform != "linux", reason="no other system tells")
def test_workers_do_not_survive_their_supervisor(two):
    two.process.kill()
    wait_until(lambda: not any(map(is_ours, two.pids())))


def test_each_line_says_whose_it_is(two):
    with pytest.raises(RemoteDisconnected):
        two.ask("/log")
    two.wait_for("is gone")
    said = two.said()
    [name] = {line.partition("|")[0] for line in said if line.endswith("| a line")}
    assert name in ("worker 1 ", "worker 2 ")
    assert f"{name}| no \N{REPLACEMENT CHARACTER} text" in said
    assert f"{name}| no end" in said
    assert sum(line.count("x" * 100) for line in said) >= 1_990
    assert all(re.match(r"worker [12] \| |workers  \| ", line) for line in said)


def test_a_first_start_that_is_refused_ends_in_one_line(workers_of):
    with workers_of(2) as site:
        site.refusal.touch()
        assert site.process.wait(PATIENCE) == 1
    assert site.said() == ["worker 1 | A setting is refused."]


def test_no_two_sites_share_a_port_by_mistake(two, workers_of):
    with workers_of(1, port=two.port) as other:
        assert other.process.wait(PATIENCE) == 1
    [line] = other.said()
    assert f"Choose another: PORT={two.port + 1}" in line


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
