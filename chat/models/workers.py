"""The workers that live, and who is connected to them."""

from typing import ClassVar

from django.conf import settings
from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from .keys import opaque_id


class Lease(models.Model):
    """A worker that lives: its connections count as long as it renews this."""

    worker = models.CharField(_("worker"), primary_key=True, max_length=16, editable=False)
    version = models.BigIntegerField(
        _("version"), default=1, editable=False, help_text=_("Raised when its connections change.")
    )
    host = models.CharField(_("host"), max_length=64, blank=True, db_default="", editable=False)
    pid = models.PositiveIntegerField(_("process"), default=0, db_default=0, editable=False)
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    renewed_at = models.DateTimeField(_("heard of at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("lease")
        verbose_name_plural = _("leases")

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}" if self.host else self.worker


class Connection(models.Model):
    """An open WebSocket, on some worker."""

    class State(models.TextChoices):
        SILENT = "silent", _("Has said nothing yet")
        BEHIND = "behind", _("Behind")
        LIVE = "live", _("Live")

    id = models.CharField(
        _("id"), primary_key=True, max_length=16, default=opaque_id, editable=False
    )
    lease = models.ForeignKey(
        Lease, models.CASCADE, verbose_name=_("worker"), related_name="connections", editable=False
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        related_name="chat_connections",
        editable=False,
    )
    address = models.CharField(
        _("address"), max_length=45, blank=True, db_default="", editable=False
    )
    client = models.CharField(
        _("client"), max_length=200, blank=True, db_default="", editable=False
    )
    subprotocol = models.CharField(
        _("dialect"), max_length=16, blank=True, db_default="", editable=False
    )
    since = models.DateTimeField(_("since"), db_default=Now(), editable=False)
    active_at = models.DateTimeField(
        _("last active"),
        db_default=Now(),
        editable=False,
        help_text=_("When its client last said something."),
    )
    state = models.CharField(
        _("state"),
        max_length=6,
        choices=State,
        default=State.SILENT,
        db_default=State.SILENT,
        editable=False,
    )
    close_code = models.SmallIntegerField(
        _("close code"),
        null=True,
        editable=False,
        help_text=_("Its worker is to close it with this."),
    )

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        permissions: ClassVar = [
            ("can_disconnect", "Can disconnect people"),
            ("can_kick", "Can kick people"),
            ("can_end_sessions", "Can end people's sessions"),
        ]

    def __str__(self) -> str:
        return f"{self.user} on {self.lease_id}"


class Vitals(models.Model):
    """What a worker says of itself every few seconds; it lives as long as it does."""

    worker = models.CharField(_("worker"), primary_key=True, max_length=16, editable=False)
    host = models.CharField(_("host"), max_length=64, editable=False)
    pid = models.PositiveIntegerField(_("process"), editable=False)
    release = models.CharField(_("release"), max_length=40, blank=True, editable=False)
    started_at = models.DateTimeField(_("started at"), db_default=Now(), editable=False)
    seen_at = models.DateTimeField(_("heard of at"), db_default=Now(), editable=False)
    figures = models.JSONField(
        _("figures"), default=dict, editable=False, help_text="See chat/vitals.py."
    )

    class Meta:
        default_permissions = ()
        verbose_name = _("dashboard")
        verbose_name_plural = _("dashboard")
        permissions: ClassVar = [("can_view_dashboard", "Can watch the dashboard")]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Epoch(models.Model):
    """Which life of the database this is: a restored backup begins another one."""

    id = models.SmallIntegerField(_("id"), primary_key=True, default=1, editable=False)
    value = models.CharField(_("value"), max_length=16, default=opaque_id, editable=False)
    closures = models.BigIntegerField(
        _("closures"),
        default=0,
        db_default=0,
        editable=False,
        help_text=_("Raised to close every connection there is."),
    )

    def __str__(self) -> str:
        return self.value
