"""What is stored: rooms, who is in them, what was said, who may come in, and who is online.

A new column has a `db_default` or may be null: workers of the release before go on writing rows
while a new one is rolled out.
"""

from .keys import opaque_id
from .people import Access, LastSeen, Preferences, Report, Token
from .records import Activity, AuditEntry, Day, Hour, Purge, Retention, Tally
from .rooms import Announcement, Membership, Message, Room, Waiting
from .workers import Connection, Epoch, Lease, Vitals

__all__ = [
    "Access",
    "Activity",
    "Announcement",
    "AuditEntry",
    "Connection",
    "Day",
    "Epoch",
    "Hour",
    "LastSeen",
    "Lease",
    "Membership",
    "Message",
    "Preferences",
    "Purge",
    "Report",
    "Retention",
    "Room",
    "Tally",
    "Token",
    "Vitals",
    "Waiting",
    "opaque_id",
]
