"""A whole site in processes of its own: workers behind one address, and what they have stored."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.history import Head, Row
from tests.servers import PATIENCE, ROOT, Server
from tests.stacks import PostgreSQL


class Fleet(Server):
    """Workers that a supervisor started; like one server on a port that it has picked."""

    def __init__(self, log: Path, env: dict[str, str], workers: int = 2) -> None:
        # Not our parent's: there is no socket of ours to be handed over.
        self.log = log
        self._env = env
        self._workers = workers
        self.process: subprocess.Popen[bytes] | None = None

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.stop()

    def start(self) -> None:
        """Start the supervisor, and wait until its workers serve."""
        command = ("-m", "project.workers", "--workers", str(self._workers), "--port", "0")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, *command], cwd=ROOT, env=self._env, stdout=log, stderr=log
            )
        self.port = int(self._wait_for(r"serve http://127.0.0.1:(\d+)")[0])

    def stop(self) -> int:
        try:
            return super().stop()
        except subprocess.TimeoutExpired:
            self.kill()  # its workers end with it
            raise

    def restart(self) -> None:
        """Replace all workers, one after the other, and wait until that is done."""
        done = len(self._said(r"\d+ replaced"))
        self._process.send_signal(signal.SIGHUP)
        self._wait_for(r"\d+ replaced", done + 1)

    def kill_worker(self, name: str) -> None:
        """As a power cut would, and wait until another one serves in its place."""
        ready = rf"{name} is ready \(process (\d+)\)"
        pids = self._said(ready)
        os.kill(int(pids[-1]), signal.SIGKILL)  # it is a child of the supervisor, which waits
        self._wait_for(ready, len(pids) + 1)

    def said(self) -> list[str]:
        """What the supervisor has said, and all workers have logged."""
        return self.log.read_text(errors="replace").splitlines()

    def tracebacks(self) -> list[str]:
        """With what was logged before and after."""
        lines = self.said()
        found = [n for n, line in enumerate(lines) if "Traceback" in line]
        return ["\n".join(lines[max(0, n - 3) : n + 60]) for n in found]

    @property
    def _process(self) -> subprocess.Popen[bytes]:
        assert self.process is not None
        return self.process

    def _said(self, pattern: str) -> list[str]:
        return re.findall(pattern, self.log.read_text(errors="replace"))

    def _wait_for(self, pattern: str, times: int = 1) -> list[str]:
        deadline = time.monotonic() + 2 * PATIENCE
        while len(found := self._said(pattern)) < times:
            assert self._process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.02)
        return found


def heads(database: PostgreSQL, rooms: Sequence[str]) -> dict[str, Head]:
    """Of these rooms, from the database itself."""
    statement = f"SELECT id, seq, rev FROM chat_room WHERE id IN {_listed(rooms)}"
    return {room: Head(*head) for room, *head in database.execute(statement, "roost")}


def rows(database: PostgreSQL, rooms: Sequence[str]) -> list[Row]:
    """All messages of these rooms, from the database itself."""
    statement = (
        "SELECT room_id, seq, rev, born, username, client_id, body"
        " FROM chat_message LEFT JOIN auth_user ON auth_user.id = sender_id"
        f" WHERE room_id IN {_listed(rooms)} ORDER BY room_id, seq"
    )
    return [
        Row(*places, str(client_id), body)
        for *places, client_id, body in database.execute(statement, "roost")
    ]


def _listed(rooms: Sequence[str]) -> str:
    return "({})".format(", ".join(f"'{room}'" for room in rooms))
