"""How static files travel."""

import gzip
from pathlib import Path

import pytest

from project.storage import OurScriptsMinified

SCRIPT = "// Why.\nexport const one = `a  b`; // and how\n"
STYLE = "/* Why. */\n.a :is(.b, .c) {\n  color: red;\n}\n"


@pytest.fixture
def wire(tmp_path: Path):
    """What a browser gets of a file, by its path."""

    def travel(name: str, text: str) -> str:
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text * 50)
        [compressed] = OurScriptsMinified(minify=True, use_brotli=False, quiet=True).compress(
            str(file)
        )
        return gzip.decompress(Path(compressed).read_bytes()).decode()

    return travel


def test_our_scripts_leave_their_comments_at_home(wire):
    there = wire("chat/one.js", SCRIPT)
    assert "//" not in there
    assert there.count("`a  b`") == 50


@pytest.mark.parametrize(("name", "text"), [("chat/a.css", STYLE), ("admin/one.js", SCRIPT)])
def test_what_could_suffer_travels_as_it_is(wire, name, text):
    assert wire(name, text) == text * 50
