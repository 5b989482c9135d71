"""How much was said, and by how many, hour by hour and day by day. Synchronous.

Counted afterwards, by whichever worker comes to it, and never where messages are stored. The
invariant: each message is in exactly one hour. `Tally.upto` moves in the transaction that adds what
is up to it, under the row's lock; and nobody reads past a message that is younger than `SETTLED`:
keys are handed out before commits, so that a lower one may come later, but not as late as that.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Count, Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils import timezone

from . import leases
from .models import Activity, Day, Hour, Message, Tally

EVERY = timedelta(seconds=50)  # at most, over all workers
SETTLED = timedelta(seconds=45)  # no transaction takes as long: its statements are ended before
BATCH = 2_000  # messages in one transaction: posts wait for it on SQLite
KEPT = timedelta(days=2)  # that it is remembered who was active on a day
WEEKS = 4  # over which the busiest hours are averaged

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Said(NamedTuple):
    """A message, as far as it is counted."""

    key: int
    at: datetime


class Today(NamedTuple):
    """A day, as it is told."""

    date: date
    messages: int
    people: int


# What is counted


def claim() -> bool:
    """Whether it is time to count again, and it is up to us."""
    Tally.objects.bulk_create([Tally(pk=1)], ignore_conflicts=True)
    due = Q(counted_at=None) | Q(counted_at__lt=Now() - EVERY)
    return bool(Tally.objects.filter(due, pk=1).update(counted_at=Now()))


def count_some() -> bool:
    """Add messages to their hours, and who wrote them to their days; whether there may be more."""
    with _alone() as (tally, now):
        said = Message.objects.filter(pk__gt=tally.upto).order_by("pk")
        rows = list(map(Said._make, said.values_list("pk", "created_at")[:BATCH]))
        settled = list(takewhile(lambda one: one.at < now - SETTLED, rows))
        if settled:
            _add_to_hours(settled)
            _note_senders(tally.upto, upto := settled[-1].key)
            Tally.objects.filter(pk=1).update(upto=upto, counted_at=Now())
    return len(settled) == BATCH


def note_connected() -> None:
    """Whoever is connected is active, too."""
    with _alone() as (_, now):
        today = now.astimezone(UTC).date()
        noted = Activity.objects.filter(date=today, user=OuterRef("user"))
        others = leases.living_connections().filter(~Exists(noted)).values_list("user", flat=True)
        Activity.objects.bulk_create(
            (Activity(date=today, user_id=user_id) for user_id in others.distinct()[:BATCH]),
            ignore_conflicts=True,
        )


def note_waiting(summary: dict[str, Any]) -> None:
    """What waits for people who are away, as `backlog` sums it up."""
    Tally.objects.filter(pk=1).update(backlog=summary)


def sum_up() -> None:
    """Write how many were active on each of the last days."""
    with _alone() as (_, now):
        _write_days(Activity.objects.filter(date__gte=_forgotten(now)))


def forget_a_day() -> bool:
    """Write how many were active on a day that is over, and forget who; whether there was one."""
    with _alone() as (_, now):
        over = Activity.objects.filter(date__lt=_forgotten(now)).order_by("date")
        if (day := over.values_list("date", flat=True).first()) is None:
            return False
        on_that_day = Activity.objects.filter(date=day)
        _write_days(on_that_day)
        on_that_day.delete()
    return True


@contextmanager
def _alone() -> Iterator[tuple[Tally, datetime]]:
    """Nobody else counts meanwhile; what has been counted, and the time."""
    with transaction.atomic():
        tally = Tally.objects.select_for_update(no_key=True).annotate(now=Now()).get(pk=1)
        yield tally, tally.now


def _forgotten(now: datetime) -> date:
    return (now.astimezone(UTC) - KEPT).date()


def _add_to_hours(said: Iterable[Said]) -> None:
    """Those that are there are read first: under the lock nobody else writes them."""
    keys: dict[datetime, list[int]] = defaultdict(list)
    for one in said:
        keys[_hour(one.at)].append(one.key)
    known = {hour.at: hour for hour in Hour.objects.filter(at__gte=min(keys), at__lte=max(keys))}
    added = []
    for at, here in keys.items():
        hour = known.get(at) or Hour(at=at, first_message=here[0])
        hour.messages += len(here)
        added.append(hour)
    Hour.objects.bulk_create(
        added, update_conflicts=True, unique_fields=["at"], update_fields=["messages"]
    )


def _note_senders(after: int, upto: int) -> None:
    """In one statement: to bring thousands of rows here and back takes ten times as long."""
    utc = "DATE(created_at)" if connection.vendor == "sqlite" else _UTC_OF_POSTGRESQL
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {Activity._meta.db_table} (date, user_id)"  # noqa: S608  # ours
            f" SELECT DISTINCT {utc}, sender_id FROM {Message._meta.db_table}"
            " WHERE id > %s AND id <= %s AND sender_id IS NOT NULL ON CONFLICT DO NOTHING",
            [after, upto],
        )


_UTC_OF_POSTGRESQL = "(created_at AT TIME ZONE 'UTC')::DATE"


def _write_days(active: Any) -> None:
    """Never less than before: somebody who was active may have been erased."""
    counts = dict(active.order_by("date").values_list("date").annotate(Count("pk")))
    known = dict(Day.objects.filter(pk__in=counts).values_list("pk", "people"))
    Day.objects.bulk_create(
        [Day(date=day, people=max(people, known.get(day, 0))) for day, people in counts.items()],
        update_conflicts=True,
        unique_fields=["date"],
        update_fields=["people"],
    )


def _hour(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


# What is told of it, by UTC, with the hours and days on which nothing happened


def hours(count: int) -> list[tuple[datetime, int]]:
    """Messages in each of the last hours; the last one is not over."""
    last = _hour(timezone.now())
    first = last - (count - 1) * HOUR
    said = dict(Hour.objects.filter(at__gte=first).values_list("at", "messages"))
    return [(at, said.get(at, 0)) for at in (first + n * HOUR for n in range(count))]


def days(count: int) -> list[Today]:
    """Messages, and people who were active, on each of the last days; the last is not over."""
    last = timezone.now().astimezone(UTC).date()
    first = last - (count - 1) * DAY
    said: Counter[date] = Counter()
    for at, messages in Hour.objects.filter(at__gte=_midnight(first)).values_list("at", "messages"):
        said[at.astimezone(UTC).date()] += messages
    people = dict(Day.objects.filter(date__gte=first).values_list("date", "people"))
    each = (first + n * DAY for n in range(count))
    return [Today(day, said[day], people.get(day, 0)) for day in each]


def busiest() -> list[list[float]]:
    """Messages in each hour of each weekday from Monday on, on the average of the last weeks.

    Of those since something was said for the first time.
    """
    end = _hour(timezone.now())
    begin = end - WEEKS * 7 * DAY
    first = Hour.objects.order_by("at").values_list("at", flat=True).first()
    said = dict(Hour.objects.filter(at__gte=begin, at__lt=end).values_list("at", "messages"))
    week: list[list[list[int]]] = [[[] for _ in range(24)] for _ in range(7)]
    at = max(begin, first) if first else end
    while at < end:
        week[at.weekday()][at.hour].append(said.get(at, 0))
        at += HOUR
    return [[sum(hour) / len(hour) if hour else 0.0 for hour in day] for day in week]


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
