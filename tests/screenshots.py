"""`python -m tests.screenshots`: the pictures of the README, of a real server while people talk.

With a directory, `python -m tests.screenshots DIRECTORY`: all pages and states instead, on three
widths, in both themes and both languages, to look at before one calls a page done; or some of them,
for example `DIRECTORY kitchen 'log_*-390-zh'`.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, Error, StorageState, expect

from tests.person import PHONE, Person, chromium, somebody
from tests.scenes import INSIDE, MORE, OUTSIDE, TALK, Scene, without_scripts
from tests.servers import ROOT, Server, environment, manage

IMAGES = ROOT / "docs" / "images"
DEVICES = {
    "1440": {"viewport": {"width": 1440, "height": 900}},
    "1024": {"viewport": {"width": 1024, "height": 768}},
    "390": PHONE,
}
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
THEMES = ("light", "dark")
IMPATIENCE = 10_000  # milliseconds, for what is not there


class Site(NamedTuple):
    browser: Browser
    port: int

    @contextmanager
    def person(self, **profile: Any) -> Iterator[Person]:
        with somebody(self.browser, self.port, **profile) as person:
            yield person

    def log_in(self, name: str) -> StorageState:
        with self.person() as person:
            return person.log_in(name)


@contextmanager
def a_site(more: str = "") -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        env = environment(home)
        manage(env, "migrate")
        manage(env, "demo")
        if more:
            manage(env, "shell", "--command", more)
        with Server(home / "server.log", env) as server, chromium() as browser:
            yield Site(browser, server.port)


def photograph(person: Person, file: Path, theme: str) -> None:
    person.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    person.page.screenshot(path=file)


# The pictures of the README


def talk(site: Site, alice: Person, bob: Person) -> None:
    for each in (alice, bob):
        each.page.goto("/")
        each.enter("Kitchen")
        each.page.keyboard.press("Escape")
    for name, words in TALK:
        {"alice": alice, "bob": bob}[name].say(words)


def for_the_readme() -> None:
    IMAGES.mkdir(exist_ok=True)
    with a_site(MORE) as site:
        states = {name: site.log_in(name) for name in ("alice", "bob", "charlie")}
        with (
            site.person(storage_state=states["alice"], **DEVICES["1440"]) as alice,
            site.person(storage_state=states["alice"], **PHONE) as on_the_phone,
            site.person(storage_state=states["bob"]) as bob,
            site.person(storage_state=states["charlie"]) as charlie,
        ):
            talk(site, alice, bob)
            charlie.page.goto("/")
            charlie.enter("Lobby")
            charlie.say("Who has seen my umbrella?")
            on_the_phone.page.goto("/")
            on_the_phone.enter("Kitchen")
            on_the_phone.page.keyboard.press("Escape")
            for person, picture in ((alice, "chat"), (on_the_phone, "phone")):
                expect(person.messages.last.locator(".faces")).to_be_visible()
                for theme in THEMES:
                    bob.writing.press_sequentially(".")
                    expect(person.page.locator(".typing")).not_to_be_empty()
                    file = IMAGES / f"{picture}-{theme}.png"
                    photograph(person, file, theme)
                    print(f"{file.relative_to(ROOT)}: {file.stat().st_size:,} bytes")


# The gallery


def gallery(directory: Path, wanted: Sequence[str]) -> int:
    """The number of scenes that could not be seen."""
    directory.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=IMPATIENCE)
    failures = 0
    with a_site(MORE) as site:
        alice, bob = site.log_in("alice"), site.log_in("bob")
        with site.person(storage_state=alice) as a, site.person(storage_state=bob) as b:
            talk(site, a, b)
        for name, device in DEVICES.items():
            for language, locale in LANGUAGES.items():
                view = f"{name}-{language}"
                inside = {"storage_state": alice, "locale": locale, **device}
                failures += view_all(
                    site, directory, view, OUTSIDE, wanted, locale=locale, **device
                )
                failures += view_all(site, directory, view, INSIDE, wanted, **inside)
                unscripted = {**inside, "java_script_enabled": False}
                failures += view_all(site, directory, view, [without_scripts], wanted, **unscripted)
    return failures


def view_all(
    site: Site,
    directory: Path,
    view: str,
    scenes: Sequence[Scene],
    wanted: Sequence[str],
    **profile: Any,
) -> int:
    failures = 0
    with site.person(**profile) as person:
        for scene in scenes:
            name = f"{scene.__name__}-{view}"
            if wanted and not any(fnmatch(name, f"{pattern}*") for pattern in wanted):
                continue
            person.open_another_page()
            person.page.set_default_timeout(IMPATIENCE)
            failures += view_one(person, scene, directory / name)
            person.page.context.set_offline(False)
    return failures


def view_one(person: Person, scene: Scene, file: Path) -> bool:
    """Whether it failed; what there is to see then is the reason."""
    failed = False
    try:
        scene(person)
    except (Error, AssertionError) as error:
        failed = True
        print(f"{file.name}: {str(error).splitlines()[0]}")
    for theme in THEMES:
        photograph(person, file.with_name(f"{file.name}-{theme}.png"), theme)
    for complaint in person.complaints:
        print(f"{file.name}: the browser says: {complaint}")
    person.complaints.clear()
    return failed


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition(":")[0])
    arguments.add_argument("directory", nargs="?", type=Path)
    arguments.add_argument("scene", nargs="*", metavar="scene")
    chosen = arguments.parse_args()
    if chosen.directory is None:
        for_the_readme()
    elif failures := gallery(chosen.directory, chosen.scene):
        raise SystemExit(f"{failures} scenes could not be seen")


if __name__ == "__main__":
    main()
