"""Real servers: processes of their own, each on a port of its own, killed when the test ends.

The port is bound here and handed over as a descriptor. So it is free, only the server that we
started can answer on it, and whoever connects while that one restarts waits instead of failing.
"""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from tests.client import Client
from tests.fake_browser import Browser, NetworkWire, TextPage

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 30.0  # seconds until a server must be up, or gone

ROOST = ("-m", "project.server", "project.asgi:application")
UVICORN = ("-m", "uvicorn", "--ws", "websockets-sansio", "project.asgi:application")


def environment(home: Path, **settings: str) -> dict[str, str]:
    """Of a Roost for development whose database lies in this directory; no Redis."""
    ours = {"DEBUG": "1", "REDIS_URL": "", "DATABASE_URL": f"sqlite:///{home / 'db.sqlite3'}"}
    return os.environ | {"CHAT_POST_RATE": "0"} | ours | settings


def manage(env: dict[str, str], *command: str) -> None:
    _run(env, "manage.py", *command)


def run_module(env: dict[str, str], *command: str) -> None:
    _run(env, "-m", *command)


def _run(env: dict[str, str], *command: str) -> None:
    subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=env,
        check=True,
        timeout=PATIENCE * 2,
        stdout=subprocess.DEVNULL,
    )


class Server:
    """A server that can be killed and started again on the same port."""

    def __init__(self, log: Path, env: dict[str, str], command: Sequence[str] = ROOST) -> None:
        self.log = log
        self.env = env
        self._command = command
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.port: int = self._listener.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._listener.close()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.process is None
        fd = self._listener.fileno()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *self._command, "--fd", str(fd)],
                cwd=ROOT,
                env=self.env,
                pass_fds=[fd],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()

    def _answers(self) -> bool:
        try:
            self.request("GET", "/", timeout=1)
        except OSError:
            return False
        return True

    def manage(self, *command: str) -> None:
        """Run a management command beside it."""
        manage(self.env, *command)

    def kill(self) -> None:
        """As a power cut would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(PATIENCE)
            self.process = None

    def stop(self) -> int:
        """Ask it to end; the code that it exits with."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def cpu_seconds(self) -> float:
        """Processor time that it has used so far."""
        assert self.process is not None
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Resident, in bytes."""
        assert self.process is not None
        pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        token: str = "",
        cookie: str = "",
        timeout: float = PATIENCE,
    ) -> tuple[int, bytes]:
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if cookie:
            headers["Cookie"] = cookie
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def token(self, username: str, password: str = "demo") -> str:
        token: str = self.post("/api/token", {"username": username, "password": password})["token"]
        return token

    def post(self, path: str, body: Any, token: str = "") -> Any:
        """Ask the API for something that works."""
        status, answer = self.request("POST", path, body, token)
        assert status in (200, 201), answer
        return json.loads(answer)

    def wire(self, token: str, **options: Any) -> NetworkWire:
        headers = {"Authorization": f"Bearer {token}"}
        return NetworkWire(f"ws://127.0.0.1:{self.port}/ws/", headers=headers, **options)

    @asynccontextmanager
    async def browser(
        self, token: str, *, client: Client | None = None, resume: bool = True
    ) -> AsyncIterator[Browser]:
        """A page of whoever holds this token."""
        page = Browser(await self.wire(token).connect(), client)
        try:
            yield await page.open(resume=resume)
        finally:
            await page.close()

    @asynccontextmanager
    async def text_page(self, token: str) -> AsyncIterator[TextPage]:
        wire = await self.wire(token, subprotocols=[]).connect()
        try:
            yield TextPage(wire)
        finally:
            await wire.close()
