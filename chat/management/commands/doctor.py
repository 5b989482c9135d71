"""`manage.py doctor`: what is wrong, and how to mend it."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from django.core.management.base import CommandParser

from chat.doctor.examination import Line, examine
from chat.doctor.findings import Verdict
from chat.management.shell import ShellCommand


class Command(ShellCommand):
    help = (
        "Look at settings, database, channel layer, workers and machine, and say in one line each"
        " what is wrong and how to mend it. The status is 1 if anything is."
    )
    requires_system_checks = ()  # it makes them itself, and goes on

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for machines")
        parser.add_argument(
            "--thorough", action="store_true", help="also read the whole database, which takes long"
        )
        parser.add_argument(
            "--url", default="", help="also ask the site from outside: https://chat.example.org"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        lines = examine(options["url"], thorough=options["thorough"])
        worst = self._as_json(lines) if options["json"] else self._in_words(lines)
        if worst:
            sys.exit(1)

    def _in_words(self, lines: Iterable[Line]) -> bool:
        """Each as soon as it is known; whether anything is wrong."""
        count = dict.fromkeys(Verdict, 0)
        styles = {
            Verdict.OK: self.style.SUCCESS,
            Verdict.DOUBTFUL: self.style.WARNING,
            Verdict.WRONG: self.style.ERROR,
        }
        for part, finding in lines:
            count[finding.verdict] += 1
            verdict = styles[finding.verdict](f"{finding.verdict:<9}")
            remedy = f" → {finding.remedy}" if finding.remedy else ""
            self.stdout.write(f"{verdict}{part}: {finding.says}{remedy}")
        self.stdout.write(", ".join(f"{n} {verdict}" for verdict, n in count.items()))
        return bool(count[Verdict.WRONG])

    def _as_json(self, lines: Iterable[Line]) -> bool:
        found = [
            {
                "part": part,
                "verdict": finding.verdict,
                "says": finding.says,
                "remedy": finding.remedy,
            }
            for part, finding in lines
        ]
        is_wrong = any(one["verdict"] == Verdict.WRONG for one in found)
        self.stdout.write(json.dumps({"wrong": is_wrong, "findings": found}, indent=2))
        return is_wrong
