"""`python -m tests.screenshots`: the pictures of the README, of a real server while people talk."""

import tempfile
from contextlib import ExitStack
from pathlib import Path

from playwright.sync_api import expect

from tests.person import PHONE, Person, chromium, somebody
from tests.servers import ROOT, Server, environment, manage

IMAGES = ROOT / "docs" / "images"
DESKTOP = {"viewport": {"width": 1440, "height": 900}}

TALK = [
    ("bob", "Half past twelve is fine. I have booked the table by the window."),
    ("alice", "Lovely! For how many?"),
    ("bob", "Four, if Dora comes. This is the menu: https://example.org/menu"),
    ("bob", "Whoever is late gets the soup of the day, which was the soup of yesterday, too."),
    ("alice", "饺子也有，太好了！"),
    ("alice", "See you there."),
]


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        home = Path(directory)
        env = environment(home)
        manage(env, "migrate")
        manage(env, "demo")
        server = stack.enter_context(Server(home / "server.log", env))
        browser = stack.enter_context(chromium())

        def arrive(name: str, **device: object) -> Person:
            person = stack.enter_context(somebody(browser, server.port, **device))
            person.log_in(name)
            return person

        alice, bob = arrive("alice", **DESKTOP), arrive("bob")
        on_the_phone = arrive("alice", **PHONE)
        for each in (alice, bob):
            each.enter("Kitchen")
            each.page.keyboard.press("Escape")
        for name, words in TALK:
            {"alice": alice, "bob": bob}[name].say(words)
        charlie = arrive("charlie")
        charlie.enter("Lobby")
        charlie.say("Who has seen my umbrella?")
        on_the_phone.enter("Kitchen")
        on_the_phone.page.keyboard.press("Escape")
        for person, picture in ((alice, "chat"), (on_the_phone, "phone")):
            expect(person.messages.last.locator(".faces")).to_be_visible()
            for theme in ("light", "dark"):
                person.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                bob.writing.press_sequentially(".")
                expect(person.page.locator(".typing")).not_to_be_empty()
                file = IMAGES / f"{picture}-{theme}.png"
                person.page.screenshot(path=file)
                print(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
