"""N workers behind one address: started, replaced and ended by a supervisor that serves nobody.

Each has a listening socket of its own, because the kernel spreads connections evenly over sockets,
but not over processes that share one. They inherit it from here: so a successor takes over, with
its predecessor's socket, whoever waits to be accepted.

SIGHUP, or `--restart` said elsewhere, replaces all workers, one after the other. SIGTERM or Ctrl-C
ends them, and a second one at once.
"""

import argparse
import asyncio
import ctypes
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import NamedTuple, TextIO

from . import environment as env
from .listener import Listener

ROOT = Path(__file__).resolve().parent.parent
SERVE = (sys.executable, str(ROOT / "manage.py"), "serve")

READY_WITHIN = 30.0  # seconds from its start until a worker accepts connections
ENDED_WITHIN = env.number("DRAIN_SECONDS", default=8) + 4  # seconds; a worker wants two less
SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds until one that keeps dying starts again
LONGEST_LINE = 65_536  # bytes
PR_SET_PDEATHSIG = 1  # of prctl(2)


class Worker:
    """One process, from its start to its end."""

    def __init__(self, name: str, process: Process) -> None:
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
            preexec_fn=end_with_parent if sys.platform == "linux" else None,
        )
        return cls(name, process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    async def is_ready(self, notices: socket.socket) -> bool:
        """Wait until it accepts connections; but not for ever, and not for one that has ended."""
        ready, ended = asyncio.create_task(is_told(notices)), asyncio.create_task(self.ended())
        try:
            await asyncio.wait({ready, ended}, timeout=READY_WITHIN, return_when="FIRST_COMPLETED")
            return ready.done()
        finally:
            ready.cancel()
            ended.cancel()

    async def ended(self) -> int:
        """What it exited with (less than 0: the signal that ended it), once its log is complete."""
        code = await self._process.wait()
        await asyncio.wait(self._logs, timeout=1)  # others may have its descriptors, and live on
        return code

    async def end(self) -> None:
        """Let it see everybody off, but not for ever."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self.ended(), ENDED_WITHIN)
        except TimeoutError:
            self.kill()
            await self.ended()

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()


class Place:
    """Where one worker serves after the other: "worker 1", with a socket of its own."""

    def __init__(self, name: str, address: "Address", workers: int) -> None:
        self.name = name
        self._address = address
        self._workers = all_workers(workers)
        self._listener = address.bind()
        self._alive: list[Worker] = []  # several while one replaces another
        self._worker: Worker | None = None
        self._turn = asyncio.Lock()

    async def fill(self) -> bool:
        """Start a worker. Once it is ready, the place is its own."""
        with notices() as (inbox, address):
            told = {"NOTIFY_SOCKET": address, "CHAT_WORKERS": self._workers}
            try:
                worker = await Worker.start(self.name, self._listener, **told)
            except OSError as error:
                say("workers", f"{self.name} could not start: {error}")
                return False
            self._alive = [*(worker for worker in self._alive if worker.is_alive), worker]
            if await worker.is_ready(inbox):
                self._worker = worker
                say("workers", f"{self.name} is ready (process {worker.pid})")
                return True
        await self._give_up(worker)
        return False

    async def _give_up(self, worker: Worker) -> None:
        if worker.is_alive:
            say("workers", f"{self.name} is not ready after {READY_WITHIN:g} s, and is killed")
            worker.kill()
        if (code := await worker.ended()) != 1:  # with which Python exits when it has said why
            say("workers", f"{self.name} could not start: {why(code)}")

    async def replace(self) -> bool:
        """Have a successor. Until it is ready, its predecessor serves."""
        async with self._turn:
            before = self._worker
            if not await self.fill():
                return False
            if before is not None:
                await before.end()
            return True

    async def keep(self) -> None:
        """Start another worker whenever one ends that nobody has asked to."""
        pause, tried = 0.0, monotonic()
        while self._worker is not None:
            worker = self._worker
            code = await worker.ended()
            async with self._turn:
                if self._worker is not worker:
                    continue
                say("workers", f"{self.name} is dead: {why(code)}")
                self._listener = self._renewed()
                again = monotonic() - tried < LONGEST_PAUSE
                pause = min(max(SHORTEST_PAUSE, 2 * pause), LONGEST_PAUSE) if again else 0.0
                await asyncio.sleep(pause)
                tried = monotonic()
                await self.fill()

    def _renewed(self) -> socket.socket:
        """Whoever waits at the old socket learns that nobody comes, and is taken by the others."""
        with self._listener:
            return self._address.bind()

    async def end(self) -> None:
        await asyncio.gather(*(worker.end() for worker in self._alive))

    def kill(self) -> None:
        for worker in self._alive:
            worker.kill()


class Supervisor:
    def __init__(self, address: "Address", workers: int) -> None:
        self._address = address
        self._places = [Place(f"worker {n}", address, workers) for n in range(1, workers + 1)]
        self._asked: asyncio.Queue[asyncio.Future[Outcome]] = asyncio.Queue()

    async def run(self) -> int:
        """Serve until this is cancelled; or return 1 because the first workers do not start."""
        try:
            if not await self._start():
                return 1
            count, url = len(self._places), self._address.url
            say("workers", f"{count} serve {url} (Ctrl-C ends them, make restart replaces them)")
            await self._listen_to_commands()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._restart_when_asked())
                for place in self._places:
                    group.create_task(place.keep())
        finally:
            await asyncio.gather(*(place.end() for place in self._places))
            with suppress(OSError):
                commands(self._address.port).unlink()
        return 0

    async def _start(self) -> bool:
        """One alone first: whatever is wrong with the settings is said once."""
        first, *others = self._places
        if not await first.fill():
            return False
        return all(await asyncio.gather(*(place.fill() for place in others)))

    def kill(self) -> None:
        for place in self._places:
            place.kill()

    def ask(self) -> "asyncio.Future[Outcome]":
        """For a restart."""
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait(answer)
        return answer

    async def _restart_when_asked(self) -> None:
        while True:
            answer = await self._asked.get()
            outcome = await self._restart()
            say("workers", outcome.text)
            if not answer.done():
                answer.set_result(outcome)

    async def _restart(self) -> "Outcome":
        began = monotonic()
        for done, place in enumerate(self._places):
            if not await place.replace():
                rest = len(self._places) - done
                return Outcome(1, f"{place.name} has no successor: {done} replaced, {rest} not")
        return Outcome(0, f"{len(self._places)} replaced in {monotonic() - began:.1f} s")

    async def _listen_to_commands(self) -> None:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            outcome = await self.ask()
            writer.write(f"{outcome.code} {outcome.text}\n".encode())
            writer.close()

        path = commands(self._address.port)
        try:
            path.parent.mkdir(exist_ok=True)
            await asyncio.start_unix_server(answer, path)
        except OSError as error:
            say("workers", f"only SIGHUP can restart them: {error}")


class Outcome(NamedTuple):
    """Of a restart."""

    code: int
    text: str


class Address(NamedTuple):
    """That nobody listens on but our workers."""

    family: socket.AddressFamily
    host: str
    port: int

    @classmethod
    def on(cls, host: str, port: int) -> "Address":
        # Alone, to see that nobody is there: with SO_REUSEPORT we would share it unawares.
        with Listener.on_port(host, port).socket as alone:
            return cls(alone.family, *alone.getsockname()[:2])

    @property
    def url(self) -> str:
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def bind(self) -> socket.socket:
        """A socket of its own, on which whoever inherits it has yet to listen."""
        bound = socket.socket(self.family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if self.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((self.host, self.port))
        return bound


@contextmanager
def notices() -> Iterator[tuple[socket.socket, str]]:
    """Where a worker can say that it is ready, as sd_notify(3) does; and its address."""
    with (
        tempfile.TemporaryDirectory(prefix="roost-") as directory,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as inbox,
    ):
        inbox.setblocking(False)
        inbox.bind(address := f"{directory}/notices")
        yield inbox, address


async def is_told(inbox: socket.socket) -> None:
    """Return when the worker says that it accepts connections."""
    while b"READY=1" not in await asyncio.get_running_loop().sock_recv(inbox, 4096):
        pass


async def relay(name: str, stream: asyncio.StreamReader, to: TextIO) -> None:
    """Pass on what a worker logs, line by line, also what is no text."""
    rest = b""
    while chunk := await stream.read(LONGEST_LINE):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            say(name, line, to)
        if len(rest) > LONGEST_LINE:
            say(name, rest, to)
            rest = b""
    if rest:
        say(name, rest, to)


def say(name: str, line: str | bytes, to: TextIO = sys.stdout) -> None:
    label = f"{name:<8} |"
    if to.isatty() and not os.environ.get("NO_COLOR"):
        label = f"\x1b[{31 + sum(name.encode()) % 6}m{label}\x1b[0m"
    text = line.encode() if isinstance(line, str) else line
    with suppress(OSError):  # nobody reads any more: no reason to end
        to.buffer.write(label.encode() + b" " + text + b"\n")
        to.flush()


def why(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def end_with_parent() -> None:
    """Ask for SIGTERM when the supervisor is gone, however it went; Linux only."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def all_workers(here: int) -> str:
    """CHAT_WORKERS, for the checks: as it is set, unless there are more here already."""
    told = os.environ.get("CHAT_WORKERS", "")
    return told if told.isdecimal() and int(told) > here else str(here)


def commands(port: int) -> Path:
    """The Unix socket on which a supervisor takes commands, from here: such paths have to be short.

    Whoever connects asks for a restart, and reads how it went.
    """
    return Path(os.path.relpath(ROOT / "var" / f"workers-{port}.socket"))


def restart(port: int) -> int:
    """Ask the supervisor for it, and wait."""
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(commands(port)))
        except OSError:
            sys.exit(f"No workers that were started here serve port {port}.")
        code, _, text = connection.makefile().read().partition(" ")
    sys.stdout.write(text or "The supervisor ended meanwhile.\n")
    return int(code or 1)


async def supervise(address: Address, workers: int) -> int:
    supervisor = Supervisor(address, workers)
    running = asyncio.create_task(supervisor.run())

    def end() -> None:
        if running.cancelling():
            supervisor.kill()
        else:
            say("workers", "all are to end")
            running.cancel()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, end)
    loop.add_signal_handler(signal.SIGTERM, end)
    loop.add_signal_handler(signal.SIGHUP, supervisor.ask)
    try:
        return await running
    except asyncio.CancelledError:
        return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m project.workers", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="how many; default: 2")
    parser.add_argument("--host", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="default: 8000; 0: any that is free")
    parser.add_argument("--restart", action="store_true", help="those that serve this port already")
    options = parser.parse_args()
    if options.restart:
        return restart(options.port)
    if options.workers < 1:
        parser.error("--workers: at least 1")
    return asyncio.run(supervise(Address.on(options.host, options.port), options.workers))


if __name__ == "__main__":
    sys.exit(main())
