"""The admin panel for everybody: by rule, by day and by night, in both languages."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Locator, Page

from tests.pages.test_accessibility import BY_DAY, BY_NIGHT, CHINESE, axe
from tests.person import PHONE

PAGES = [
    *("", "chat/connection/", "chat/message/", "chat/waiting/", "chat/room/", "chat/report/"),
    *("chat/auditentry/", "chat/retention/"),
]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("device", [BY_DAY, PHONE | CHINESE | BY_NIGHT], ids=["desktop", "phone"])
def test_no_rule_is_broken_in_the_panel(a_person, device):
    with a_person("admin", **device) as admin:
        page = admin.page
        found = [f"{place}: {fault}" for place in places(page) for fault in broken_rules(page)]
    assert "\n".join(found) == ""


def places(page: Page) -> Iterator[str]:
    """Where those go who run a site."""
    for path in PAGES:
        page.goto(f"/admin/{path}")
        yield page.url
    page.goto("/admin/chat/access/")
    yield page.url
    follow(page.locator("#result_list tbody").get_by_role("link", name="bob", exact=True))
    yield page.url
    follow(page.locator(".object-tools a[href$='/ban/']"))
    yield page.url  # whether to do something to them
    page.goto("/admin/chat/message/")
    follow(page.locator("#result_list a[href$='/whereabouts/']").first)
    yield page.url


def follow(link: Locator) -> None:
    """As by a click; but the page is there when it returns."""
    link.page.goto(str(link.evaluate("link => link.href")))


def broken_rules(page: Page) -> list[str]:
    page.evaluate(AXE_SCRIPT)
    return axe(page, "{ preload: false }")  # which would apply styles of its own
