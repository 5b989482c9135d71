"""What is written down for those who run the site: who did what, how much was said, what went."""

from typing import Any, ClassVar, NoReturn

from django.conf import settings
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class AppendOnly(models.QuerySet["AuditEntry"]):
    """Rows that are added and read."""

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit log is append-only.")

    update = delete = bulk_update = bulk_create = _refuse


class AuditEntry(models.Model):
    """Who did, or read, what with the powers of those who run the site. Only ever added."""

    class Action(models.TextChoices):
        ADDED = "added", _("Added")
        CHANGED = "changed", _("Changed")
        REMOVED = "removed", _("Removed")
        DISCONNECTED = "disconnected", _("Disconnected")
        KICKED = "kicked", _("Kicked")
        SESSIONS_ENDED = "sessions_ended", _("Ended sessions")
        MUTED = "muted", _("Muted")
        UNMUTED = "unmuted", _("Unmuted")
        BANNED = "banned", _("Banned")
        UNBANNED = "unbanned", _("Lifted a ban")
        READ = "read", _("Read a private message")
        DELETED = "deleted", _("Deleted a message")
        ANNOUNCED = "announced", _("Announced")
        MODERATED = "moderated", _("Handled a report")
        EXPORTED = "exported", _("Exported")
        ERASED = "erased", _("Erased a person")
        RETENTION = "retention", _("Changed retention")
        PURGED = "purged", _("Let go of old messages")

    at = models.DateTimeField(_("at"), db_default=Now(), db_index=True, editable=False)
    # The entry stays as it is when the user goes: nothing is written into it, not even a null.
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.DO_NOTHING,
        verbose_name=_("who"),
        null=True,
        db_constraint=False,
        related_name="+",
        editable=False,
    )
    actor_name = models.CharField(
        _("who"), max_length=200, editable=False, help_text=_("As they were called then.")
    )
    address = models.CharField(_("address"), max_length=45, blank=True, editable=False)
    action = models.CharField(_("what"), max_length=16, choices=Action, editable=False)
    kind = models.CharField(_("kind of target"), max_length=32, blank=True, editable=False)
    key = models.CharField(_("key of the target"), max_length=64, blank=True, editable=False)
    label = models.CharField(
        _("target"), max_length=200, blank=True, editable=False, help_text=_("As it was then.")
    )
    room = models.CharField(_("room"), max_length=16, blank=True, editable=False)
    comment = models.TextField(_("comment"), blank=True, editable=False)
    before = models.JSONField(_("before"), null=True, encoder=DjangoJSONEncoder, editable=False)
    after = models.JSONField(_("after"), null=True, encoder=DjangoJSONEncoder, editable=False)

    objects = AppendOnly.as_manager()

    class Meta:
        default_permissions = ("view",)
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        indexes: ClassVar = [
            models.Index(fields=["kind", "key"], name="audit_entries_of_a_target"),
            models.Index(fields=["action", "-id"], name="audit_entries_by_action"),
            models.Index(fields=["actor_name"], name="audit_entries_by_name"),
            models.Index(fields=["label"], name="audit_entries_by_label"),
        ]

    def __str__(self) -> str:
        return f"{self.actor_name}: {self.get_action_display()} {self.label}".rstrip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("The audit log is append-only.")
        # Otherwise one that names the key of another would take its place.
        super().save(*args, **{**kwargs, "force_insert": True})

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit log is append-only.")


class Retention(models.Model):
    """How long messages are kept where their room does not say; one row."""

    id = models.SmallIntegerField(_("id"), primary_key=True, default=1, editable=False)
    days = models.PositiveIntegerField(
        _("days"),
        null=True,
        blank=True,
        help_text=_("Older messages go. Empty: as the server's settings say; 0: never."),
    )
    due_at = models.DateTimeField(
        _("due at"), null=True, editable=False, help_text=_("When the next run may begin.")
    )

    class Meta:
        default_permissions = ("view",)
        verbose_name = _("retention")
        verbose_name_plural = _("retention")
        permissions: ClassVar = [("can_set_retention", "Can set how long messages are kept")]

    def __str__(self) -> str:
        return str(self._meta.verbose_name)


class Purge(models.Model):
    """One run in which old messages were let go of."""

    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    ended_at = models.DateTimeField(_("ended at"), null=True, editable=False)
    rooms = models.PositiveIntegerField(_("rooms"), default=0, editable=False)
    messages = models.PositiveBigIntegerField(_("messages"), default=0, editable=False)
    bytes = models.PositiveBigIntegerField(_("bytes"), default=0, editable=False)

    class Meta:
        default_permissions = ("view",)
        verbose_name = _("retention run")
        verbose_name_plural = _("retention runs")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d %H:%M}"


class Hour(models.Model):
    """How much was said within an hour."""

    at = models.DateTimeField(_("begins at"), primary_key=True, editable=False)
    messages = models.PositiveBigIntegerField(_("messages"), default=0, editable=False)
    first_message = models.BigIntegerField(
        _("first message"), editable=False, help_text=_("The lowest key among them.")
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:00}"


class Day(models.Model):
    """How many people wrote or were connected on a day, by UTC."""

    date = models.DateField(_("date"), primary_key=True, editable=False)
    people = models.PositiveIntegerField(_("people"), default=0, editable=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.date:%Y-%m-%d}"


class Activity(models.Model):
    """That somebody wrote or was connected on a day; kept until the day has been counted."""

    date = models.DateField(_("date"), editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"), related_name="+"
    )

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["date", "user"], name="active_once_a_day"),
        ]

    def __str__(self) -> str:
        return f"{self.user_id}: {self.date:%Y-%m-%d}"


class Tally(models.Model):
    """How far messages have been counted into hours and days, and what waits; one row."""

    id = models.SmallIntegerField(primary_key=True, default=1, editable=False)
    counted_at = models.DateTimeField(null=True, editable=False)
    upto = models.BigIntegerField(
        default=0, editable=False, help_text="The key of the last message that is counted."
    )
    backlog = models.JSONField(
        default=dict, editable=False, help_text="What waits for people who are away."
    )

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return str(self.upto)
