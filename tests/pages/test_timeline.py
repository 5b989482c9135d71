"""A long room: what is near has rows, what one reads stays in place, nobody loses the thread."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, expect

from tests.chatter import chatter
from tests.person import Person
from tests.servers import Server, manage

SAID = 1_000
MOST_ROWS = 250

READING = """() => {
    const log = document.querySelector(".log").getBoundingClientRect();
    const inSight = (row) => row.getBoundingClientRect().top >= log.top + 40;
    const row = [...document.querySelectorAll(".message[data-seq]")].find(inSight);
    return { seq: row.dataset.seq, top: row.getBoundingClientRect().top };
}"""
TOP_OF = """(seq) =>
    document.querySelector(`[data-seq="${seq}"]`)?.getBoundingClientRect().top ?? null"""

A_FRAME_WAITS = """async () => {
    while (held.length === 0) await new Promise((done) => setTimeout(done));
}"""


class Station(NamedTuple):
    """A room of alice and bob in which much was said."""

    server: Server
    room: str
    bobs_token: str

    @property
    def address(self) -> str:
        return f"/r/{self.room}/"

    def hears(self, *bodies: str) -> None:
        """Bob says this, from elsewhere."""
        for body in bodies:
            message = {"id": str(uuid.uuid4()), "body": body}
            self.server.post(f"/api/rooms/{self.room}/messages", message, self.bobs_token)


@pytest.fixture(scope="module")
def station(server: Server) -> Station:
    alices = server.token("alice")
    group = {"name": "Station", "kind": "group", "members": ["bob"]}
    room = server.post("/api/rooms", group, alices)["room"]
    chatter(server.env, "Station", SAID, "alice", "bob")
    return Station(server, room, server.token("bob"))


@pytest.fixture
def reader(alice: Person, station: Station) -> Person:
    """Alice, in the station, who has read everything."""
    alice.page.goto(station.address)
    expect(alice.messages.last).to_be_in_viewport()
    alice.page.keyboard.press("Escape")
    expect(alice.page.locator(".rows .new")).to_be_hidden()
    return alice


def seqs(page: Page) -> list[int]:
    return page.evaluate(
        """() => [...document.querySelectorAll(".message[data-seq]")]
        .map(({ dataset }) => Number(dataset.seq))"""
    )


def scroll(page: Page, pixels: int) -> None:
    """By a wheel, and until the rows that this brought have come."""
    page.locator(".log").evaluate("(log, pixels) => log.scrollBy(0, pixels)", pixels)
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")


def scroll_until(page: Page, pixels: int, holds: str) -> None:
    """Far enough that this holds of `first` and `last`, the seqs at the ends of what has rows."""
    for _ in range(400):
        all_seqs = seqs(page)
        assert all_seqs == list(range(all_seqs[0], all_seqs[-1] + 1))  # no hole
        assert len(all_seqs) <= MOST_ROWS
        if eval(holds, {"first": all_seqs[0], "last": all_seqs[-1]}):
            return
        scroll(page, pixels)
    raise AssertionError(f"never: {holds}")


@contextmanager
def nothing_moves(page: Page) -> Iterator[None]:
    """What one reads stays where it is on the screen."""
    before = page.evaluate(READING)
    yield
    page.wait_for_timeout(300)  # what is to be seen is that nothing moves
    top = page.evaluate(TOP_OF, before["seq"])
    assert top is not None
    assert abs(top - before["top"]) <= 1


def test_rows_are_only_there_for_what_is_near(reader):
    page = reader.page
    scroll_until(page, -1_500, "first <= 700")
    scroll_until(page, 1_500, "first > 750")
    page.locator(".jump").click()
    expect(page.locator(".jump")).to_be_hidden()
    expect(reader.messages.last).to_be_in_viewport()


def test_a_window_may_change_between_an_answer_and_the_next_frame(alice, station):
    page = alice.page
    alice.enter("Kitchen")
    page.reload()
    alice.link("Station").evaluate(
        """(link) => {
        globalThis.held = [];
        globalThis.draw = requestAnimationFrame;
        link.click();
        requestAnimationFrame(() => {
            globalThis.requestAnimationFrame = (callback) => held.push(callback);
        });
    }"""
    )
    page.evaluate(A_FRAME_WAITS)
    page.set_viewport_size({"width": 1280, "height": 500})
    page.evaluate("() => new Promise((done) => draw(() => setTimeout(done)))")
    page.evaluate(
        """() => {
        globalThis.requestAnimationFrame = draw;
        held.forEach((callback) => draw(callback));
    }"""
    )
    expect(alice.messages.last).to_be_in_viewport()


def test_what_one_reads_does_not_move(reader, station):
    page = reader.page
    scroll_until(page, -1_500, "last < 990")
    with nothing_moves(page):
        station.hears("Mind the gap.", "long\n" * 20, "The train is late.")
        expect(page.locator(".jump")).to_have_text("Jump to latest (3)")
    with nothing_moves(page):
        reader.writing.fill("a line\n" * 8)
    with nothing_moves(page):
        reader.writing.fill("")
    for width, height in ((1280, 500), (700, 500), (1280, 720)):
        with nothing_moves(page):
            page.set_viewport_size({"width": width, "height": height})
    page.keyboard.press("Escape")


def test_what_one_reads_does_not_move_while_history_comes_above(alice, station):
    page = alice.page
    page.goto(f"{station.address}m/500/")
    expect(page.locator(".message.is-linked")).to_be_in_viewport()
    worst, grew = page.evaluate(
        f"""async () => {{
        const reading = {READING};
        const topOf = {TOP_OF};
        const first = () => document.querySelector("[data-seq]").dataset.seq;
        const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
        let [worst, grew] = [0, 0];
        for (let step = 0; step < 300 && grew < 20; step++) {{
            const had = first();
            document.querySelector(".log").scrollBy(0, -300);
            const {{ seq, top }} = reading();
            await frame();
            await frame();
            worst = Math.max(worst, Math.abs(topOf(seq) - top));
            if (first() !== had) grew++;
        }}
        return [worst, grew];
        }}"""
    )
    assert worst <= 1
    assert grew == 20


def test_a_thousand_missed_messages_are_summed_up(alice, station):
    page = alice.page
    chatter(station.server.env, "Station", 1_000, "bob")
    page.goto(station.address)
    divider = page.locator(".rows .new")
    expect(divider).to_be_in_viewport()
    expect(page.locator(".status")).to_have_text(re.compile(r"^\d{3,4} unread messages\.$"))
    expect(page.locator(".jump")).to_have_text(re.compile(r"^Jump to latest \((9\d\d|1000)\)$"))
    expect(page).to_have_title(re.compile(r"^\(\d{3,4}\) Station$"))
    assert len(seqs(page)) <= MOST_ROWS
    scroll(page, 400)
    expect(divider).to_have_count(1)
    page.locator(".jump").click()
    expect(alice.messages.last).to_be_in_viewport()
    alice.has_unread("Station", 0)


def test_a_link_opens_around_its_message(alice, station):
    page = alice.page
    page.goto(f"{station.address}m/300/")
    linked = page.locator(".message.is-linked")
    expect(linked).to_be_in_viewport()
    expect(linked).to_have_attribute("data-seq", "300")
    with nothing_moves(page):
        scroll(page, 0)
    scroll_until(page, -1_000, "first <= 200")
    scroll_until(page, 1_000, "last >= 400")
    # To another one, without leaving the room.
    page.locator('[data-seq="400"] .time').evaluate("(time) => time.click()")
    expect(page).to_have_url(re.compile(r"/m/400/$"))
    expect(linked).to_have_attribute("data-seq", "400")
    expect(linked).to_be_in_viewport()


def test_a_link_leads_no_outsider_anywhere(a_person, station):
    with a_person("charlie") as charlie:
        charlie.page.goto(f"{station.address}m/300/")
        expect(charlie.page.get_by_role("heading", name="Not found")).to_be_visible()
        assert all("404" in complaint for complaint in charlie.complaints)
        charlie.complaints.clear()


def test_a_link_to_what_is_no_longer_kept_says_so(alice, station):
    server = station.server
    room = server.post("/api/rooms", {"name": "Attic", "kind": "group"}, server.token("alice"))
    chatter(server.env, "Attic", 4, "alice")
    forget = (
        "from chat.models import Message, Room; room = Room.objects.get(name='Attic');"
        " Message.objects.filter(room=room, seq__lt=3).delete();"
        " Room.objects.filter(pk=room.pk).update(first_seq=3)"
    )
    manage(server.env, "shell", "--verbosity", "0", "-c", forget)
    alice.page.goto(f"/r/{room['room']}/m/1/")
    expect(alice.page.locator(".notice")).to_have_text(re.compile("no longer kept"))
    expect(alice.messages.last).to_be_in_viewport()
    expect(alice.page.locator(".jump")).to_be_hidden()


def test_keys_lead_through_the_list(reader):
    page = reader.page
    focused = page.locator(".message:focus")
    page.locator(".log").focus()
    page.keyboard.press("ArrowUp")
    newest = int(focused.get_attribute("data-seq") or "")
    page.keyboard.press("ArrowUp")
    expect(focused).to_have_attribute("data-seq", str(newest - 1))
    said = re.compile(r"^(alice|bob), \d\d:\d\d: .+")
    expect(focused).to_have_attribute("aria-label", said)
    page.keyboard.press("PageUp")
    expect(focused).not_to_have_attribute("data-seq", str(newest - 1))
    expect(focused).to_be_in_viewport()
    page.keyboard.press("Home")
    expect(focused).to_have_attribute("data-seq", "1")
    expect(focused).to_be_in_viewport()
    page.keyboard.press("End")
    expect(focused).to_have_attribute("data-seq", str(newest))
    # Whoever scrolls far away from the row that has the focus keeps a place for it.
    scroll_until(page, -1_500, f"last < {newest}")
    expect(page.locator(".log")).to_be_focused()
    expect(page.locator(".log [tabindex='0']")).to_have_count(0)  # one stop


def test_only_what_is_on_the_screen_is_read(reader, station):
    page = reader.page
    look_away(page, True)
    station.hears("Is anybody there?")
    reader.has_unread("Station", 1)
    expect(page).to_have_title(re.compile(r"^\(\d+\) Station$"))
    expect(page.locator(".rows .new")).to_be_visible()
    page.wait_for_timeout(300)
    reader.has_unread("Station", 1)
    look_away(page, False)
    reader.has_unread("Station", 0)
    expect(page.locator(".rows .new")).to_be_visible()


def test_what_comes_just_before_one_looks_away_is_told_all_the_same(reader, station):
    page = reader.page
    title = page.title()
    page.evaluate(
        """() => {
        globalThis.held = [];
        globalThis.requestAnimationFrame = (callback) => held.push(callback);
    }"""
    )
    station.hears("Wait!")
    page.evaluate(A_FRAME_WAITS)
    look_away(page, True)
    expect(page).not_to_have_title(title)


def look_away(page: Page, hidden: bool) -> None:
    """A page that stands alone in a browser without a screen is never hidden: it is told so."""
    page.evaluate(
        """(hidden) => {
        const state = hidden ? "hidden" : "visible";
        Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
        Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
