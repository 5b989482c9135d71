"""Users, as far as they are the chat's: what they prefer, whether they may come in, reports."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from .. import conf
from .rooms import Room


class Preferences(models.Model):
    """How a user wants the chat to look and to behave, on every device."""

    class Theme(models.TextChoices):
        SYSTEM = "", _("As the system")
        LIGHT = "light", _("Light")
        DARK = "dark", _("Dark")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        primary_key=True,
        related_name="chat_preferences",
    )
    theme = models.CharField(
        _("theme"), max_length=5, choices=Theme, blank=True, default=Theme.SYSTEM
    )
    language = models.CharField(
        _("language"),
        max_length=16,
        blank=True,
        default="",
        help_text=_("Empty: as the browser asks."),
    )
    enter_sends = models.BooleanField(_("Enter sends"), default=True)
    hide_receipts = models.BooleanField(_("hides what was read"), default=False)
    hide_typing = models.BooleanField(_("hides typing"), default=False)
    hide_presence = models.BooleanField(_("hides presence"), default=False)

    class Meta:
        verbose_name = _("preferences")
        verbose_name_plural = _("preferences")

    def __str__(self) -> str:
        return str(self.user)


class Access(models.Model):
    """What a user may see, as a version: raised by every change, compared each second."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        primary_key=True,
        related_name="chat_access",
    )
    version = models.BigIntegerField(_("version"), default=1, editable=False)
    banned_until = models.DateTimeField(_("banned until"), null=True, blank=True)
    ban_reason = models.CharField(
        _("why banned"), max_length=200, blank=True, default="", db_default=""
    )
    closed_below = models.BigIntegerField(
        _("closed below"),
        default=0,
        db_default=0,
        editable=False,
        help_text=_("Connections admitted with a lower version are closed."),
    )
    close_code = models.SmallIntegerField(
        _("close code"), null=True, editable=False, help_text=_("With this.")
    )

    class Meta:
        verbose_name = _("person")
        verbose_name_plural = _("people")
        permissions: ClassVar = [
            ("can_ban", "Can ban people"),
            ("can_erase", "Can erase people"),
        ]

    def __str__(self) -> str:
        return str(self.user)


class LastSeen(models.Model):
    """When a connection of a user ended last; who has another one is online all the same."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        primary_key=True,
        related_name="chat_last_seen",
    )
    at = models.DateTimeField(_("at"), editable=False)

    class Meta:
        verbose_name = _("last seen")
        verbose_name_plural = _("last seen")

    def __str__(self) -> str:
        return f"{self.user}: {self.at:%Y-%m-%d %H:%M}"


class Token(models.Model):
    """What a program shows instead of a session cookie. We keep only its digest."""

    class Kind(models.TextChoices):
        BEARER = "bearer", _("Bearer token")
        TICKET = "ticket", _("Ticket")

    digest = models.CharField(_("digest"), primary_key=True, max_length=64, editable=False)
    kind = models.CharField(_("kind"), max_length=6, choices=Kind)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, verbose_name=_("user"), related_name="chat_tokens"
    )
    auth_hash = models.CharField(
        _("hash of the password"),
        max_length=128,
        editable=False,
        help_text=_("Ends the token with the user's password."),
    )
    issuer = models.CharField(
        _("issuer"),
        max_length=80,
        editable=False,
        blank=True,
        help_text=_("A ticket's own session or token: the connection ends with it."),
    )
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), db_index=True)

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")

    def __str__(self) -> str:
        return f"{self.get_kind_display()} of {self.user}"


class Report(models.Model):
    """What somebody wants those who run the site to look at: a message, or a person."""

    class Outcome(models.TextChoices):
        KEPT = "kept", _("The message stays")
        DELETED = "deleted", _("The message was deleted")
        MUTED = "muted", _("The person was muted")
        BANNED = "banned", _("The person was banned")
        DISMISSED = "dismissed", _("Nothing to it")

    reporter = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("reporter"),
        related_name="chat_reports",
        editable=False,
    )
    person = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("person"),
        null=True,
        related_name="chat_reports_about",
        editable=False,
        help_text=_("Who is reported: a message's sender, or somebody as such."),
    )
    room = models.ForeignKey(
        Room,
        models.CASCADE,
        verbose_name=_("room"),
        null=True,
        related_name="reports",
        editable=False,
    )
    seq = models.BigIntegerField(
        _("place"),
        null=True,
        editable=False,
        help_text=_("Of the message; null: the person as such."),
    )
    body = models.TextField(
        _("text"),
        blank=True,
        editable=False,
        help_text=_("The message's, as it was when it was reported."),
    )
    reason = models.CharField(_("reason"), max_length=conf.REASON_CHARS, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    closed_at = models.DateTimeField(
        _("closed at"),
        null=True,
        blank=True,
        editable=False,
        help_text=_("Since when nobody needs to look."),
    )
    closed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        verbose_name=_("closed by"),
        null=True,
        related_name="+",
        editable=False,
    )
    outcome = models.CharField(
        _("outcome"),
        max_length=9,
        choices=Outcome,
        blank=True,
        default="",
        db_default="",
        editable=False,
    )
    comment = models.TextField(_("comment"), blank=True, default="", db_default="", editable=False)

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
        indexes: ClassVar = [
            models.Index(fields=["room", "seq"], name="reports_of_a_message"),
            models.Index(fields=["-id"], condition=Q(closed_at__isnull=True), name="open_reports"),
        ]
        verbose_name = _("report")
        verbose_name_plural = _("reports")
        permissions: ClassVar = [("can_moderate", "Can handle reports")]

    def __str__(self) -> str:
        return f"{self.reporter}: {self.reason[:40]}"
