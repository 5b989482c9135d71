"""What each process of one address has counted, added up by whichever of them is asked.

prometheus_client keeps a file for each kind of metric and process. Two things are ours: a process
has a name that is never used again, as its number is; and whether it lives is told by a lock, which
the kernel lets go of however it dies. What the dead have counted is kept in one file for each kind:
no counter falls when a worker is replaced, and no files pile up.
"""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.mmap_dict import MmapedDict, mmap_key
from prometheus_client.multiprocess import MultiProcessCollector

VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
DEAD = "dead"  # in the place of a process's name


class Tallies:
    """Of the processes that share a directory. It is made by whoever comes first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._pid = 0
        self._name = ""
        self._life: int | None = None  # a descriptor, locked as long as this process lives

    def name(self) -> str:
        """Of this process, which is counted among the living from then on. OSError."""
        if self._pid != os.getpid():  # new, or forked
            self._be_born()
        return self._name

    def collect(self) -> Iterable[Metric]:
        """All that was counted, and the gauges of those that live."""
        with self._alone():
            self._bury()
            # A file of no size was opened just now; there is nothing in it yet.
            files = [str(file) for file in self._directory.glob("*.db") if file.stat().st_size]
            return list(MultiProcessCollector.merge(files))

    def _be_born(self) -> None:
        pid = os.getpid()
        name = f"{pid}-{secrets.token_hex(4)}"
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone():
            self._bury()  # also where nobody ever asks
            if self._life is not None:
                os.close(self._life)  # our parent's
            self._life = os.open(self._directory / f"{name}.life", os.O_CREAT | os.O_RDONLY, 0o600)
            fcntl.flock(self._life, fcntl.LOCK_EX)
        self._pid, self._name = pid, name

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self._directory / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    # The dead

    def _bury(self) -> None:
        dead = [life.stem for life in self._directory.glob("*.life") if _is_over(life)]
        files = [file for name in dead for file in self._directory.glob(f"*_{name}.db")]
        for kind in {file.name.partition("_")[0] for file in files} - {"gauge"}:
            self._inherit(kind, [file for file in files if file.name.startswith(f"{kind}_")])
        for file in files:
            file.unlink(missing_ok=True)
        for name in dead:
            (self._directory / f"{name}.life").unlink()

    def _inherit(self, kind: str, files: list[Path]) -> None:
        """Add theirs to what the dead before them have counted.

        Who is killed between the last two steps lets them be added once more: better than never.
        """
        kept = self._directory / f"{kind}_{DEAD}.db"
        (new := kept.with_suffix(".new")).unlink(missing_ok=True)
        read = [str(file) for file in (*files, kept) if file.exists() and file.stat().st_size]
        tally = MmapedDict(str(new))
        for metric in MultiProcessCollector.merge(read, accumulate=False):
            for name, labels, value, *_ in metric.samples:
                told = metric.documentation
                key = mmap_key(metric.name, name, [*labels], [*labels.values()], told)
                tally.write_value(key, value, 0.0)
        tally.close()
        new.replace(kept)
        for file in files:
            file.unlink()


def _is_over(life: Path) -> bool:
    with life.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
