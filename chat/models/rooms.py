"""Rooms, who is in them, and what was said.

The constraints carry the guarantees. `Room.rev` is raised under the room's row lock in the
transaction that inserts or changes a message: the order of revs is the order of commits, without
holes.
"""

from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .. import conf
from .keys import opaque_id


class Room(models.Model):
    """A conversation."""

    class Kind(models.TextChoices):
        DIRECT = "direct", _("Direct")
        GROUP = "group", _("Group")
        EVERYONE = "everyone", _("Everyone")
        FEED = "feed", _("Feed")

    id = models.CharField(
        _("id"), primary_key=True, max_length=16, default=opaque_id, editable=False
    )
    kind = models.CharField(_("kind"), max_length=8, choices=Kind)
    name = models.CharField(
        _("name"),
        max_length=conf.ROOM_NAME_CHARS,
        blank=True,
        validators=[RegexValidator(r"^[^|\r\n\0]*\Z", _("Neither | nor line breaks."))],
        help_text=_("Empty for direct rooms."),
    )
    pair = models.CharField(
        _("pair"),
        max_length=160,
        null=True,
        editable=False,
        help_text=_("The keys of a direct room's two users, in order; null for other rooms."),
    )
    open = models.BooleanField(
        _("open to anybody"), default=False, help_text=_("Anybody may see and join it.")
    )
    seq = models.BigIntegerField(
        _("place"), default=0, editable=False, help_text=_("Place of its last message.")
    )
    rev = models.BigIntegerField(
        _("number of changes"),
        default=0,
        editable=False,
        help_text=_("Its head: the number of its latest change."),
    )
    first_seq = models.BigIntegerField(
        _("first place kept"), default=1, editable=False, help_text=_("Older messages are gone.")
    )
    first_rev = models.BigIntegerField(
        _("first change kept"),
        default=1,
        editable=False,
        help_text=_("A cursor below may have missed what is gone."),
    )
    slow_mode = models.PositiveSmallIntegerField(
        _("slow mode"),
        default=0,
        db_default=0,
        help_text=_("Seconds that a member waits between two messages; 0: none."),
    )
    archived = models.BooleanField(
        _("archived"),
        default=False,
        db_default=False,
        help_text=_("It can be read, and nothing changes in it."),
    )
    read_only = models.BooleanField(
        _("read-only"),
        default=False,
        db_default=False,
        help_text=_("Only its owner and moderators write there."),
    )
    retention_days = models.PositiveIntegerField(
        _("retention, in days"),
        null=True,
        blank=True,
        help_text=_("Older messages go. Empty: as for the whole site; 0: they are kept for ever."),
    )
    blocked = models.BooleanField(
        _("blocked"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("One of a direct room's two users has blocked the other."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

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
        verbose_name = _("room")
        verbose_name_plural = _("rooms")

    def __str__(self) -> str:
        return self.name or f"{self.get_kind_display()} {self.id}"

    @property
    def is_private(self) -> bool:
        """Whether not everybody may read there: those who run the site need a permission, too."""
        return self.kind != self.Kind.EVERYONE and not self.open


class Membership(models.Model):
    """A user in a room, and how far they got there."""

    class Role(models.TextChoices):
        OWNER = "owner", _("Owner")
        MODERATOR = "moderator", _("Moderator")
        MEMBER = "member", _("Member")

    class Notify(models.TextChoices):
        ALL = "all", _("Everything")
        NONE = "none", _("Nothing")

    room = models.ForeignKey(
        Room, models.CASCADE, verbose_name=_("room"), related_name="memberships", db_index=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        related_name="chat_memberships",
    )
    role = models.CharField(_("role"), max_length=9, choices=Role, default=Role.MEMBER)
    delivered_rev = models.BigIntegerField(
        _("delivered up to"),
        default=0,
        editable=False,
        help_text=_("At least one device has everything up to this."),
    )
    read_seq = models.BigIntegerField(_("read up to"), default=0, editable=False)
    muted_until = models.DateTimeField(_("muted until"), null=True, blank=True)
    mute_reason = models.CharField(
        _("why muted"), max_length=200, blank=True, default="", db_default=""
    )
    posted_at = models.DateTimeField(
        _("wrote last"), null=True, editable=False, help_text=_("Last, where slow mode counts.")
    )
    notify = models.CharField(
        _("notifications"),
        max_length=4,
        choices=Notify,
        default=Notify.ALL,
        db_default=Notify.ALL,
        help_text=_("What the user wants to be told of while looking elsewhere."),
    )
    unread_from = models.BigIntegerField(
        _("marked as unread from"),
        null=True,
        editable=False,
        help_text=_("Where the user has marked it as unread."),
    )
    blocks = models.BooleanField(
        _("has blocked the other"),
        default=False,
        db_default=False,
        editable=False,
        help_text=_("The user has blocked the other one of this direct room."),
    )
    joined_at = models.DateTimeField(_("joined at"), auto_now_add=True)

    muted_for: timedelta | None  # from now on, where the membership was read to be shown
    head: int  # rev or seq of the room, where the membership was read to move a cursor
    moved: bool  # whether it did

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["room", "user"], name="one_membership_per_room_and_user"
            ),
        ]
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        permissions: ClassVar = [("can_mute", "Can mute members")]

    def __str__(self) -> str:
        return f"{self.user} in {self.room}"


class Message(models.Model):
    """What a person said. Addressed by (room, seq); versioned by rev."""

    room = models.ForeignKey(
        Room, models.CASCADE, verbose_name=_("room"), related_name="messages", db_index=False
    )
    seq = models.BigIntegerField(_("place"))
    rev = models.BigIntegerField(
        _("number of changes"), help_text=_("Number of its own last change.")
    )
    born = models.BigIntegerField(_("number at birth"), help_text=_("Its rev at birth."))
    # PROTECT: with its messages gone, a room's order would have holes. Deactivate people instead.
    sender = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.PROTECT,
        verbose_name=_("sender"),
        null=True,
        related_name="chat_messages",
        db_index=False,
    )
    client_id = models.UUIDField(_("client's id"))
    digest = models.BinaryField(_("digest"), max_length=16, help_text=_("Of the original body."))
    body = models.TextField(_("text"), blank=True)
    created_at = models.DateTimeField(_("created at"))
    edited_at = models.DateTimeField(_("edited at"), null=True)
    deleted = models.BooleanField(_("deleted"), default=False)
    announcement = models.BooleanField(
        _("announcement"),
        default=False,
        db_default=False,
        help_text=_("Said by those who run the site, as such."),
    )

    sender_name: str | None  # username of the sender, where the message was read to be shown

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["room", "seq"], name="seq_unique_in_room"),
            models.UniqueConstraint(fields=["room", "rev"], name="rev_unique_in_room"),
            models.UniqueConstraint(fields=["sender", "client_id"], name="no_message_twice"),
        ]
        indexes: ClassVar = [  # of few rows; those that are born as usual cost nothing
            models.Index(fields=["-id"], condition=Q(announcement=True), name="announcements"),
            models.Index(fields=["-id"], condition=Q(deleted=True), name="deleted_messages"),
            models.Index(
                fields=["-id"], condition=Q(edited_at__isnull=False), name="edited_messages"
            ),
        ]
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        permissions: ClassVar = [
            ("can_read_private", "Can read what was said in private rooms"),
            ("can_announce", "Can make announcements"),
            ("can_export", "Can export messages, people and the audit log"),
        ]

    def __str__(self) -> str:
        return f"{self.room_id}/{self.seq}"


class Announcement(Message):
    """A message said by those who run the site, as such."""

    class Meta:
        proxy = True
        default_permissions = ()
        verbose_name = _("announcement")
        verbose_name_plural = _("announcements")


class Waiting(Membership):
    """A membership with something that its user has yet to get."""

    class Meta:
        proxy = True
        default_permissions = ("view",)
        verbose_name = _("offline queue")
        verbose_name_plural = _("offline queue")
