"""`python -m tests.chatter ROOM COUNT NAME …`: these people say that much in a room, by turns.

By the domain itself, in a process of its own: ten thousand messages take seconds.
"""

import sys
import uuid
from collections.abc import Sequence

from tests.servers import run_module

SENTENCE = "the kettle whistles and nobody comes to pour what has been boiling for so long"
WORDS = SENTENCE.split()
BATCH = 500


def chatter(env: dict[str, str], room: str, count: int, *names: str) -> None:
    """Fill the database that this environment names."""
    run_module(env, "tests.chatter", room, str(count), *names)


def body(number: int) -> str:
    """Of any length from a word to some lines, and never the same."""
    words = [WORDS[(number * 7 + at) % len(WORDS)] for at in range(1 + number * number % 45)]
    return f"{number}: {' '.join(words)}"


def say(room_name: str, count: int, names: Sequence[str]) -> None:
    from django.contrib.auth import get_user_model

    import project.asgi  # noqa: F401  # sets Django up
    from chat import messaging
    from chat.messaging import Draft
    from chat.models import Room

    room = Room.objects.get(name=room_name)
    people = [get_user_model().objects.get_by_natural_key(name) for name in names]

    def draft(number: int) -> Draft:
        return Draft(people[number // 3 % len(people)], room.pk, uuid.uuid4(), body(number))

    first = room.seq + 1
    for start in range(first, first + count, BATCH):
        numbers = range(start, min(start + BATCH, first + count))
        messaging.post([draft(number) for number in numbers])


if __name__ == "__main__":
    _, room, count, *names = sys.argv
    say(room, int(count), names)
