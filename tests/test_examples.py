"""The programs in examples/, and the commands in docs/api.md, against a real server."""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from tests.servers import PATIENCE, ROOT, Server

EXAMPLES = ROOT / "examples"
API = ROOT / "docs" / "api.md"

pytestmark = pytest.mark.usefixtures("interruptible")


def environment(**more: str) -> dict[str, str]:
    return os.environ | {"ROOST_PASSWORD": "demo"} | more


def post(server: Server, *arguments: str, said: str | None = None, **env: str) -> Any:
    command = [sys.executable, EXAMPLES / "post.py", *arguments, "--site", site(server)]
    return subprocess.run(
        command,
        input=said,
        env=environment(**env),
        capture_output=True,
        text=True,
        timeout=PATIENCE * 2,
    )


def site(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}"


class Listening:
    """listen.py, and what it prints."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._fresh: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._fresh.put(line)
        self._fresh.put("")  # the end

    def until(self, text: str) -> str:
        """Wait until a line with this text has come."""
        while True:
            line = self._fresh.get(timeout=PATIENCE)
            assert line, "it has ended"
            self.lines.append(line)
            if text in line:
                return line

    def end(self) -> int:
        """Ask it to end, if it has not yet; its code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            self._reader.join()


@contextmanager
def listening(server: Server, *arguments: str, **env: str) -> Iterator[Listening]:
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "listen.py", *arguments, "--site", site(server)],
        env=environment(**env),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    listener = Listening(process)
    try:
        yield listener
    finally:
        listener.end()


@pytest.mark.parametrize("how", [[], ["--ticket"]])
def test_what_one_example_says_the_other_prints_once_and_in_order(server, how):
    with listening(server, "bob", *how) as bob:
        bob.until("Me. There is more")
        for n in range(3):
            answer = post(server, "alice", "Kitchen", f"From a script {n}")
            assert answer.returncode == 0, answer.stderr
        assert "From a script 2" in bob.until("From a script 2")
    said = re.findall(r"Kitchen \d+ alice: From a script (\d)", "".join(bob.lines))
    assert said == ["0", "1", "2"]


def test_it_listens_on_when_the_server_comes_back_and_misses_nothing(server):
    with listening(server, "bob") as bob:
        bob.until("Lobby")
        server.kill()
        bob.until("Not connected")
        server.start()
        assert post(server, "alice", "Lobby", "While you were away").returncode == 0
        bob.until("While you were away")
    assert "".join(bob.lines).count("While you were away") == 1


def test_a_script_talks_to_one_person_from_its_standard_input(server):
    answer = post(server, "alice", "@bob", said="Only for you\n")
    assert re.fullmatch(r"@bob: message \d+, 20\S+Z\n", answer.stdout), answer.stderr
    with listening(server, "bob") as bob:
        bob.until("alice: Only for you")


def test_a_script_waits_for_a_server_that_is_away(server):
    token = server.token("alice")
    server.kill()
    script = subprocess.Popen(
        [sys.executable, EXAMPLES / "post.py", "alice", "Kitchen", "Late", "--site", site(server)],
        env=environment(ROOST_TOKEN=token),
        stdout=subprocess.PIPE,
    )
    server.start()
    stdout, _ = script.communicate(timeout=PATIENCE * 2)
    assert stdout.startswith(b"Kitchen: message")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(["alice", "Nowhere", "x"], "0 of your rooms"), (["alice", "@nobody", "x"], "unknown_user")],
)
def test_a_script_says_why_it_cannot(server, arguments, why):
    answer = post(server, *arguments)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert why in answer.stderr


@pytest.mark.parametrize("how", [[], ["--ticket"]])
def test_whoever_is_not_let_in_does_not_try_for_ever(server, how):
    with listening(server, "bob", *how, ROOST_TOKEN="made-up") as nobody:
        assert nobody.process.wait(PATIENCE) == 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (["--site", "http://127.0.0.1:1"], "refused"),
        ([], "401"),
    ],
)
def test_whoever_gets_no_token_is_told_why_in_one_line(server, more, why):
    process = subprocess.run(
        [sys.executable, EXAMPLES / "listen.py", "bob", "--site", site(server), *more],
        env=environment(ROOST_PASSWORD="wrong"),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    [line] = process.stderr.splitlines()
    assert process.returncode == 1
    assert why in line


# The commands of the document


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_commands_in_the_document_do_what_it_says(server, tmp_path):
    """In one shell, one after the other. What the programs that listen print, other tests hold."""
    blocks = re.findall(r"^```sh\n(.*?)^```", API.read_text(), re.M | re.S)
    commands = "\n".join(block.replace("http://127.0.0.1:8000", site(server)) for block in blocks)
    commands = commands.replace("ws://127.0.0.1:8000", f"ws://127.0.0.1:{server.port}")
    commands = commands.replace("examples/post.py ", f"examples/post.py --site {site(server)} ")
    commands = re.sub(
        r"\.venv/bin/python examples/listen\.py (.*)",
        rf"timeout -s INT 3 .venv/bin/python examples/listen.py --site {site(server)} \1 || true",
        commands,
    )
    commands = commands.replace(".venv/bin/python", sys.executable)
    script = tmp_path / "commands"
    script.write_text(f"set -eu\n{commands}\n")
    done = subprocess.run(
        ["bash", script],
        cwd=ROOT,
        input="",
        capture_output=True,
        text=True,
        timeout=PATIENCE * 3,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert '{"username":"alice","name":"Alice"}' in said
    assert '"name":"Kitchen"' in said
    assert '"name":"Garden","members":2' in said
    assert '"peer":"bob"' in said
    assert said.count('"type":"posted"') == 1
    assert "Kitchen: message 7" in said
    assert "@bob: message" in said
    assert said.count('"type":"history"') == 2
    assert '"type":"welcome"' in said
    assert f"Connected to ws://127.0.0.1:{server.port}/ws/?ticket=" in said
    assert re.findall(r'"code": "(\w+)"', said) == ["not_found"]
    assert '{"database": "ok", "migrations": "ok", "channel_layer": "ok"}' in said


def test_the_examples_compile():
    for example in EXAMPLES.glob("*.py"):
        compile(Path(example).read_text(), example.name, "exec")
