"""What operators watch: how much is done, how long it takes, what goes wrong. Counted where it
happens; names carry their units, and every label exists from the start, so that rates can be told.

Of one process, or of all that share PROMETHEUS_MULTIPROC_DIR.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    values,
)
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from . import tallies
from .errors import ChatError

_directory = os.environ.get(tallies.VARIABLE)
_shared = tallies.Tallies(Path(_directory)) if _directory else None
registry = CollectorRegistry()  # ours alone: a site that embeds us may have its own metrics
try:
    # The library has decided by the same variable, but calls processes by their numbers.
    values.ValueClass = values.MultiProcessValue(_shared.name) if _shared else values.MutexValue
except OSError as error:
    sys.exit(f"{tallies.VARIABLE}={_directory} cannot be used: {error.strerror}.")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
ONE_TO_500 = (1, 2, 5, 10, 20, 50, 100, 200, 500)


def _counter(name: str, told: str, *labels: str) -> Counter:
    return Counter(f"chat_{name}", told, labels, registry=registry)


def _gauge(name: str, told: str, *labels: str) -> Gauge:
    return Gauge(f"chat_{name}", told, labels, registry=registry, multiprocess_mode="livesum")


def _histogram(name: str, told: str, buckets: Iterable[float]) -> Histogram:
    return Histogram(f"chat_{name}", told, registry=registry, buckets=tuple(buckets))


# Who is here
connections = _gauge("connections", "Open WebSockets, by dialect.", "dialect")
behind = _gauge("sockets_behind", "Sockets that have yet to read something in the database.")
closes = _counter("closes", "WebSockets that have ended, by close code.", "code")
reconnects = _counter("reconnects", "Clients that were here before, and said how far they had got.")

# What is said
posts_stored = _counter("posts_stored", "Messages that were committed.")
posts_known = _counter("posts_known", "Posts that had been stored before: retries, recognised.")
deliveries = _counter("deliveries", "Messages handed to sockets, live or from the database.", "way")
delivered_live, delivered_late = deliveries.labels("live"), deliveries.labels("replay")
hand_over_seconds = _histogram(
    "hand_over_seconds",
    "From a batch's oldest post until it was stored and handed to every live socket here.",
    SECONDS,
)
errors = _counter("errors", "Requests refused or failed, by the code that was told.", "code")
throttled = _counter("throttled", "What was refused because there was too much of it.", "what")

# How it is stored, and read
batch_posts = _histogram("batch_posts", "Posts in one transaction.", ONE_TO_500)
commit_seconds = _histogram("commit_seconds", "That a batch's transaction took.", SECONDS)
journal_waiting = _gauge("journal_waiting_posts", "Posts that wait for their commit.")
page_messages = _histogram("replay_page_messages", "Messages in a replayed page.", ONE_TO_500)
heals = _counter("heals", "Gaps in what was announced, filled from the database.")

# Whether workers hear each other, and see the database
heard = _gauge("layer_heard", "1: what this worker announces comes back to it.", "process")
seen = _gauge("database_seen", "1: this worker sees the database, and may show things.", "process")
announcements_dropped = _counter(
    "announcements_dropped", "Announcements that the layer was too slow for; the check tells."
)
announcements_garbage = _counter(
    "announcements_garbage", "What came over the layer and was no announcement, or a false one."
)

# The processes
lag_seconds = _histogram(
    "loop_lag_seconds", "How late the event loop came, looked at each second.", SECONDS
)
start_time = _gauge("process_start_time_seconds", "When it began, since 1970.", "process")
resident_bytes = _gauge("process_resident_memory_bytes", "Memory that it holds.", "process")
open_descriptors = _gauge("process_open_descriptors", "Sockets and files that it holds.", "process")
max_descriptors = _gauge("process_max_descriptors", "How many of them it may hold.", "process")
cpu_seconds = _gauge("process_cpu_seconds", "Processor time since it began.", "process")


def _error_codes(kind: type[ChatError] = ChatError) -> Iterator[str]:
    yield kind.code
    for special in kind.__subclasses__():
        yield from _error_codes(special)


for _code in _error_codes():
    errors.labels(_code)
for _what in ("post", "request", "line", "arrival", "sign-up", "wrong password"):
    throttled.labels(_what)


class _All(Collector):
    def collect(self) -> Iterator[Metric]:
        for metric in _shared.collect() if _shared else registry.collect():
            if metric.name.startswith("chat_"):  # others may share the directory
                # When a counter was made would be another series for each.
                metric.samples = [s for s in metric.samples if not s.name.endswith("_created")]
                yield metric


def total(counter: Counter) -> int:
    """What this process has counted, whatever the labels."""
    return int(sum(s.value for s in _samples(counter) if s.name.endswith("_total")))


def buckets(histogram: Histogram) -> list[int]:
    """What this process has observed, by bucket; the last one has no upper bound."""
    upto = [int(s.value) for s in _samples(histogram) if s.name.endswith("_bucket")]
    return [after - before for before, after in pairwise([0, *upto])]


def _samples(metric: Counter | Histogram) -> Iterator[Sample]:
    for collected in metric.collect():
        yield from collected.samples


def text() -> bytes:
    """All of them, of all processes, as Prometheus reads them. It may wait for others who ask."""
    return generate_latest(_All())
