"""What Django's `check` says about settings with which the chat could not keep its promises."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

from . import conf

SESSION_ENGINES = (
    "django.contrib.sessions.backends.db",
    "django.contrib.sessions.backends.cached_db",
)


@register
def check_settings(**_: Any) -> list[CheckMessage]:
    return list(_mistakes())


def _mistakes() -> Iterator[CheckMessage]:
    if settings.SESSION_ENGINE not in SESSION_ENGINES:
        yield Error(
            "The chat needs sessions in the database: a connection ends with its session's row.",
            hint=f"Set SESSION_ENGINE to one of {', '.join(SESSION_ENGINES)}.",
            id="chat.E001",
        )
    if conf.post_rate() < 0:
        yield Error("CHAT_POST_RATE is negative.", hint="0 means no limit.", id="chat.E002")
    if conf.heartbeat() <= 0:
        yield Error("CHAT_HEARTBEAT has to be more than 0 seconds.", id="chat.E003")
