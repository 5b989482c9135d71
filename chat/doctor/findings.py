"""What the doctor says about each thing that was looked at: a verdict, and how to mend it."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    OK = "ok"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    verdict: Verdict
    says: str
    remedy: str = ""


def ok(says: str) -> Finding:
    return Finding(Verdict.OK, says)


def doubtful(says: str, remedy: str = "") -> Finding:
    return Finding(Verdict.DOUBTFUL, says, remedy)


def wrong(says: str, remedy: str) -> Finding:
    return Finding(Verdict.WRONG, says, remedy)


def number(count: int, thing: str) -> str:
    """`1 worker`, `2 workers`."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"
