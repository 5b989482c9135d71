"""What is stored: rooms, who is in them, what was said, who may come in, and who is online.

The constraints carry the guarantees. `Room.rev` is raised under the room's row lock in the
transaction that inserts or changes a message: the order of revs is the order of commits, without
holes.

A new column has a `db_default` or may be null: workers of the release before go on writing rows
while a new one is rolled out.
"""

import secrets
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from . import conf


def opaque_id() -> str:
    """Sixteen characters, 96 bits: clients cannot guess a room."""
    while (made := secrets.token_urlsafe(12)).startswith("-"):
        pass  # which a command would take for an option
    return made


class Room(models.Model):
    """A conversation."""

    class Kind(models.TextChoices):
        DIRECT = "direct", _("Direct")
        GROUP = "group", _("Group")
        EVERYONE = "everyone", _("Everyone")
        FEED = "feed", _("Feed")

    id = models.CharField(primary_key=True, max_length=16, default=opaque_id, editable=False)
    kind = models.CharField(max_length=8, choices=Kind)
    name = models.CharField(
        max_length=conf.ROOM_NAME_CHARS,
        blank=True,
        validators=[RegexValidator(r"^[^|\r\n\0]*\Z", _("Neither | nor line breaks."))],
        help_text=_("Empty for direct rooms."),
    )
    pair = models.CharField(
        max_length=160,
        null=True,
        editable=False,
        help_text=_("The keys of a direct room's two users, in order; null for other rooms."),
    )
    open = models.BooleanField(default=False, help_text=_("Anybody may see and join it."))
    seq = models.BigIntegerField(
        default=0, editable=False, help_text=_("Place of its last message.")
    )
    rev = models.BigIntegerField(
        default=0, editable=False, help_text=_("Its head: the number of its latest change.")
    )
    first_seq = models.BigIntegerField(
        default=1, editable=False, help_text=_("Older messages are gone.")
    )
    first_rev = models.BigIntegerField(
        default=1, editable=False, help_text=_("A cursor below may have missed what is gone.")
    )
    slow_mode = models.PositiveSmallIntegerField(
        default=0,
        db_default=0,
        help_text=_("Seconds that a member waits between two messages; 0: none."),
    )
    archived = models.BooleanField(
        default=False, db_default=False, help_text=_("It can be read, and nothing changes in it.")
    )
    blocked = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text=_("One of a direct room's two users has blocked the other."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["pair"], name="one_direct_room_per_pair"),
            models.UniqueConstraint(
                fields=["kind"], condition=Q(kind="everyone"), name="one_room_for_everyone"
            ),
            models.CheckConstraint(
                condition=Q(kind="direct", pair__isnull=False)
                | (~Q(kind="direct") & Q(pair__isnull=True)),
                name="only_direct_rooms_have_a_pair",
            ),
        ]

    def __str__(self) -> str:
        return self.name or f"{self.get_kind_display()} {self.id}"


class Membership(models.Model):
    """A user in a room, and how far they got there."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        MODERATOR = "moderator", _("Moderator")
        MEMBER = "member", _("Member")

    class Notify(models.TextChoices):
        ALL = "all", _("Everything")
        NONE = "none", _("Nothing")

    room = models.ForeignKey(Room, models.CASCADE, related_name="memberships", db_index=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chat_memberships"
    )
    role = models.CharField(max_length=9, choices=Role, default=Role.MEMBER)
    delivered_rev = models.BigIntegerField(
        default=0, editable=False, help_text=_("At least one device has everything up to this.")
    )
    read_seq = models.BigIntegerField(default=0, editable=False)
    muted_until = models.DateTimeField(null=True, blank=True)
    posted_at = models.DateTimeField(
        null=True, editable=False, help_text=_("Last, where slow mode counts.")
    )
    notify = models.CharField(
        max_length=4,
        choices=Notify,
        default=Notify.ALL,
        db_default=Notify.ALL,
        help_text=_("What the user wants to be told of while looking elsewhere."),
    )
    unread_from = models.BigIntegerField(
        null=True, editable=False, help_text=_("Where the user has marked it as unread.")
    )
    blocks = models.BooleanField(
        default=False,
        db_default=False,
        editable=False,
        help_text=_("The user has blocked the other one of this direct room."),
    )
    joined_at = models.DateTimeField(auto_now_add=True)

    muted_for: timedelta | None  # from now on, where the membership was read to be shown
    head: int  # rev or seq of the room, where the membership was read to move a cursor
    moved: bool  # whether it did

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["room", "user"], name="one_membership_per_room_and_user"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.room}"


class Message(models.Model):
    """What a person said. Addressed by (room, seq); versioned by rev."""

    room = models.ForeignKey(Room, models.CASCADE, related_name="messages", db_index=False)
    seq = models.BigIntegerField()
    rev = models.BigIntegerField(help_text=_("Number of its own last change."))
    born = models.BigIntegerField(help_text=_("Its rev at birth."))
    # PROTECT: with its messages gone, a room's order would have holes. Deactivate people instead.
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        null=True,
        related_name="chat_messages",
        db_index=False,
    )
    client_id = models.UUIDField()
    digest = models.BinaryField(max_length=16, help_text=_("Of the original body."))
    body = models.TextField(blank=True)
    created_at = models.DateTimeField()
    edited_at = models.DateTimeField(null=True)
    deleted = models.BooleanField(default=False)
    announcement = models.BooleanField(
        default=False, db_default=False, help_text=_("Said by those who run the site, as such.")
    )

    sender_name: str | None  # username of the sender, where the message was read to be shown

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["room", "seq"], name="seq_unique_in_room"),
            models.UniqueConstraint(fields=["room", "rev"], name="rev_unique_in_room"),
            models.UniqueConstraint(fields=["sender", "client_id"], name="no_message_twice"),
        ]

    def __str__(self) -> str:
        return f"{self.room_id}/{self.seq}"


class Report(models.Model):
    """What somebody wants those who run the site to look at: a message, or a person."""

    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chat_reports", editable=False
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="chat_reports_about",
        editable=False,
        help_text=_("Who is reported: a message's sender, or somebody as such."),
    )
    room = models.ForeignKey(
        Room, models.CASCADE, null=True, related_name="reports", editable=False
    )
    seq = models.BigIntegerField(
        null=True, editable=False, help_text=_("Of the message; null: the person as such.")
    )
    body = models.TextField(
        blank=True, editable=False, help_text=_("The message's, as it was when it was reported.")
    )
    reason = models.CharField(max_length=conf.REASON_CHARS, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    closed_at = models.DateTimeField(
        null=True, blank=True, editable=False, help_text=_("Since when nobody needs to look.")
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["reporter", "room", "seq"], name="one_report_per_reporter_and_message"
            ),
            models.UniqueConstraint(
                fields=["reporter", "person"],
                condition=Q(seq__isnull=True),
                name="one_report_per_reporter_and_person",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reporter}: {self.reason[:40]}"


class Preferences(models.Model):
    """How a user wants the chat to look and to behave, on every device."""

    class Theme(models.TextChoices):
        SYSTEM = "", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="chat_preferences",
    )
    theme = models.CharField(max_length=5, choices=Theme, blank=True, default=Theme.SYSTEM)
    language = models.CharField(
        max_length=16, blank=True, default="", help_text=_("Empty: as the browser asks.")
    )
    enter_sends = models.BooleanField(default=True)
    hide_receipts = models.BooleanField(default=False)
    hide_typing = models.BooleanField(default=False)
    hide_presence = models.BooleanField(default=False)

    class Meta:
        verbose_name_plural = _("preferences")

    def __str__(self) -> str:
        return str(self.user)


class Access(models.Model):
    """What a user may see, as a version: raised by every change, compared each second."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="chat_access"
    )
    version = models.BigIntegerField(default=1, editable=False)
    banned_until = models.DateTimeField(null=True, blank=True)
    closed_below = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text=_("Connections admitted with a lower version are closed."),
    )
    close_code = models.SmallIntegerField(null=True, editable=False, help_text=_("With this."))

    class Meta:
        verbose_name_plural = _("access")

    def __str__(self) -> str:
        return f"{self.user}: {self.version}"


class Lease(models.Model):
    """A worker that lives: its connections count as long as it renews this."""

    worker = models.CharField(primary_key=True, max_length=16, editable=False)
    version = models.BigIntegerField(
        default=1, editable=False, help_text=_("Raised when its connections change.")
    )
    host = models.CharField(max_length=64, blank=True, db_default="", editable=False)
    pid = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    renewed_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}" if self.host else self.worker


class Connection(models.Model):
    """An open WebSocket, on some worker."""

    class State(models.TextChoices):
        SILENT = "silent", _("Has said nothing yet")
        BEHIND = "behind", _("Behind")
        LIVE = "live", _("Live")

    id = models.CharField(primary_key=True, max_length=16, default=opaque_id, editable=False)
    lease = models.ForeignKey(Lease, models.CASCADE, related_name="connections", editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="chat_connections", editable=False
    )
    address = models.CharField(max_length=45, blank=True, db_default="", editable=False)
    client = models.CharField(max_length=200, blank=True, db_default="", editable=False)
    subprotocol = models.CharField(max_length=16, blank=True, db_default="", editable=False)
    since = models.DateTimeField(db_default=Now(), editable=False)
    active_at = models.DateTimeField(
        db_default=Now(), editable=False, help_text=_("When its client last said something.")
    )
    state = models.CharField(
        max_length=6,
        choices=State,
        default=State.SILENT,
        db_default=State.SILENT,
        editable=False,
    )
    close_code = models.SmallIntegerField(
        null=True, editable=False, help_text=_("Its worker is to close it with this.")
    )

    def __str__(self) -> str:
        return f"{self.user} on {self.lease_id}"


class LastSeen(models.Model):
    """When a connection of a user ended last; who has another one is online all the same."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, models.CASCADE, primary_key=True, related_name="chat_last_seen"
    )
    at = models.DateTimeField(editable=False)

    class Meta:
        verbose_name_plural = _("last seen")

    def __str__(self) -> str:
        return f"{self.user}: {self.at:%Y-%m-%d %H:%M}"


class Token(models.Model):
    """What a program shows instead of a session cookie. We keep only its digest."""

    class Kind(models.TextChoices):
        BEARER = "bearer", _("Bearer token")
        TICKET = "ticket", _("Ticket")

    digest = models.CharField(primary_key=True, max_length=64, editable=False)
    kind = models.CharField(max_length=6, choices=Kind)
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="chat_tokens")
    auth_hash = models.CharField(
        max_length=128, editable=False, help_text=_("Ends the token with the user's password.")
    )
    issuer = models.CharField(
        max_length=80,
        editable=False,
        blank=True,
        help_text=_("A ticket's own session or token: the connection ends with it."),
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.user}"


class Epoch(models.Model):
    """Which life of the database this is: a restored backup begins another one."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    value = models.CharField(max_length=16, default=opaque_id, editable=False)
    closures = models.BigIntegerField(
        default=0,
        db_default=0,
        editable=False,
        help_text=_("Raised to close every connection there is."),
    )

    def __str__(self) -> str:
        return self.value
