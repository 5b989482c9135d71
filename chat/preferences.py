"""How somebody wants the chat to look and to behave, and what of them the others do not see."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.conf import settings

from .errors import BadFrame
from .models import Preferences
from .users import UserKey


class Hidden(NamedTuple):
    """What the others do not see of somebody who is shown to them. (Typing nobody passes on.)"""

    receipts: bool
    presence: bool


class Preferred(NamedTuple):
    """A user's preferences, as values."""

    theme: str = Preferences.Theme.SYSTEM.value
    language: str = ""
    enter_sends: bool = True
    hide_receipts: bool = False
    hide_typing: bool = False
    hide_presence: bool = False

    @property
    def hidden(self) -> Hidden:
        return Hidden(self.hide_receipts, self.hide_presence)


COLUMNS = [f"chat_preferences__{name}" for name in Preferred._fields]  # of a user
HIDING = [f"chat_preferences__hide_{name}" for name in Hidden._fields]


@lru_cache(maxsize=1_000)
def preferred(*row: Any) -> Preferred:
    """Of `COLUMNS`; the same for all who want the same. Nothing is there before the first wish."""
    return Preferred() if row[0] is None else Preferred(*row)


@lru_cache(maxsize=100)
def hidden(*row: Any) -> Hidden:
    """Of `HIDING`; the same for all who hide the same."""
    return Hidden(*map(bool, row))


def of(user_id: UserKey) -> Preferred | None:
    """What somebody prefers; None if they have never said so."""
    row = Preferences.objects.filter(pk=user_id).values_list(*Preferred._fields).first()
    return preferred(*row) if row else None


def store(user_id: UserKey, changes: Mapping[str, object]) -> tuple[Preferred, Preferred]:
    """Change some of them: how they were, and how they are. Call it inside a transaction."""
    _check(changes)
    Preferences.objects.get_or_create(pk=user_id)
    locked = Preferences.objects.select_for_update(no_key=True).filter(pk=user_id)
    before = Preferred(*locked.values_list(*Preferred._fields).get())
    after = before._replace(**dict(changes))  # type: ignore[arg-type]
    if after != before:
        locked.update(**changes)
    return before, after


def _check(changes: Mapping[str, object]) -> None:
    theme, language = changes.get("theme", ""), changes.get("language", "")
    if theme not in Preferences.Theme.values:
        raise BadFrame("There is no theme of this name.")
    if language and language not in dict(settings.LANGUAGES):
        raise BadFrame("The chat does not speak this language.")
