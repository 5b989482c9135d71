"""What is there before anything is measured: users, rooms and waiting messages.

`python -m tests.bench.stock` stores it with Roost's own code, in a process of its own, because one
process knows one database; it prints what the bench has to know.
"""

import json
import subprocess
import sys
import uuid
from dataclasses import asdict, dataclass
from typing import Any

from tests.servers import ROOT

BODY = "x" * 200
ROUNDS = 3
MEMBERS = 500
PAIRS = 100
WAITING = 5_000


@dataclass(frozen=True)
class Stock:
    alice: str  # people by their tokens, rooms by their ids
    bob: str
    members: list[str]
    sessions: list[str]  # of the same, as a browser's cookie has them
    hall: str
    away: list[tuple[str, str]]  # somebody, and the room in which so much waits for them
    pairs: list[tuple[str, str, str]]  # two of the members, and their direct room


def stocked(env: dict[str, str]) -> Stock:
    """Stock the database that this environment names."""
    command = [sys.executable, "-m", "tests.bench.stock"]
    told = subprocess.run(command, cwd=ROOT, env=env, check=True, stdout=subprocess.PIPE)
    return Stock(**json.loads(told.stdout))


def store() -> Stock:
    from django.contrib.auth import (
        BACKEND_SESSION_KEY,
        HASH_SESSION_KEY,
        SESSION_KEY,
        get_user_model,
    )
    from django.contrib.sessions.backends.db import SessionStore
    from django.db import transaction

    import project.asgi  # noqa: F401  # sets Django up
    from chat import authentication, messaging, rooms
    from chat.messaging import Draft

    def user(name: str) -> tuple[Any, str]:
        person = get_user_model().objects.create_user(name)
        return person, authentication.issue_token(person)[0]

    def session(person: Any) -> str:
        store = SessionStore()
        store[SESSION_KEY] = str(person.pk)
        store[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
        store[HASH_SESSION_KEY] = person.get_session_auth_hash()
        store.create()
        return str(store.session_key)

    away = []
    with transaction.atomic():
        alice, alices_token = user("alice")
        _bob, bobs_token = user("bob")
        members = [user(f"member{n}") for n in range(MEMBERS)]
        hall = rooms.create(members[0][0], "Hall", members=[person for person, _ in members])
        couples = list(zip(members[::2], members[1::2], strict=True))[:PAIRS]
        pairs = [(one[1], two[1], rooms.open_direct(one[0], two[0]).pk) for one, two in couples]
    for n in range(ROUNDS):
        peer, token = user(f"away{n}")
        direct = rooms.open_direct(alice, peer)
        drafts = [Draft(alice, direct.pk, uuid.uuid4(), BODY) for _ in range(WAITING)]
        for start in range(0, WAITING, 500):
            messaging.post(drafts[start : start + 500])
        away.append((token, direct.pk))
    tokens = [token for _, token in members]
    sessions = [session(person) for person, _ in members]
    return Stock(alices_token, bobs_token, tokens, sessions, hall.pk, away, pairs)


if __name__ == "__main__":
    print(json.dumps(asdict(store())))
