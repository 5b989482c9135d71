"""The workers, as far as their leases tell: one that holds no connection leaves no trace."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from django.db.models import Count, DurationField, ExpressionWrapper, F
from django.db.models.functions import Now

from .. import conf
from ..leases import LIFE
from ..models import Lease
from .findings import Finding, doubtful, number, ok

MANY = 10  # connections of each worker, from which on the kernel's chance gives to all of them


def look() -> Iterator[Finding]:
    age = ExpressionWrapper(Now() - F("renewed_at"), output_field=DurationField())
    known = Lease.objects.annotate(age=age, held=Count("connections")).order_by("host", "pid")
    leases: list[Any] = list(known.values("worker", "host", "pid", "age", "held"))
    living = [lease for lease in leases if lease["age"] <= LIFE]
    dead = [lease for lease in leases if lease["age"] > LIFE]
    if dead:
        yield doubtful(
            f"{number(len(dead), 'worker')} ended without a word: {_told(dead)}.",
            "A worker that lives clears up behind them; where none does, manage.py cleanup.",
        )
    yield from _living(living)


def _living(leases: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    expected, held = conf.workers(), sum(lease["held"] for lease in leases)
    if not leases:
        yield ok("Nobody is connected. (A worker without connections leaves no trace.)")
    elif len(leases) > expected:
        yield doubtful(
            f"{len(leases)} workers hold connections, and CHAT_WORKERS says {expected}:"
            f" {_told(leases)}.",
            "Count them in CHAT_WORKERS, unless some are just being replaced.",
        )
    elif len(leases) < expected and held >= MANY * expected:
        yield doubtful(
            f"{len(leases)} of {number(expected, 'worker')} hold all of {held} connections:"
            f" {_told(leases)}.",
            "Look whether the others live, and whether the proxy knows of them.",
        )
    else:
        yield ok(f"{number(len(leases), 'worker')} of {expected}: {_told(leases)}.")


def _told(leases: Sequence[Mapping[str, Any]]) -> str:
    return "; ".join(
        f"{lease['host'] or lease['worker']}{_pid(lease)}, {number(lease['held'], 'connection')},"
        f" renewed {_seconds(lease['age'])} ago"
        for lease in leases
    )


def _pid(lease: Mapping[str, Any]) -> str:
    return f" process {lease['pid']}" if lease["pid"] else ""


def _seconds(age: timedelta) -> str:
    return str(timedelta(seconds=max(0, round(age.total_seconds()))))
