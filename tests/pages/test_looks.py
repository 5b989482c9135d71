"""What the eye sees of the page: nothing jumps."""

import pytest
from playwright.sync_api import expect

from tests.person import PHONE

SHIFTS = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const { value, sources } of list.getEntries())
            window.shifts.push(`${value.toFixed(4)} ${sources.map(({ node }) => node?.className)}`);
    }).observe({ type: "layout-shift", buffered: true });
"""


@pytest.mark.parametrize("device", [{}, PHONE], ids=["desktop", "phone"])
def test_nothing_jumps_while_the_page_loads(a_person, device):
    with a_person("alice", **device) as alice:
        alice.enter("Kitchen")
        alice.page.add_init_script(SHIFTS)
        alice.page.reload()
        expect(alice.messages.last).to_be_visible()
        alice.link("Kitchen").wait_for(state="attached")
        assert alice.page.evaluate("window.shifts") == []
