"""The admin panel. What it changes, it changes as the chat does, so that open sockets notice."""

from . import announcements, audit, connections, messages, people, reports, rooms  # noqa: F401
