"""What people want those who run the site to look at: a message, or somebody. Synchronous.

What is reported by many is one case, which is decided once. Its row is the newest report of it.
"""

from collections.abc import Collection, Iterable
from datetime import datetime
from functools import reduce
from operator import or_
from typing import Any, NamedTuple

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Case, Count, Exists, F, Max, Min, OuterRef, Q, QuerySet, When, Window
from django.db.models.functions import Now, RowNumber
from django.utils import timezone

from . import audit, conf, measures, messaging, users
from .audit import Action, Actor
from .control import WHY_CHARS
from .errors import BadFrame, Empty, Forbidden, InvalidText, NotFound, TooLong
from .models import Membership, Message, Report, Room
from .users import UserKey

Outcome = Report.Outcome
COMMENT_CHARS = 2_000
REASONS = 3  # of a case that are told where cases are listed
IS_OPEN = Q(closed_at__isnull=True)
OF_A_MESSAGE, OF_A_PERSON = Q(seq__isnull=False), Q(seq__isnull=True)


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
    _check(reason, conf.REASON_CHARS, "reason")
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


def _check(text: str, most: int, what: str) -> None:
    if not text.strip():
        raise Empty(f"The {what} is empty.")
    if len(text) > most:
        raise TooLong(f"The {what} is longer than {most} characters.")
    if "\0" in text:
        raise InvalidText


# Cases


class Summary(NamedTuple):
    """How often something was reported: while it was open, or ever if it is closed."""

    reports: int
    first: datetime
    last: datetime
    reasons: list[str]  # some, the latest first


def open_cases() -> Q:
    return IS_OPEN & ~_shared_with(Report.objects.filter(IS_OPEN, pk__gt=OuterRef("pk")))


def closed_cases() -> Q:
    newer_or_open = Report.objects.filter(IS_OPEN | Q(pk__gt=OuterRef("pk")))
    return ~IS_OPEN & ~_shared_with(newer_or_open)


def all_cases() -> Q:
    return ~_shared_with(Report.objects.filter(pk__gt=OuterRef("pk")))


def concerning(keys: Collection[UserKey]) -> Q:
    """Cases about one of these users, or reported by one."""
    return Q(person__in=keys) | _shared_with(Report.objects.filter(reporter__in=keys))


def _shared_with(others: QuerySet[Report]) -> Q:
    """Reports of what one of the others is of, too."""
    message = others.filter(room=OuterRef("room"), seq=OuterRef("seq"))
    person = others.filter(OF_A_PERSON, person=OuterRef("person"))
    return (OF_A_MESSAGE & Exists(message)) | (OF_A_PERSON & Exists(person))


def of_the_same(report: Report) -> QuerySet[Report]:
    """All reports of its case."""
    return Report.objects.filter(_same(report))


def _same(report: Report) -> Q:
    if report.seq is None:
        return Q(OF_A_PERSON, person=report.person_id)
    return Q(room=report.room_id, seq=report.seq)


def summaries(cases: Iterable[Report]) -> dict[int, Summary]:
    """Of some cases, by the keys of their rows; in one query."""
    rows = {_thing(case): case for case in cases}
    told = [_same(case) & Q(closed_at__isnull=case.closed_at is None) for case in rows.values()]
    if not told:
        return {}
    thing: list[Any] = [
        Case(When(OF_A_MESSAGE, then="room")),
        "seq",
        Case(When(OF_A_PERSON, then="person")),
    ]
    found = Report.objects.filter(reduce(or_, told)).annotate(
        place=Window(RowNumber(), thing, order_by=["-created_at", "-pk"]),
        reports=Window(Count("pk"), thing),
        first=Window(Min("created_at"), thing),
        last=Window(Max("created_at"), thing),
    )
    summed: dict[int, Summary] = {}
    for report in found.filter(place__lte=REASONS).order_by("place"):
        new = Summary(report.reports, report.first, report.last, [])
        summed.setdefault(rows[_thing(report)].pk, new).reasons.append(report.reason)
    return summed


def _thing(report: Report) -> tuple[Any, ...]:
    return (report.person_id,) if report.seq is None else (report.room_id, report.seq)


# Decisions


def is_open(report: Report) -> bool:
    """Whether somebody has yet to look at its case."""
    return of_the_same(report).filter(IS_OPEN).exists()


def earlier(report: Report) -> QuerySet[Report]:
    """Other cases about the same person that have been decided, the latest first."""
    about = Report.objects.filter(closed_cases(), person=report.person_id).exclude(outcome="")
    return about.exclude(_same(report)).order_by("-closed_at")


def message_of(report: Report) -> Message | None:
    """As it is now; None if it has been let go of, and of a person as such."""
    if report.seq is None:
        return None
    return Message.objects.filter(room=report.room_id, seq=report.seq).first()


def room_of(report: Report) -> Room | None:
    """Where it happened; of a person, as whoever told so last."""
    if report.room is not None:
        return report.room
    told = of_the_same(report).exclude(room=None).select_related("room").order_by("-created_at")
    return next((other.room for other in told[:1]), None)


def seat_of(report: Report) -> Membership | None:
    """Where the person can be muted."""
    room = room_of(report)
    return Membership.objects.filter(room=room, user=report.person_id).first() if room else None


def label_of(report: Report) -> str:
    """What it is of, in short: as the audit log calls it."""
    if report.seq is not None:
        return f"{report.room_id}/{report.seq}"
    return users.username(report.person) if report.person else "-"


def decide(
    actor: Actor, report: Report, outcome: str, comment: str, until: datetime | None = None
) -> int:
    """Close the open reports of a case and do what was decided; how many they were.

    0: somebody else has decided, and nothing is done twice. `until` is when a mute or a ban ends.
    NotFound where there is nothing, or nobody, that it could be done to.
    """
    _check(comment, COMMENT_CHARS, "comment")
    with transaction.atomic():
        keys = _locked(of_the_same(report).filter(IS_OPEN))
        if keys:
            _carry_out(actor, report, Outcome(outcome), comment, until)
            closed = {"closed_at": Now(), "closed_by": actor.user_id}
            Report.objects.filter(pk__in=keys).update(outcome=outcome, comment=comment, **closed)
            _record(actor, report, comment, after={"outcome": outcome, "reports": len(keys)})
    return len(keys)


def reopen(actor: Actor, report: Report) -> int:
    """Have a case looked at once more; how many reports of it were closed."""
    with transaction.atomic():
        keys = _locked(of_the_same(report).exclude(IS_OPEN))
        if keys:
            Report.objects.filter(pk__in=keys).update(closed_at=None)
            before = {"outcome": report.outcome}
            _record(actor, report, before=before, after={"reopened": len(keys)})
    return len(keys)


def _locked(reports: QuerySet[Report]) -> list[int]:
    """Whoever comes second finds those of them that are still so."""
    locked = reports.order_by("pk").select_for_update(no_key=True)
    return list(locked.values_list("pk", flat=True))


def _record(actor: Actor, report: Report, comment: str = "", **values: Any) -> None:
    label = label_of(report)
    audit.record(actor, Action.MODERATED, report, label=label, comment=comment, **values)


def _carry_out(
    actor: Actor, report: Report, outcome: Outcome, comment: str, until: datetime | None
) -> None:
    match outcome:
        case Outcome.DELETED:
            _delete(actor, report, comment)
        case Outcome.MUTED if until:
            _mute(actor, report, comment, until)
        case Outcome.BANNED if until:
            _ban(actor, report, comment, until)
        case Outcome.MUTED | Outcome.BANNED:
            raise BadFrame("Until when?")


def _delete(actor: Actor, report: Report, comment: str) -> None:
    if report.room_id is None or report.seq is None:
        raise NotFound
    message = messaging.take_down(report.room_id, report.seq)
    audit.record(actor, Action.DELETED, message, comment=comment)


def _mute(actor: Actor, report: Report, comment: str, until: datetime) -> None:
    room = room_of(report)
    if report.person is None or room is None:
        raise NotFound
    measures.mute(actor, report.person, room.pk, until, comment[:WHY_CHARS])


def _ban(actor: Actor, report: Report, comment: str, until: datetime) -> None:
    if report.person is None:
        raise NotFound
    measures.ban(actor, [report.person], until, comment[:WHY_CHARS])
