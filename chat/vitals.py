"""How the workers are: what each says of itself, and what they are together. Synchronous.

All times are the database's: workers' clocks may differ. A row that nobody renews counts for a
while, then it does not, and then whoever writes removes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Any, NamedTuple, Self

from django.db.models.functions import Now

from .models import Vitals

LIFE = timedelta(seconds=15)  # of a row that nobody renews
SWEEP = timedelta(minutes=1)  # until it is removed

Buckets = Sequence[int]  # how often something took so long, by the bounds of metrics.SECONDS


@dataclass(frozen=True, slots=True)
class Figures:
    """What a worker counts: now, or within the last minute, if it is as old as that."""

    sockets: int = 0
    users: int = 0
    behind: int = 0  # sockets
    journal_waiting: int = 0  # posts
    resident_bytes: int = 0  # 0: this system does not tell
    posts: int = 0  # in a minute, like all that follows
    deliveries: int = 0
    reconnects: int = 0
    closes: int = 0
    hand_over: Buckets = ()
    lag: Buckets = ()
    heard: bool | None = None  # over the layer; None: there is none
    sees_database: bool = True
    draining: bool = False

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        """As another release may have written them, with more or fewer."""
        return cls(**{f.name: told[f.name] for f in fields(cls) if f.name in told})


class Worker(NamedTuple):
    """That lives, or died within the last seconds."""

    key: str
    name: str  # host and process
    release: str
    uptime: timedelta
    silence: timedelta  # since it was heard of
    figures: Figures


def tell(worker: str, host: str, pid: int, release: str, age: float, figures: Figures) -> None:
    """Write what a worker says of itself, which has lived for so many seconds."""
    row = Vitals(
        worker=worker,
        host=host,
        pid=pid,
        release=release,
        started_at=Now() - timedelta(seconds=age),
        seen_at=Now(),
        figures=asdict(figures),
    )
    Vitals.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["worker"],
        update_fields=["seen_at", "figures"],
    )
    Vitals.objects.filter(seen_at__lt=Now() - SWEEP).delete()


def end(worker: str) -> None:
    """It has ended, and does not count any more."""
    Vitals.objects.filter(pk=worker).delete()


def workers() -> list[Worker]:
    """Those that live, by name."""
    living = Vitals.objects.filter(seen_at__gte=Now() - LIFE).annotate(now=Now())
    return [_read(row, row.now) for row in living.order_by("host", "pid", "worker")]


def _read(row: Vitals, now: datetime) -> Worker:
    uptime, silence = now - row.started_at, now - row.seen_at
    return Worker(row.pk, str(row), row.release, uptime, silence, Figures.read(row.figures))


def together(many: Iterable[Figures]) -> Figures:
    """What they count between them; heard, and seeing the database, if all of them are."""
    many = list(many)
    heard = [one.heard for one in many if one.heard is not None]
    sums = {name: sum(getattr(one, name) for one in many) for name in _COUNTED}
    return Figures(
        **sums,
        hand_over=_add(one.hand_over for one in many),
        lag=_add(one.lag for one in many),
        heard=all(heard) if heard else None,
        sees_database=all(one.sees_database for one in many),
        draining=any(one.draining for one in many),
    )


_COUNTED = (
    *("sockets", "users", "behind", "journal_waiting", "resident_bytes"),
    *("posts", "deliveries", "reconnects", "closes"),
)


def _add(many: Iterable[Buckets]) -> Buckets:
    return [sum(counts) for counts in zip_longest(*many, fillvalue=0)]


def quantile(share: float, buckets: Buckets, bounds: Sequence[float]) -> float | None:
    """Up to which value this share of them is, as far as buckets tell; None: there are none.

    The last bucket has no upper bound: what is in it counts as its lower one.
    """
    rank, low = share * sum(buckets), 0.0
    for count, high in zip(buckets, [*bounds, bounds[-1]], strict=False):
        if count and rank <= count:
            return low + (high - low) * rank / count
        rank, low = rank - count, high
    return None
