"""N workers behind one address: started, replaced and ended by a supervisor that serves nobody.

Each has a listening socket of its own, because the kernel spreads connections evenly over sockets,
but not over processes that share one. They inherit it from here: so a successor takes over, with
its predecessor's socket, whoever waits to be accepted.

SIGHUP, or `--restart` said elsewhere, replaces all workers, one after the other. SIGTERM or Ctrl-C
ends them, and a second one at once. Whoever started this is told how it stands, as systemd wants
to be: ready once all workers are, reloading while they are replaced.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import NamedTuple

from . import tallies
from .listener import Listener
from .notices import READY, STOPPING, notices, notify, reloading
from .process import ROOT, Worker, say, why

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds until one that keeps dying starts again


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
        try:
            with notices() as (inbox, address):
                told = {"NOTIFY_SOCKET": address, "CHAT_WORKERS": self._workers}
                worker = await Worker.start(self.name, self._listener, **told)
                self._alive = [*(worker for worker in self._alive if worker.is_alive), worker]
                if not await worker.is_ready(inbox):
                    return False
        except OSError as error:
            say(f"{self.name} could not start: {error}")
            return False
        self._worker = worker
        return True

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
                self._listener = self._renewed()
                again = monotonic() - tried < LONGEST_PAUSE
                pause = min(max(SHORTEST_PAUSE, 2 * pause), LONGEST_PAUSE) if again else 0.0
                say(f"{self.name} is gone ({why(code)}), another starts in {pause:g} s")
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
        self._takes_commands = False
        self.is_ending = False

    async def run(self) -> int:
        """Serve until this is cancelled; or return 1 because the first workers do not start."""
        try:
            if not await self._start():
                return 1
            count, url = len(self._places), self._address.url
            say(f"{count} serve {url} (Ctrl-C ends them, make restart replaces them)")
            await self._listen_to_commands()
            notify(READY)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._restart_when_asked())
                for place in self._places:
                    group.create_task(place.keep())
        finally:
            self.is_ending = True
            notify(STOPPING)
            await asyncio.gather(*(place.end() for place in self._places))
            if self._takes_commands:
                commands(self._address.port).unlink(missing_ok=True)
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
        """One restart is for all who asked before it began: whoever asks later has new code."""
        while True:
            answers = [await self._asked.get()]
            while not self._asked.empty():
                answers.append(self._asked.get_nowait())
            notify(reloading())
            outcome = await self._restart()
            notify(READY)
            say(outcome.text)
            for answer in answers:
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
            self._takes_commands = True
        except OSError as error:
            say(f"only SIGHUP can restart them: {error}")


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
        if supervisor.is_ending or running.cancelling():
            supervisor.kill()
        else:
            say("all are to end")
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
    with alone(options.port), tallies.shared() as told:
        os.environ.update(told)  # which the workers inherit
        return asyncio.run(supervise(Address.on(options.host, options.port), options.workers))


@contextmanager
def alone(port: int) -> Iterator[None]:
    """Exit with one line if workers that were started here serve this port already.

    The port itself would not tell before one of them listens: they share it.
    """
    path = commands(port).with_suffix(".lock")
    if not port:  # any that is free
        yield
        return
    try:
        path.parent.mkdir(exist_ok=True)
        lock = path.open("w")
    except OSError:  # nowhere to write: then as well as we can
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Workers that were started here serve port {port} already.")
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
