"""Whether somebody can be reached, and if not, why: kept out, away, or not ready. Synchronous."""

from collections import defaultdict
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from django.contrib.auth import get_user_model
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from . import leases, users
from .models import Access, Connection
from .users import UserKey


class State(models.TextChoices):
    DEACTIVATED = "deactivated", _("Deactivated")
    BANNED = "banned", _("Banned")
    NEVER = "never", _("Never connected")
    AWAY = "away", _("Away")
    SILENT = "silent", _("Connected, but has not resumed yet")
    BEHIND = "behind", _("Connected, but its connection is behind")
    LIVE = "live", _("Connected")


class Reach(NamedTuple):
    """How it stands with one user now."""

    state: State
    seen_at: datetime | None = None  # when the last of their connections ended
    banned_until: datetime | None = None
    connections: tuple[Connection, ...] = ()  # of living workers, with their leases


def reach(user_ids: Collection[UserKey]) -> dict[UserKey, Reach]:
    """Of each of these users; four queries, however many they are."""
    people = get_user_model()._default_manager.filter(pk__in=user_ids)
    active = set(users.active().filter(pk__in=user_ids).values_list("pk", flat=True))
    bans = Access.objects.filter(pk__in=user_ids, banned_until__gt=Now())
    banned_until = dict(bans.values_list("pk", "banned_until"))
    last_seen = leases.last_seen(user_ids)
    connections = defaultdict(list)
    for connection in leases.living_connections().filter(user__in=user_ids).select_related("lease"):
        connections[connection.user_id].append(connection)

    def of(user_id: UserKey) -> Reach:
        here, until, seen = connections[user_id], banned_until.get(user_id), last_seen.get(user_id)
        if user_id not in active:
            state = State.DEACTIVATED
        elif until is not None:
            state = State.BANNED
        elif here:
            state = _readiest(here)
        else:
            state = State.AWAY if seen else State.NEVER
        return Reach(state, seen, until, tuple(here))

    return {user_id: of(user_id) for user_id in people.values_list("pk", flat=True)}


def _readiest(connections: Collection[Connection]) -> State:
    """As the best of them is: one device that gets everything is enough."""
    states = {connection.state for connection in connections}
    return next(state for state in (State.LIVE, State.BEHIND, State.SILENT) if state in states)
