"""`manage.py connections`: who is connected, over all workers."""

import json
from argparse import ArgumentParser
from typing import Any

from django.utils import timezone

from chat import leases
from chat.management.shell import ShellCommand, in_print, user_named
from chat.models import Connection
from chat.users import username

TITLES = ("connection", "user", "address", "dialect", "state", "open", "silent", "worker", "client")


class Command(ShellCommand):
    help = "List the open WebSockets of all workers, the oldest first."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", metavar="NAME", help="only those of this user")
        parser.add_argument("--json", action="store_true", help="an object on each line")

    def handle(self, *args: Any, **options: Any) -> None:
        found = leases.living_connections().select_related("lease", "user").order_by("since", "pk")
        if options["user"] is not None:
            found = found.filter(user_id=user_named(options["user"]).pk)
        if options["json"]:
            for connection in found:
                self.stdout.write(json.dumps(_record(connection)))
            return
        for line in _table([TITLES, *map(_row, found)]):
            self.stdout.write(line)


def _record(connection: Connection) -> dict[str, Any]:
    return {
        "connection": connection.pk,
        "user": username(connection.user),
        "address": connection.address,
        "client": connection.client,
        "subprotocol": connection.subprotocol,
        "state": connection.state,
        "since": connection.since.isoformat(),
        "active_at": connection.active_at.isoformat(),
        "worker": connection.lease_id,
        "host": connection.lease.host,
        "pid": connection.lease.pid,
    }


def _row(connection: Connection) -> tuple[str, ...]:
    now = timezone.now()
    return (
        connection.pk,
        in_print(username(connection.user)),
        connection.address or "-",
        connection.subprotocol or "-",
        connection.state,
        _ago(connection.since, now),
        _ago(connection.active_at, now),
        str(connection.lease),
        connection.client or "-",
    )


def _ago(then: Any, now: Any) -> str:
    """Roughly: in the largest unit that fits."""
    seconds = max(0, int((now - then).total_seconds()))
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
