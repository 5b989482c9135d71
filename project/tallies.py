"""Where the workers of one supervisor count, so that any of them can tell what all have done."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from . import environment as env

OURS, UNFINISHED = "roost-tallies-", "roost-unfinished-"
# In memory where that can be: whoever counts must not wait for a disk.
IN_MEMORY = Path("/dev/shm")  # noqa: S108  # nothing there has a name that others could guess


@contextmanager
def shared() -> Iterator[dict[str, str]]:
    """Make a directory, for the workers and nobody else, until all have ended: their environment.

    Unless there is one for them already. OSError.
    """
    if env.text("PROMETHEUS_MULTIPROC_DIR"):
        yield {}
        return
    home = IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
    _clear_up(home)
    directory = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=home))
    try:
        with (directory / "supervisor").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            # Only now, when it is locked, others who clear up may know of it.
            directory = directory.rename(home / directory.name.replace(UNFINISHED, OURS))
            yield {"PROMETHEUS_MULTIPROC_DIR": str(directory)}
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _clear_up(home: Path) -> None:
    """Remove what supervisors left that were killed."""
    for directory in home.glob(f"{OURS}*"):
        # It may be another user's, or in use.
        with suppress(OSError), (directory / "supervisor").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(directory)
