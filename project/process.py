"""The process of one worker, and what it logs, with its name in front."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from . import environment as env
from .notices import is_told

ROOT = Path(__file__).resolve().parent.parent
SERVE = (sys.executable, str(ROOT / "manage.py"), "serve")

READY_WITHIN = 30.0  # seconds from its start until a worker accepts connections
ENDED_WITHIN = env.drain_seconds() + 4  # seconds; a worker wants two less
LONGEST_LINE = 65_536  # bytes
PR_SET_PDEATHSIG = 1  # of prctl(2)


class Worker:
    """One process, from its start to its end."""

    def __init__(self, name: str, process: Process) -> None:
        self._name = name
        self._process = process
        streams = ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        self._logs = [
            asyncio.create_task(relay(name, stream, to)) for stream, to in streams if stream
        ]

    @classmethod
    async def start(cls, name: str, listener: socket.socket, **told: str) -> "Worker":
        process = await asyncio.create_subprocess_exec(
            *(*SERVE, "--fd", str(listener.fileno())),
            pass_fds=[listener.fileno()],
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | told,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,  # Ctrl-C is for the supervisor
            preexec_fn=end_with_parent,
        )
        return cls(name, process)

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def is_ready(self, inbox: socket.socket) -> bool:
        """Wait until it accepts connections; but not for ever, and not for one that has ended."""
        ready, ended = asyncio.create_task(is_told(inbox)), asyncio.create_task(self.ended())
        try:
            await asyncio.wait({ready, ended}, timeout=READY_WITHIN, return_when="FIRST_COMPLETED")
        finally:
            ready.cancel()
            ended.cancel()
        if not ready.done():
            await self._give_up()
            return False
        say(f"{self._name} is ready (process {self._process.pid})")
        return True

    async def _give_up(self) -> None:
        if self.is_alive:
            say(f"{self._name} is not ready after {READY_WITHIN:g} s, and is killed")
            self.kill()
        if (code := await self.ended()) != 1:  # with which Python exits when it has said why
            say(f"{self._name} could not start: {why(code)}")

    async def ended(self) -> int:
        """What it exited with (less than 0: the signal that ended it), once its log is complete."""
        code = await self._process.wait()
        await asyncio.wait(self._logs, timeout=1)  # others may have its descriptors, and live on
        return code

    async def end(self) -> None:
        """Let it see everybody off, but not for ever."""
        if not self.is_alive:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            if code := await asyncio.wait_for(self.ended(), ENDED_WITHIN):
                say(f"{self._name} did not end well: {why(code)}")
        except TimeoutError:
            say(f"{self._name} has not ended after {ENDED_WITHIN:g} s, and is killed")
            self.kill()
            await self.ended()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()


async def relay(name: str, stream: asyncio.StreamReader, to: TextIO) -> None:
    """Pass on what a worker logs, line by line, also what is no text."""
    rest = b""
    while chunk := await stream.read(LONGEST_LINE):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        write(name, lines, to)
    if rest:
        write(name, [rest], to)


def say(text: str) -> None:
    """What the supervisor itself has to say."""
    write("workers", [text.encode()], sys.stdout)


def write(name: str, lines: Iterable[bytes], to: TextIO) -> None:
    label = f"{name:<8} |"
    if to.isatty() and not os.environ.get("NO_COLOR"):
        label = f"\x1b[{31 + sum(name.encode()) % 6}m{label}\x1b[0m"
    with suppress(OSError):  # nobody reads it any more: no reason to end
        to.buffer.write(b"".join(b"%s %s\n" % (label.encode(), line) for line in lines))
        to.flush()


def why(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Ask for this signal when the thread that started us is gone, however it went; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, number)
