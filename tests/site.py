"""A whole site on this machine, for developers: `make workers` runs `python -m tests.site`.

PostgreSQL and Valkey, unless DATABASE_URL or REDIS_URL name others; the demo users; and what
project.workers takes. What people wrote lies in var/, and is there again the next time.
"""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from project.process import end_with_parent
from tests.stacks import Missing, NotStarted, PostgreSQL, Valkey

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "var"


def main(*arguments: str) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        with servers() as urls:
            env = os.environ | urls
            return prepare(env) or serve(env, arguments)
    except (Missing, NotStarted) as error:
        sys.exit(str(error).strip())
    except KeyboardInterrupt:
        return 130


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """The addresses of those that had to be started. Their end cannot be interrupted."""
    with ExitStack() as stack:
        urls = {}
        if not os.environ.get("DATABASE_URL"):
            home = stack.enter_context(lasting_place()) / "postgresql"
            (home / "log").unlink(missing_ok=True)  # it would grow for ever
            urls["DATABASE_URL"] = stack.enter_context(PostgreSQL(home)).url
        if not os.environ.get("REDIS_URL"):
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="roost-")))
            urls["REDIS_URL"] = stack.enter_context(Valkey(home)).url
        stack.callback(turn_deaf)
        yield urls


@contextmanager
def lasting_place() -> Iterator[Path]:
    """Where PostgreSQL's data stay; as root it runs as nobody, who may not get there."""
    PLACE.mkdir(exist_ok=True)
    if os.geteuid() != 0 or all(place.stat().st_mode & 0o001 for place in (PLACE, *PLACE.parents)):
        with (PLACE / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                sys.exit(f"Workers with what is kept in {PLACE} run already: end them first.")
            yield PLACE
        return
    print(f"PostgreSQL runs as nobody, who cannot reach {PLACE}: nothing will be kept.", flush=True)
    with tempfile.TemporaryDirectory(prefix="roost-") as directory:
        yield Path(directory)


def turn_deaf() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def prepare(env: dict[str, str]) -> int:
    for command in (["migrate", "--verbosity", "0"], ["demo"]):
        if code := subprocess.run(
            [sys.executable, "manage.py", *command], cwd=ROOT, env=env
        ).returncode:
            return code
    return 0


def serve(env: dict[str, str], arguments: tuple[str, ...]) -> int:
    """Until the workers have ended, which a terminal's Ctrl-C tells them by itself."""
    signal.signal(signal.SIGINT, lambda *_: None)
    command = [sys.executable, "-m", "project.workers", *arguments]
    supervisor = subprocess.Popen(command, cwd=ROOT, env=env, preexec_fn=end_with_parent)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: supervisor.terminate())
    return supervisor.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
