"""The dashboard in a real browser: it follows what happens, and says when it cannot."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import Browser, Locator, Page, StorageState, expect

from tests.pages.test_accessibility import BY_DAY, BY_NIGHT, too_wide
from tests.person import PHONE, Person, somebody
from tests.servers import Server

PAGE = "/admin/chat/vitals/"


@pytest.fixture(scope="module")
def admins_key(chromium: Browser, server: Server) -> StorageState:
    """What a profile needs in which the admin is logged in."""
    with somebody(chromium, server.port) as admin:
        admin.page.goto(f"/admin/login/?next={PAGE}")
        admin.page.get_by_label("Username").fill("admin")
        admin.page.get_by_label("Password").fill("admin")
        admin.page.get_by_role("button", name="Log in").click()
        admin.page.wait_for_url(f"**{PAGE}")
        return admin.page.context.storage_state()


@pytest.fixture
def looking(chromium: Browser, server: Server, admins_key: StorageState):
    def look(**device: object) -> Iterator[Person]:
        with somebody(chromium, server.port, storage_state=admins_key, **device) as admin:
            admin.page.goto(PAGE)
            yield admin
            assert admin.complaints == []

    return look


@pytest.fixture
def admin(looking) -> Iterator[Person]:
    yield from looking(**BY_DAY)


def card(page: Page, label: str) -> Locator:
    has_label = page.locator(".label").get_by_text(label, exact=True)
    return page.locator(".card").filter(has=has_label).locator(".value")


def test_it_follows_who_comes_what_is_said_and_who_leaves(admin, a_person):
    page = admin.page
    page.evaluate("window.isTheSame = true")
    expect(card(page, "Workers")).to_have_text("1")
    expect(card(page, "Connections")).to_have_text("0")
    with a_person("alice") as alice:
        expect(card(page, "Connections")).to_have_text("1")
        alice.enter("Kitchen")
        alice.say("Is anybody counting?")
        expect(card(page, "Messages a minute")).to_have_text("1")
        expect(card(page, "From post to delivery")).to_contain_text("ms")
        expect(page.locator(".workers tbody tr")).to_contain_text(["Runs"])
    expect(card(page, "Connections")).to_have_text("0")
    assert page.evaluate("window.isTheSame")


def test_figures_that_are_old_are_said_to_be_and_it_comes_back_by_itself(admin):
    page = admin.page
    page.route("**/live/", lambda route: route.fulfill(status=503))
    expect(page.get_by_role("status")).to_contain_text("These figures are old")
    as_of = page.locator(".as-of time").text_content()
    page.unroute("**/live/")
    expect(page.get_by_role("status")).to_be_empty()
    expect(page.locator(".as-of time")).not_to_have_text(as_of)
    admin.complaints.clear()


def test_whoever_is_logged_out_meanwhile_is_told(admin):
    admin.page.context.clear_cookies()
    expect(admin.page.get_by_role("status")).to_contain_text("You are logged out")


def test_charts_show_their_tables_in_the_colours_of_the_day(admin):
    page = admin.page
    drawn = page.evaluate_handle("() => Chart.getChart(document.querySelector('[data-table]'))")
    assert drawn.evaluate("chart => chart.data.datasets[0].data.length") == 48
    by_day = drawn.evaluate("chart => chart.data.datasets[0].borderColor")
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(
        "was => Chart.getChart(document.querySelector('[data-table]'))"
        ".data.datasets[0].borderColor !== was",
        arg=by_day,
    )


def test_a_live_chart_has_its_numbers_in_a_table(admin):
    panel = admin.page.locator(".panel").filter(has=admin.page.locator("#live-posts"))
    panel.get_by_text("As a table").click()
    expect(panel.locator("tbody tr")).not_to_have_count(0)
    expect(panel.locator("tbody tr").nth(1)).to_be_visible()  # and another one came


@pytest.mark.parametrize("device", [BY_DAY, PHONE | BY_NIGHT], ids=["desktop", "phone"])
def test_no_rule_is_broken(looking, device):
    for admin in looking(**device):
        page = admin.page
        expect(card(page, "Workers")).to_have_text("1")
        for details in page.locator(".dashboard details").all():
            details.locator("summary").click()
        assert broken_rules(page) + too_wide(page) == []


def broken_rules(page: Page) -> list[str]:
    """By what is the dashboard's own."""
    page.evaluate(AXE_SCRIPT)
    return page.evaluate(
        """async () => (await axe.run("#content")).violations.flatMap(({ id, nodes }) =>
        nodes.map(({ html, any }) => [id, html.slice(0, 120), any[0]?.message].join(" · ")))"""
    )
