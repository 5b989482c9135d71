"""What people want those who run the site to look at: a message, or somebody. Synchronous."""

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from . import conf
from .errors import BadFrame, Empty, Forbidden, InvalidText, NotFound, TooLong
from .models import Membership, Message, Report


def report_message(reporter: AbstractBaseUser, room_id: str, seq: int, reason: str) -> Report:
    """Report a message that one can see; what it says now is kept. NotFound."""
    message = (
        Message.objects.filter(room=room_id, seq=seq, deleted=False)
        .filter(room__memberships__user=reporter.pk, seq__gte=F("room__first_seq"))
        .first()
    )
    if message is None:
        raise NotFound
    return _file(
        reporter,
        reason,
        {"room_id": room_id, "seq": seq},
        person_id=message.sender_id,
        body=message.body,
    )


def report_person(
    reporter: AbstractBaseUser, person: AbstractBaseUser, reason: str, room_id: str | None = None
) -> Report:
    """Report somebody as such; perhaps for what they do in a room that one is in. NotFound."""
    seat = Membership.objects.filter(room=room_id, user=reporter.pk)
    if room_id is not None and not seat.exists():
        raise NotFound
    what = {"person_id": person.pk, "seq": None}
    return _file(reporter, reason, what, person_id=person.pk, room_id=room_id)


def _file(
    reporter: AbstractBaseUser, reason: str, what: dict[str, Any], *, person_id: Any, **more: Any
) -> Report:
    """One for each thing: who reports it again gives another reason, and it is open again."""
    if person_id == reporter.pk:
        raise BadFrame("You cannot report yourself.")
    _check(reason)
    mine = Report.objects.filter(reporter_id=reporter.pk)
    told = {"reason": reason, "created_at": timezone.now(), "closed_at": None}
    with transaction.atomic():
        is_new = not mine.filter(**what).exists()
        if is_new and mine.filter(closed_at=None).count() >= conf.OPEN_REPORTS:
            raise Forbidden("Those who run the site have to look at your other reports first.")
        report, _ = Report.objects.update_or_create(
            reporter_id=reporter.pk,
            **what,
            defaults={"person_id": person_id, **more, **told},
        )
    return report


def _check(reason: str) -> None:
    if not reason.strip():
        raise Empty("The reason is empty.")
    if len(reason) > conf.REASON_CHARS:
        raise TooLong(f"The reason is longer than {conf.REASON_CHARS} characters.")
    if "\0" in reason:
        raise InvalidText
