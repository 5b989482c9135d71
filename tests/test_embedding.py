"""The chat in somebody else's site: `tests/embedding/`, with its own users, templates and views."""

import os
import re
import subprocess
import sys

import pytest

from tests.servers import ROOT, Server

SITE = ROOT / "tests" / "embedding"
README = (ROOT / "README.md").read_text()
PEOPLE = """
from readers.models import Reader
for email, staff in (("ann@example.org", True), ("ben@example.org", False)):
    reader = Reader(email=email, card=email[:3], is_staff=staff)
    reader.set_password("demo")
    reader.save()
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    home = tmp_path_factory.mktemp("library")
    env = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    env |= {
        "LIBRARY_DATABASE": str(home / "library.sqlite3"),
        "PYTHONPATH": f"{SITE}{os.pathsep}{ROOT}",
    }
    for command in (["migrate", "--verbosity=0"], ["shell", "--command", PEOPLE]):
        manage = [sys.executable, SITE / "manage.py", *command]
        subprocess.run(manage, env=env, check=True, timeout=60, stdout=subprocess.DEVNULL)
    serve = ("-m", "project.server", "library.asgi:application")
    with Server(home / "server.log", env, serve) as server:
        yield server
    assert "Traceback" not in server.log.read_text()


def token(library, name):
    log_in = {"username": f"{name}@example.org", "password": "demo"}
    return library.post("/chat/api/token", log_in)["token"]


async def reads(page, body):
    await page.until(lambda: any(body in page.client.bodies(room) for room in page.client.rooms))


async def test_its_readers_talk_by_the_names_that_they_log_in_with(library):
    async with (
        library.browser(token(library, "ann")) as ann,
        library.browser(token(library, "ben")) as ben,
    ):
        await ann.post("Quiet, please.", to="ben@example.org")
        await reads(ben, "Quiet, please.")


async def test_what_its_own_views_say_in_the_chat_is_seen_at_once(library):
    async with library.browser(token(library, "ben")) as ben:
        status, _ = library.request("POST", "/lend/ben@example.org/")
        assert status == 200
        await reads(ben, "Moby-Dick is here for you.")


def test_its_own_pages_are_as_they_were(library):
    assert library.request("GET", "/") == (200, b"Moby-Dick")


def test_the_chat_wears_its_templates(library):
    status, page = library.request("GET", "/chat/login/")
    assert status == 200
    assert b"<h1>The library</h1>" in page


ERASED = """
from django.core.management import call_command
from readers.models import Reader
eve = Reader(email="eve@example.org", card="eve")
eve.set_password("demo")
eve.save()
call_command("erase", "eve@example.org", "--no-input")
eve.refresh_from_db()
assert not eve.is_active and not eve.has_usable_password()
assert not eve.chat_memberships.exists()
"""


def test_its_readers_can_be_erased_though_their_name_is_their_key(library):
    erase = [sys.executable, SITE / "manage.py", "shell", "--command", ERASED]
    subprocess.run(erase, env=library.env, check=True, timeout=60, stdout=subprocess.DEVNULL)


def test_the_readme_tells_each_line_of_it():
    told = README.partition("## Put it into your own site")[2].partition("Your own code talks")[0]
    lines = plain("".join(re.findall(r"```python\n(.*?)```", told, re.DOTALL)))
    assert len(lines) > 20
    done = [line for path in (SITE / "library").glob("*.py") for line in plain(path.read_text())]
    assert not [line for line in lines if line.replace("mysite", "library") not in done]


def plain(code):
    """Its lines, without comments and indentation."""
    return [line for text in code.splitlines() if (line := text.partition("#")[0].strip())]
