"""This machine: room on its disks, and how many connections a process may open here."""

import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

from django.db import connection

from .findings import Finding, doubtful, ok, wrong

OURS = Path(__file__).resolve().parents[2]
SCARCE, NOTHING_LEFT = 1024**3, 100 * 1024**2  # bytes
FEW_FILES = 4_096


def look() -> Iterator[Finding]:
    yield from _disks()
    yield _descriptors()


def _disks() -> Iterator[Finding]:
    """Of PostgreSQL's own disk only its machine knows."""
    database = [("the database", _folder())] if connection.vendor == "sqlite" else []
    for what, place in (*database, ("the code", OURS)):
        usage = shutil.disk_usage(place)
        told = f"{usage.free / 1024**3:.1f} GiB are free where {what} lies ({place})."
        if usage.free < NOTHING_LEFT:
            yield wrong(
                told, "Make room: without it nothing is stored. Then nothing is to be done."
            )
        elif usage.free < SCARCE:
            yield doubtful(told, "Make room, or let old messages go: manage.py purge.")
        else:
            yield ok(told)


def _folder() -> Path:
    return Path(connection.settings_dict["NAME"]).resolve().parent


def _descriptors() -> Finding:
    """As it was given to this shell; what starts the workers may give them another one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(soft, hard) if resource.RLIM_INFINITY not in (soft, hard) else 2**20
    told = f"A process that is started from here may open {most:,} files; each socket is one."
    if most < FEW_FILES:
        remedy = "Give the workers more: LimitNOFILE=65536 (systemd), minfds (supervisor), ulimit."
        return doubtful(told, remedy)
    return ok(told)
