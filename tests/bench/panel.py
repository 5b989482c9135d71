"""`python -m tests.bench.panel`: the admin panel's pages over a million messages and 10,000 people.

The time is the server's own, from the request to the last byte of the page, without a network.
"""

import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django

from tests.bench.table import show
from tests.servers import environment, manage
from tests.stacks import PostgreSQL

PEOPLE = 10_000
MESSAGES = 1_000_000
CONNECTED = 2_000
REPORTED = 2_000
AUDITED = 100_000
ROUNDS = 5
MOST = 0.3  # seconds

# Every fifth message is said in the lobby; the others in groups, a thousand in each.
NUMBERS = {
    "sqlite": "WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < %(count)s)",
    "postgresql": "WITH n(n) AS (SELECT generate_series(1, %(count)s))",
}
SAID = """
INSERT INTO chat_message (room_id, seq, rev, born, sender_id, client_id, digest, body, created_at,
                          edited_at, deleted, announcement)
{numbers}, m AS (
    SELECT n, CASE WHEN n %% 5 = 0 THEN 'lobby' ELSE 'group-' || (n %% 1000) END AS room,
           CASE WHEN n %% 5 = 0 THEN n / 5 ELSE n / 1000 + 1 END AS seq,
           {now} AS created_at FROM n
)
SELECT room, seq, seq, seq, n %% %(people)s + 1, {uuid}, {digest}, 'Message ' || n, created_at,
       CASE WHEN n %% 5000 = 1 THEN created_at END, n %% 2000 = 2, n %% 100000 = 0 FROM m ORDER BY n
"""
AGE = "(%(count)s - n) * 2.592"  # seconds: a month of messages
DIALECTS = {
    "sqlite": {
        "now": f"strftime('%%Y-%%m-%%d %%H:%%M:%%f', 'now', '-' || ({AGE}) || ' seconds')",
        "uuid": "lower(hex(randomblob(16)))",
        "digest": "x'00'",
    },
    "postgresql": {
        "now": f"now() - {AGE} * interval '1 second'",
        "uuid": "gen_random_uuid()",
        "digest": "'\\x00'::bytea",
    },
}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as directory:
        home = Path(directory)
        production = {"DJANGO_SETTINGS_MODULE": "tests.production", "DEBUG": "0"}
        production |= {"SECRET_KEY": secrets.token_hex(), "STATIC_ROOT": str(home / "files")}
        production |= {"ALLOWED_HOSTS": "*"}
        env = environment(home, **production)
        manage(env, "collectstatic", "--no-input", "--verbosity", "0")
        _run(env)
        with PostgreSQL(home / "postgresql") as database:
            patient = "options=-cstatement_timeout%3D0"  # to fill it takes longer than a query may
            _run(env | {"DATABASE_URL": f"{database.url}?{patient}"})


def _run(env: dict[str, str]) -> None:
    manage(env, "migrate", "--verbosity", "0")
    command = [sys.executable, "-m", "tests.bench.panel", "measure"]
    subprocess.run(command, env=os.environ | env, check=True)


def measure() -> None:
    """On the database that the environment names, which is empty."""
    django.setup()
    from django.contrib.auth import get_user_model
    from django.db import connection, reset_queries
    from django.test import Client

    began = time.perf_counter()
    admin = _fill()
    print(f"{connection.vendor}: filled in {time.perf_counter() - began:.0f} s", flush=True)
    client = Client(SERVER_NAME="127.0.0.1")
    client.force_login(get_user_model().objects.get(pk=admin))
    for path in _pages():
        times, queries, status = [], 0, 0
        for _ in range(ROUNDS):
            connection.force_debug_cursor = True
            reset_queries()
            began = time.perf_counter()
            response = client.get(path)
            times.append(time.perf_counter() - began)
            queries, status = len(connection.queries), response.status_code
        late = "  TOO SLOW" if sorted(times)[ROUNDS // 2] > MOST else ""
        told = "" if status == 200 else f"  {status}"
        show(f"{path[:60]}  ms, {queries} queries{told}{late}", times, 0.001)


def _fill() -> Any:
    from django.contrib.auth import get_user_model
    from django.db import connection
    from django.utils import timezone

    from chat.models import (
        Access,
        AuditEntry,
        Connection,
        Lease,
        Membership,
        Message,
        Report,
        Room,
    )

    User, now = get_user_model(), timezone.now()
    User.objects.bulk_create(
        [User(pk=n, username=f"person-{n:05}", password="!") for n in range(1, PEOPLE + 1)]
    )
    if connection.vendor == "postgresql":  # keys were given by hand
        with connection.cursor() as cursor:
            cursor.execute("SELECT setval('auth_user_id_seq', %s)", [PEOPLE])
    Room.objects.all().delete()
    groups = [n for n in range(1_000) if n % 5]
    lobby = Room(id="lobby", kind="everyone", name="Lobby")
    rooms = [lobby, *(Room(id=f"group-{n}", kind="group", name=f"Group {n}") for n in groups)]
    for room in rooms:
        room.seq = room.rev = MESSAGES // 5 if room is lobby else 1_000
    Room.objects.bulk_create(rooms)
    Access.objects.bulk_create([Access(user_id=n) for n in range(1, PEOPLE + 1)])
    seats = [
        Membership(room_id="lobby", user_id=n, delivered_rev=MESSAGES // 5 - n % 7)
        for n in range(1, PEOPLE + 1)
    ]
    seats += [
        Membership(
            room_id=f"group-{g}", user_id=(g * 25 + n) % PEOPLE + 1, delivered_rev=1_000 - n % 3
        )
        for g in groups
        for n in range(25)
    ]
    Membership.objects.bulk_create(seats, batch_size=1_000)
    with connection.cursor() as cursor:
        dialect = DIALECTS[connection.vendor]
        statement = SAID.format(numbers=NUMBERS[connection.vendor], **dialect)
        cursor.execute(statement, {"count": MESSAGES, "people": PEOPLE})
        cursor.execute("ANALYZE")
    leases = [Lease(worker=f"worker-{n}", host="bench", pid=n + 1) for n in range(4)]
    Lease.objects.bulk_create(leases)
    Lease.objects.update(renewed_at=now.replace(year=now.year + 1))
    Connection.objects.bulk_create(
        [
            Connection(
                lease=leases[n % 4], user_id=n * 3 + 1, address="203.0.113.7", client="Bench"
            )
            for n in range(CONNECTED)
        ]
    )
    messages = Message.objects.filter(pk__lte=REPORTED * 3).exclude(room="lobby")
    Report.objects.bulk_create(
        [
            Report(
                reporter_id=1, person_id=m.sender_id, room_id=m.room_id, seq=m.seq, reason="Rude"
            )
            for m in messages[:REPORTED]
            if m.sender_id != 1
        ]
    )
    AuditEntry._base_manager.bulk_create(
        [
            AuditEntry(actor_id=1, actor_name="person-00001", action="changed", kind="room",
                       key="lobby", label="Lobby", room="lobby")
            for _ in range(AUDITED)
        ],
        batch_size=5_000,
    )  # fmt: skip
    admin = User.objects.create_superuser("admin", password="!")
    _count()
    return admin.pk


def _count() -> None:
    """As the workers do each minute."""
    from chat import backlog, history

    began = time.perf_counter()
    history.claim()
    while history.count_some():
        pass
    history.sum_up()
    history.note_waiting(backlog.summary())
    while history.forget_a_day():
        pass
    print(f"counted into hours and days in {time.perf_counter() - began:.1f} s", flush=True)


def _pages() -> Iterator[str]:
    """Every list, the first row of each, and what is beside them."""
    from chat.models import Message

    yield "/admin/"
    yield "/admin/chat/vitals/"
    yield "/admin/chat/vitals/live/"
    message = "/admin/chat/message/"
    yield message
    yield f"{message}?p=90"
    for filters in ("q=lobby", "q=person-00077", "state=deleted", "state=announcement"):
        yield f"{message}?{filters}"
    last = Message.objects.filter(room="lobby").latest("pk").pk
    yield f"{message}{last}/change/"
    yield f"{message}{last}/whereabouts/"
    yield f"{message}{last}/whereabouts/?show=waiting"
    for model in ("connection", "waiting", "announcement", "report", "room", "membership"):
        yield f"/admin/chat/{model}/"
    for model in ("access", "token", "retention", "auditentry"):
        yield f"/admin/chat/{model}/"
    yield "/admin/chat/announcement/add/"
    yield "/admin/chat/room/lobby/change/"
    yield "/admin/chat/room/group-1/change/"
    yield "/admin/chat/access/77/change/"
    yield "/admin/chat/access/?q=person-0007"
    yield "/admin/chat/auditentry/?q=person-00001"


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
