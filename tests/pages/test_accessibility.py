"""The pages for everybody: in Chinese, by night, on a phone, by keyboard, without JavaScript."""

import re

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.person import somebody
from tests.servers import Server


@pytest.fixture
def stranger(chromium: Browser, server: Server):
    with somebody(chromium, server.port) as stranger:
        yield stranger
        assert stranger.complaints == []


# Log-in


def test_a_wrong_password_is_looked_at_and_typed_again(stranger):
    page = stranger.page
    page.goto("/r/nowhere/")
    page.get_by_label("Username").fill("alice")
    secret = page.get_by_label("Password")
    secret.fill("dem")
    page.get_by_role("button", name="Show").click()
    expect(secret).to_have_attribute("type", "text")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    expect(secret).to_be_focused()
    expect(secret).to_have_attribute("type", "password")
    page.keyboard.type("demo\n")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    assert page.url.endswith("/r/nowhere/")
    assert [words for words in stranger.complaints if "404" not in words] == []
    stranger.complaints.clear()


# Without JavaScript


def test_without_javascript_one_reads_and_writes_by_form(a_person, alice):
    with a_person("bob", java_script_enabled=False) as bob:
        bob.page.wait_for_url("**/plain/")
        bob.page.get_by_role("link", name="Kitchen").click()
        expect(bob.page.get_by_text("Found it, thanks!")).to_be_visible()
        bob.page.get_by_label("Message", exact=True).fill("By form.")
        bob.page.get_by_role("button", name="Send").click()
        expect(bob.page.locator(".message .body").last).to_have_text("By form.")
        alice.enter("Kitchen")
        alice.sees("By form.")


# The console


def entries(page: Page, kind: str) -> Locator:
    return page.locator(f'.entries [data-kind="{kind}"] pre')


def test_the_console_speaks_both_dialects(alice):
    page = alice.page
    page.goto("/console/")
    page.get_by_role("button", name="Connect").click()
    expect(page.locator(".state")).to_have_text("1 OPEN")
    expect(entries(page, "open")).to_have_text('protocol "chat.v1.json"')
    expect(entries(page, "message").filter(has_text='"synced"')).not_to_have_count(0)
    page.get_by_label("Username or room").fill("bob")
    page.get_by_label("Text").fill("By hand")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(entries(page, "message").filter(has_text='"posted"')).not_to_have_count(0)
    page.get_by_label("Example").select_option("ping")
    page.get_by_role("button", name="Send it as it is").click()
    page.get_by_label("Pretty").check()
    expect(entries(page, "message").last).to_have_text(re.compile('{\n  "type": "pong"'))
    page.get_by_label("Reason").fill("enough")
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".state")).to_have_text("3 CLOSED")
    expect(entries(page, "close")).to_have_text(re.compile("code 1000 .* wasClean true"))
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("radio", name="chat", exact=True).check()
    page.get_by_role("button", name="Connect").click()
    expect(entries(page, "open")).to_have_text('protocol "chat"')
    page.get_by_label("Username or room").fill("nobody")
    page.get_by_label("Text").fill("Hello?")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(entries(page, "send")).to_have_text("nobody|Hello?")
    refused = entries(page, "message").filter(has_text="!unknown_user|")
    expect(refused).to_have_count(1)


def test_the_console_shows_a_stranger_why_nobody_lets_them_in(stranger):
    stranger.page.goto("/console/")
    stranger.page.get_by_role("button", name="Connect").click()
    expect(entries(stranger.page, "close")).to_have_text(re.compile("code 4501 .*not logged in"))
