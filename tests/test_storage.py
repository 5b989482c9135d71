"""How static files travel."""

import gzip

import pytest
from django.core.files.base import ContentFile

from project.storage import HashedFiles

SCRIPT = "// Why.\nexport const one = `a  b`; // and how\n"
STYLE = "/* Why. */\n.a :is(.b, .c) {\n  color: red; /* and\n how */\n}\n"


@pytest.fixture
def wire(tmp_path):
    """What a browser gets of a file, by its path."""
    storage = HashedFiles(location=tmp_path)

    def travel(name: str, text: str) -> str:
        content = ContentFile((text * 50).encode())
        storage.hashed_name(name, content)  # has read it
        saved = storage.save(name, content)
        storage.compressor = storage.create_compressor(quiet=True)
        [compressed] = storage.compressor.compress(storage.path(saved))
        with gzip.open(compressed, "rt") as file:
            return file.read()

    return travel


def test_our_scripts_leave_their_comments_at_home(wire):
    there = wire("chat/one.js", SCRIPT)
    assert "//" not in there
    assert there.count("`a  b`") == 50


def test_our_styles_leave_their_comments_at_home_and_keep_their_selectors(wire):
    there = wire("chat/one.css", STYLE)
    assert "/*" not in there
    assert there.count(".a :is(.b, .c) {\ncolor: red; \n}") == 50


@pytest.mark.parametrize(
    ("name", "text"),
    [("admin/a.css", STYLE), ("admin/one.js", SCRIPT), ("chat/vendor/one.js", SCRIPT)],
)
def test_what_others_publish_travels_as_it_is(wire, name, text):
    assert wire(name, text) == text * 50
