"""What people see of a connection that comes and goes, and what becomes of what they write."""

import json
import re
import time
import uuid
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, expect

from tests.person import PATIENCE, Person, somebody
from tests.servers import Server

KEPT = "What you write is kept and will be sent."


@pytest.fixture
def newcomer(chromium: Browser, server: Server) -> Iterator[Person]:
    """Alice, in a profile whose log-in may end with the test."""
    with somebody(chromium, server.port) as alice:
        alice.log_in("alice")
        yield alice
        assert alice.complaints == []


def bar(person: Person) -> Locator:
    return person.page.locator(".connection")


def let_time_pass(person: Person) -> None:
    """Longer than a page keeps quiet about an outage."""
    person.page.clock.fast_forward(6_000)


def with_a_clock(person: Person) -> None:
    person.page.clock.install()
    person.page.reload()


def test_without_a_network_what_is_written_waits_and_what_was_missed_comes(alice, bob):
    with_a_clock(alice)
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Before")
    alice.page.context.set_offline(True)
    expect(bar(alice)).to_be_hidden()
    let_time_pass(alice)
    expect(bar(alice)).to_contain_text("No network.")
    alice.write("from the tunnel")
    bob.say("into the tunnel")
    alice.page.context.set_offline(False)
    expect(bar(alice)).to_be_hidden()
    alice.sees("Before", "into the tunnel", "from the tunnel")
    bob.sees("Before", "into the tunnel", "from the tunnel")
    complaints, alice.complaints = alice.complaints, []
    assert [words for words in complaints if "ERR_INTERNET_DISCONNECTED" not in words] == []


def test_what_one_wrote_stays_in_sight_while_what_was_missed_comes(alice_on_a_phone, bob):
    alice = alice_on_a_phone
    bob.enter("Kitchen")
    bob.say(*(f"not read yet {number}" for number in range(20)))
    alice.enter("Kitchen")
    alice.say("Here I am")
    alice.page.context.set_offline(True)
    expect(bar(alice)).to_contain_text("No network.")
    own = ["my own words", *(f"and more {number}" for number in range(6))]
    missed = [f"missed {number}" for number in range(6)]
    alice.write(*own)
    bob.say(*missed)
    alice.page.evaluate(
        """() => {
        const rows = document.querySelector(".log .rows");
        const look = () => (globalThis.vanished ||= !rows.textContent.includes("my own words"));
        new MutationObserver(look).observe(rows, { childList: true });
    }"""
    )
    alice.page.context.set_offline(False)
    expect(bar(alice)).to_be_hidden()
    alice.sees("Here I am", *missed, *own)
    expect(alice.messages.last).to_be_in_viewport(ratio=1)
    assert not alice.page.evaluate("globalThis.vanished")
    alice.complaints.clear()


def test_a_server_that_restarts_loses_and_doubles_nothing(alice, bob, server):
    with_a_clock(alice)
    for each in (alice, bob):
        each.enter("Kitchen")
    alice.say("Once")
    server.stop()
    alice.write("while it", "was down")
    let_time_pass(alice)
    expect(bar(alice)).to_contain_text(KEPT)
    server.start()
    expect(bar(alice)).to_be_hidden()
    for each in (alice, bob):
        each.sees("Once", "while it", "was down")
    bob.say("I have it all.")
    alice.sees("Once", "while it", "was down", "I have it all.")
    for each in (alice, bob):
        each.forgive_the_outage()


def test_whoever_logs_out_elsewhere_loses_nothing_by_logging_in_again(newcomer):
    newcomer.enter("Kitchen")
    newcomer.say("Here")
    log_out_in_another_tab(newcomer)
    expect(bar(newcomer)).to_contain_text("You are logged out. What you write is kept")
    newcomer.write("there")
    newcomer.writing.fill("half a tho")
    place = newcomer.page.url
    bar(newcomer).get_by_role("link", name="Log in").click()
    fill_in(newcomer, "alice")
    expect(newcomer.page).to_have_url(place)
    newcomer.sees("Here", "there")
    expect(newcomer.writing).to_have_value("half a tho")
    newcomer.writing.fill("")


def test_a_room_of_which_nothing_came_before_the_log_out_says_so(newcomer, server):
    alices = server.token("alice")
    group = {"name": "Attic", "kind": "group", "members": ["bob"]}
    room = server.post("/api/rooms", group, alices)["room"]
    message = {"id": str(uuid.uuid4()), "body": "Dust"}
    server.post(f"/api/rooms/{room}/messages", message, alices)
    newcomer.link("Attic").wait_for()
    wait_until_delivered(newcomer, server, room, alices)  # or it comes once more
    newcomer.page.reload()
    newcomer.enter("Kitchen")
    log_out_in_another_tab(newcomer)
    expect(bar(newcomer)).to_contain_text("You are logged out.")
    newcomer.enter("Attic")
    expect(newcomer.page.locator(".nothing")).to_contain_text("You are logged out.")
    expect(newcomer.page.locator(".skeleton:visible")).to_have_count(0)
    newcomer.write("for later")
    newcomer.sees("for later")


def wait_until_delivered(person: Person, server: Server, room: str, token: str) -> None:
    """What has been said there, as far as the server knows: it learns of it within a second."""
    give_up = time.monotonic() + PATIENCE / 1_000
    while not is_delivered(server, room, token):
        assert time.monotonic() < give_up
        person.page.wait_for_timeout(100)


def is_delivered(server: Server, room: str, token: str) -> bool:
    _, answer = server.request("GET", "/api/rooms", token=token)
    [mine] = [one for one in json.loads(answer) if one["room"] == room]
    return bool(mine["delivered_rev"] == mine["rev"])


def test_whoever_logs_in_as_somebody_else_finds_nothing_of_the_first(newcomer):
    newcomer.enter("Kitchen")
    newcomer.say("I am alice")
    log_out_in_another_tab(newcomer)
    expect(bar(newcomer)).to_contain_text("You are logged out.")
    newcomer.write("nobody else's business")
    newcomer.writing.fill("nor this")
    with newcomer.another_tab() as tab:
        fill_in(tab, "bob")
        tab.page.wait_for_url("**/")
    newcomer.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(newcomer.page.locator(".rail-foot .name")).to_have_text("Bob")
    newcomer.enter("Kitchen")
    newcomer.sees("I am alice")
    expect(newcomer.writing).to_have_value("")


def log_out_in_another_tab(person: Person) -> None:
    with person.another_tab() as tab:
        tab.page.get_by_role("button", name="Log out").click()
        tab.page.wait_for_url("**/login/**")


def fill_in(person: Person, name: str) -> None:
    person.page.get_by_label("Username").fill(name)
    person.page.get_by_label("Password").fill("demo")
    person.page.get_by_role("button", name="Log in").click()


def test_whoever_is_banned_reads_why_also_after_a_reload(a_person, server):
    with a_person("charlie") as charlie:
        charlie.enter("Lobby")
        server.manage("ban", "charlie", "--for", "1h")
        expect(bar(charlie)).to_contain_text(re.compile(r"You are banned until .*\d\d:\d\d"))
        expect(charlie.writing).not_to_be_editable()
        expect(charlie.writing).to_have_attribute("placeholder", re.compile(r"until .*\d\d:\d\d"))
        charlie.page.reload()
        expect(bar(charlie)).to_contain_text("You are banned until")
        expect(charlie.page.locator(".nothing p").first).to_contain_text("You are banned until")
        expect(charlie.page.locator(".skeleton:visible")).to_have_count(0)


def test_whoever_is_kicked_comes_back_by_a_click(bob, server):
    bob.enter("Kitchen")
    server.manage("kick", "bob")
    expect(bar(bob)).to_contain_text("have sent you away")
    bar(bob).get_by_role("button", name="Details").click()
    details = bob.page.get_by_role("dialog", name="Connection")
    expect(details).to_contain_text("4503 (kicked or banned)")
    details.get_by_role("button", name="Close").click()
    bar(bob).get_by_role("button", name="Come back").click()
    expect(bar(bob)).to_be_hidden()
    bob.say("Here I am.")
