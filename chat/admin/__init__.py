"""The admin panel. What it changes, it changes as the chat does, so that open sockets notice."""

from . import (  # noqa: F401
    announcements,
    audit,
    connections,
    dashboard,
    messages,
    people,
    reports,
    retention,
    rooms,
    waiting,
)
