"""Lines of the log: for people, or for machines. Nobody from outside can make one up.

A line of text is one line, except for tracebacks, which are set in. What stands in names, paths and
messages may be anybody's: control characters are shown, never sent to a terminal.
"""

import json
import re
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

from structlog.contextvars import merge_contextvars
from structlog.processors import JSONRenderer, format_exc_info
from structlog.stdlib import ExtraAdder, ProcessorFormatter

FORMATS = ("text", "json")
WHO = ("connection", "user", "worker", "process")  # ends a line of text, where known
# Besides, for machines. Not all that comes: Django's `request` has tickets in its address.
TOLD = ("dialect", "address", "client", "code", "seconds", "status_code")
# Those that end a line, move the cursor, colour, or turn the direction of writing round.
UNSHOWN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
PLAIN = re.compile(r"[^\s\"'=]+")

Event = MutableMapping[str, Any]


def formatter(kind: str) -> ProcessorFormatter:
    """For `LOGGING`; `kind` is one of FORMATS."""
    render = JSONRenderer(sort_keys=False) if kind == "json" else _as_text
    return ProcessorFormatter(
        foreign_pre_chain=[merge_contextvars, ExtraAdder(TOLD), format_exc_info],
        processors=[_describe, ProcessorFormatter.remove_processors_meta, render],
    )


def _describe(_: Any, __: str, event: Event) -> Event:
    record = event["_record"]
    at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    described = {
        "time": at.removesuffix("+00:00") + "Z",
        "level": record.levelname,
        "logger": record.name,
    }
    return {**described, **event, "process": record.process}


def _as_text(_: Any, __: str, event: Event) -> str:
    who = " ".join(f"{name}={_quoted(str(event[name]))}" for name in WHO if name in event)
    told = _shown(str(event["event"]))
    line = f"{event['time']} {event['level']} {_shown(event['logger'])} {told} {who}"
    return "\n".join([line, *map(_set_in, event.get("exception", "").splitlines())])


def _set_in(line: str) -> str:
    return f"    {_shown(line)}"


def _shown(text: str) -> str:
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _quoted(text: str) -> str:
    """As it is if nobody could take it for more than one thing."""
    return text if PLAIN.fullmatch(text := _shown(text)) else json.dumps(text, ensure_ascii=False)
