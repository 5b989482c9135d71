"""`python -m tests.bench.page`: on a weak link, and in a long room on a slow phone.

As production serves it, straight from one worker (HTTP/1.1). Only on a quiet machine do these say
anything: a browser that has to wait for the processor takes that for a long task.
"""

import secrets
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, CDPSession, Page

from tests.chatter import chatter
from tests.person import PHONE, Person, chromium, somebody
from tests.servers import Server, environment, manage

SAID = 10_000
SLOWER = 4  # times, than this machine's processor
BYTES_PER_SECOND = 1_600_000 // 8
ROUND_TRIPS = (150, 400)  # milliseconds
SENTENCE = "a sentence of some words that one types"

WATCH = """() => {
    window.tasks = [];
    window.keys = [];
    const watch = (list, type, options) =>
        new PerformanceObserver((seen) => list.push(...seen.getEntries().map((e) => e.duration)))
            .observe({ type, ...options });
    watch(tasks, "longtask");
    watch(keys, "event", { durationThreshold: 16 });
}"""
PAINTED = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
WEIGHT = """() => performance.getEntriesByType("resource")
    .filter(({ name }) => /\\.(js|css)$/.test(name))
    .reduce((sum, { encodedBodySize }) => sum + encodedBodySize, 0)"""


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as directory, ExitStack() as stack:
        home = Path(directory)
        env = _production(home)
        server = stack.enter_context(Server(home / "log", env))
        browser = stack.enter_context(chromium())
        with somebody(browser, server.port) as dora:
            _sign_up(dora)
            state = dora.page.context.storage_state()
        for milliseconds in ROUND_TRIPS:
            _weak_link(browser, server, state, milliseconds)
        chatter(env, "Lobby", SAID, "dora")
        _slow_phone(browser, server, env, state)


def _production(home: Path) -> dict[str, str]:
    production = {"DJANGO_SETTINGS_MODULE": "tests.production", "DEBUG": "0"}
    production |= {"SECRET_KEY": secrets.token_hex(), "STATIC_ROOT": str(home / "files")}
    production |= {"ALLOWED_HOSTS": "127.0.0.1", "SECURE_COOKIES": "0"}
    env = environment(home, **production)
    manage(env, "migrate", "--verbosity", "0")
    manage(env, "collectstatic", "--no-input", "--ignore", "admin")
    return env


def _sign_up(person: Person) -> None:
    person.page.goto("/signup/")
    password = secrets.token_hex()
    person.page.get_by_label("Username").fill("dora")
    person.page.locator("[name=password1]").fill(password)
    person.page.locator("[name=password2]").fill(password)
    person.page.locator("[name=password2]").press("Enter")
    person.writing.wait_for()


def _weak_link(browser: Browser, server: Server, state: Any, milliseconds: int) -> None:
    """With nothing in the cache."""
    with somebody(browser, server.port, storage_state=state) as dora:
        page, devtools = dora.page, _devtools(dora.page)
        link = {"latency": milliseconds, "downloadThroughput": BYTES_PER_SECOND}
        link |= {"uploadThroughput": BYTES_PER_SECOND, "offline": False}
        devtools.send("Network.enable")
        devtools.send("Network.emulateNetworkConditions", link)
        page.goto("/", wait_until="commit")
        dora.link("Lobby").wait_for(timeout=60_000)  # drawn by scripts, as the server told
        usable = page.evaluate("() => performance.now()")
        print(f"\n  1.6 Mbit/s, {milliseconds} ms to and fro")
        _show("first paint", page.evaluate(PAINTED))
        _show("rooms on show", usable)
        print(f"    scripts and styles: {page.evaluate(WEIGHT):,} bytes")


def _slow_phone(browser: Browser, server: Server, env: dict[str, str], state: Any) -> None:
    print(f"\n  A phone, {SLOWER} times slower than this machine, {SAID:,} messages in a room")
    with somebody(browser, server.port, storage_state=state, **PHONE) as dora:
        page = dora.page
        page.goto("/")
        dora.link("Lobby").wait_for()
        _devtools(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
        page.evaluate(WATCH)
        dora.link("Lobby").click()
        dora.messages.last.wait_for()
        _tasks("open the room", page)
        _scroll(page, -1, 100)
        _tasks("scroll back", page)
        _scroll(page, 1, 60)
        _tasks("scroll on", page)
        page.locator(".jump").click()
        page.wait_for_timeout(500)
        chatter(env, "Lobby", 60, "dora")
        _tasks("60 messages arrive", page)
        dora.writing.click()
        page.evaluate("() => void keys.splice(0)")
        page.keyboard.type(SENTENCE, delay=80)
        _tasks("type a sentence", page)
        slow = page.evaluate("() => keys") or [0]
        print(
            f"    from key to paint, of those above 16 ms: median {statistics.median(slow):.0f} ms"
        )
        print(f"    rows in the page: {page.locator('.rows > li').count()}")


def _devtools(page: Page) -> CDPSession:
    return page.context.new_cdp_session(page)


def _scroll(page: Page, direction: int, times: int) -> None:
    page.mouse.move(200, 400)
    for _ in range(times):
        page.mouse.wheel(0, direction * 300)
        page.wait_for_timeout(30)


def _tasks(what: str, page: Page) -> None:
    page.wait_for_timeout(1_500)
    long = page.evaluate("() => tasks.splice(0)")
    print(f"    {what}: {len(long)} tasks above 50 ms, the longest {max(long, default=0):.0f} ms")


def _show(what: str, milliseconds: float) -> None:
    print(f"    {what}: {milliseconds / 1000:.2f} s")


if __name__ == "__main__":
    main()
