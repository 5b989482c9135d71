"""Settings with which the chat could not keep its promises are refused."""

import pytest

from chat.checks import check_settings

NAMES = "django.contrib.sessions.backends."


def ids():
    return [message.id for message in check_settings()]


def test_the_settings_of_this_project_are_fine():
    assert ids() == []


@pytest.mark.parametrize("backend", ["db", "cached_db"])
def test_sessions_may_be_rows(settings, backend):
    settings.SESSION_ENGINE = NAMES + backend
    assert ids() == []


@pytest.mark.parametrize("backend", ["cache", "file", "signed_cookies"])
def test_sessions_without_rows_are_refused(settings, backend):
    settings.SESSION_ENGINE = NAMES + backend
    assert ids() == ["chat.E001"]


def test_no_limit_is_a_limit_of_zero(settings):
    settings.CHAT_POST_RATE = 0
    assert ids() == []
    settings.CHAT_POST_RATE = -1
    assert ids() == ["chat.E002"]


@pytest.mark.parametrize("seconds", [0, -1])
def test_a_heart_that_does_not_beat_is_refused(settings, seconds):
    settings.CHAT_HEARTBEAT = seconds
    assert ids() == ["chat.E003"]
