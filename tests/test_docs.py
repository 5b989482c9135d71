"""What the documents say is what the code does, as far as a machine can tell."""

import ast
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chat import duties, errors, frames, refusals
from chat.api import api
from chat.close_codes import CloseCode
from project.websocket import MESSAGE_TOO_BIG
from tests.servers import PATIENCE

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
IN_CHINESE = ROOT / "README.zh-hans.md"
PROTOCOL = ROOT / "docs" / "protocol.md"
API = ROOT / "docs" / "api.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
SETTINGS = ROOT / "docs" / "settings.md"
ADMIN = ROOT / "docs" / "admin.md"
FRONTEND = ROOT / "docs" / "frontend.md"
CLIENT = ROOT / "chat" / "static" / "chat"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

by_path = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)


def section(document: Path, title: str) -> str:
    """What stands between this heading and the next of the same rank."""
    [found] = re.findall(rf"^## {title}\n(.*?)(?=^## |\Z)", document.read_text(), re.M | re.S)
    return found


def first_column(text: str) -> list[str]:
    """What the rows of a section's tables are about."""
    return re.findall(r"^\| `?([\w.]+)`? \|", text, re.M)


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.M | re.S)


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def types(*of: type[frames.Frame]) -> set[str]:
    return {str(frame.__struct_config__.tag) for frame in of}


REQUESTS = frames.Request.__args__
REPLIES = [frame for frame in frames.Frame.__subclasses__() if frame not in REQUESTS]


# The protocol


@pytest.mark.parametrize(
    ("title", "told"),
    [("What a client says", types(*REQUESTS)), ("What the server says", types(*REPLIES))],
)
def test_each_frame_is_in_its_table_and_no_other_is(title, told):
    listed = first_column(section(PROTOCOL, title))
    assert sorted(listed) == sorted({*told, "type"})


@pytest.mark.parametrize("frame", [*REQUESTS, *REPLIES], ids=lambda frame: frame.__name__)
def test_each_field_of_a_frame_is_in_its_row(frame):
    title = "What a client says" if frame in REQUESTS else "What the server says"
    [row] = re.findall(
        rf"^\| `{frame.__struct_config__.tag}` \|.*$", section(PROTOCOL, title), re.M
    )
    fields = {*frame.__struct_fields__} - {"ref"}
    assert fields <= {*re.findall(r"`(\w+)`", row)}


def test_each_error_code_is_in_its_table_and_no_other_is():
    codes = {error.code for error in with_subclasses(errors.ChatError)}
    listed = first_column(section(PROTOCOL, "Error codes"))
    assert sorted(listed) == sorted({*codes, "code"} - {"ambiguous"})
    assert "`ambiguous`" in section(PROTOCOL, "The plain-text dialect")


def with_subclasses(error: type[errors.ChatError]) -> Iterator[type[errors.ChatError]]:
    yield error
    for subclass in error.__subclasses__():
        yield from with_subclasses(subclass)


def test_each_close_code_is_in_its_table():
    listed = {
        int(code) for code in first_column(section(PROTOCOL, "Close codes")) if code != "code"
    }
    assert {*CloseCode, MESSAGE_TOO_BIG} <= listed
    assert listed - {*CloseCode, MESSAGE_TOO_BIG} == {4009}  # a client's own


def test_the_examples_are_frames():
    examples = 0
    for block in blocks(PROTOCOL, "json"):
        for example in one_by_one(block):
            if example.get("type") in types(*REQUESTS) - {"history"}:
                frames.parse(json.dumps(example))
            elif "type" in example:
                assert example["type"] in types(*REPLIES, frames.Look)
            examples += 1
    assert examples > 20


def one_by_one(text: str) -> Iterator[dict[str, object]]:
    """The objects of an example, some of which are spread over several lines to be readable."""
    while text := text.strip():
        example, end = json.JSONDecoder().raw_decode(text)
        yield example
        text = text[end:]


def test_the_console_has_an_example_of_all_that_a_client_says():
    told = re.findall(r"^  { type: \"(\w+)\"", (CLIENT / "dialects.js").read_text(), re.M)
    assert types(*REQUESTS) <= {*told}


# The HTTP API; tests/test_examples.py runs its commands


def test_each_path_of_the_api_is_in_its_table_and_no_other_is():
    paths = api.get_openapi_schema(path_prefix="/api/")["paths"]
    told = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}
    assert {*re.findall(r"^\| `([A-Z]+ /api/\S+)` \|", API.read_text(), re.M)} == told


def test_each_status_is_told_with_its_codes():
    told = {
        (int(status), code)
        for status, codes in re.findall(r"^\| (\d{3}) \| (.+?) \|", API.read_text(), re.M)
        for code in re.findall(r"`(\w+)`", codes)
    }
    assert told == {(status, error.code) for error, status in refusals.STATUS.items()}


def test_the_answers_in_the_document_have_the_shape_of_the_real_ones():
    shapes = api.get_openapi_schema(path_prefix="/api/")["components"]["schemas"]
    fields = [shape["properties"].keys() for shape in shapes.values()]
    answers = [answer for block in blocks(API, "json") for answer in one_by_one(block)]
    assert len(answers) > 5
    for answer in answers:
        health = answer.keys() == {"database", "migrations", "channel_layer"}
        assert health or any(answer.keys() <= known for known in fields), answer


# Links and commands


@by_path
def test_each_link_leads_somewhere(document):
    for target in links(document):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def links(document: Path) -> list[str]:
    """Pictures too."""
    text = without_code(document.read_text())
    return re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'\bsrc(?:set)?="([^"]+)"', text)


def anchors(document: Path) -> set[str]:
    """As GitHub makes them of headings."""
    titles = re.findall(r"^#+ (.+)$", without_code(document.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@by_path
def test_each_command_of_make_is_there(document):
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M)
    text = document.read_text()
    named = re.findall(r"`make ([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.M)
    assert {*named} <= {*targets}


@by_path
def test_python_in_a_document_compiles(document):
    for block in blocks(document, "python"):
        compile(block, document.name, "exec")


# The two languages of the README


def test_the_first_line_leads_to_the_other_language():
    assert README.read_text().startswith(f"[简体中文]({IN_CHINESE.name})\n")
    assert IN_CHINESE.read_text().startswith(f"[English]({README.name})\n")


def test_both_languages_have_the_same_headings():
    assert ranks(README) == ranks(IN_CHINESE)


def test_both_languages_have_the_same_code():
    assert blocks(README, r"\w*") == blocks(IN_CHINESE, r"\w*")
    assert len(blocks(README, r"\w*")) > 5


def test_both_languages_have_the_same_links():
    assert links(README)[1:] == links(IN_CHINESE)[1:]


def ranks(document: Path) -> list[str]:
    """`##` for a heading of the second rank."""
    return re.findall(r"^(#+) ", without_code(document.read_text()), re.M)


# Settings

ENVIRONMENT = ("The chat", "Database and Redis", "Who may reach the site", "Developing and running")
OF_DJANGO = "In your own site"
NOT_READ_BY_NAME = {"DATABASES", "CHANNEL_LAYERS"}  # but by Django and Channels, for us


def names(*titles: str) -> set[str]:
    """What the first columns of these sections of docs/settings.md are about."""
    rows = "\n".join(
        row.split("|")[1]
        for title in titles
        for row in section(SETTINGS, title).splitlines()
        if row.startswith("| `")
    )
    return {*re.findall(r"`([\w.]+)`", rows)}


def said_in(folder: str, pattern: str) -> set[str]:
    """What our modules in this folder say."""
    return {
        found
        for module in (ROOT / folder).rglob("*.py")
        if "migrations" not in module.parts
        for found in re.findall(pattern, module.read_text())
    }


def test_each_name_in_the_environment_is_told_and_no_other_is():
    read = said_in("project", r'(?:env\.\w+|\bnumber)\(\s*"(\w+)"')
    assert len(read) > 10
    assert names(*ENVIRONMENT) == {*read, "PORT"}
    assert "PORT ?=" in (ROOT / "Makefile").read_text()


def test_each_setting_of_the_chat_is_in_the_environment_and_told():
    ours = said_in("chat", r'"(CHAT_[A-Z_]+)"')
    assert names("The chat") == ours
    assert ours <= said_in("project", r"(?m)^(CHAT_[A-Z_]+) =")


def test_each_setting_of_django_that_the_chat_reads_is_told_and_no_other_is():
    read = said_in("chat", r"settings\.([A-Z_]{3,})") | NOT_READ_BY_NAME
    assert names(OF_DJANGO) == read


def test_each_check_is_told_and_no_other_is():
    assert names("What is checked") == said_in("chat", r"chat\.[CEW]\d{3}")


def test_the_environment_for_production_is_a_careful_one(tmp_path):
    [example, *_] = blocks(SETTINGS, "sh")
    named = dict(line.split("=", 1) for line in example.splitlines())
    assert {*named} <= names(*ENVIRONMENT)
    named["SECRET_KEY"] = "".join(map(chr, range(40, 100)))
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    files = {"DJANGO_SETTINGS_MODULE": "tests.production", "STATIC_ROOT": str(tmp_path)}
    for command in ("collectstatic --no-input", "check --deploy --fail-level WARNING"):
        process = subprocess.run(
            [sys.executable, "manage.py", *command.split()],
            cwd=ROOT,
            env={**kept, **named, **files},
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,  # each file is made small and compressed
        )
        assert process.returncode == 0, process.stderr
    assert "no issues" in process.stdout


# The pages

STATIC = ROOT / "chat" / "static" / "chat"
TEMPLATES = (ROOT / "chat" / "templates", ROOT / "templates")
OF_A_PAGE = r"\b(?:document\.(?!\.)|location\.|matchMedia\(|localStorage\.)"


def rows_of(title: str) -> list[list[str]]:
    """The cells of the tables below a heading of docs/frontend.md, each as the names in it."""
    [found] = re.findall(rf"^##+ {title}\n(.*?)(?=^##|\Z)", FRONTEND.read_text(), re.M | re.S)
    rows = re.findall(r"^\| (`.*) ?\|$", found, re.M)
    return [[*map(in_quotes, row.split(" | "))] for row in rows]


def in_quotes(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_each_token_is_told_and_no_other_is():
    defined = re.findall(r"^ +(--[\w-]+):", (STATIC / "tokens.css").read_text(), re.M)
    assert {name for [names, *_] in rows_of("Tokens") for name in names} == {*defined}


def test_each_style_sheet_is_told_and_no_other_is():
    told = {name for [names, *_] in rows_of("Style sheets") for name in names}
    assert told == {sheet.name for sheet in STATIC.glob("*.css")}


def test_each_component_has_a_style():
    sheets = "".join(sheet.read_text() for sheet in STATIC.glob("*.css"))
    for [names, *_] in rows_of("Components"):
        for name in names:
            assert re.search(rf"{re.escape(name)}\b", sheets), name


def test_each_template_is_told_with_blocks_that_it_has():
    told = rows_of("Change the markup")
    for names, _, blocks in told:
        for name in names:
            [file] = [root / name for root in TEMPLATES if (root / name).exists()]
            for block in blocks:
                assert f"{{% block {block} %}}" in file.read_text(), (name, block)
    ours = (TEMPLATES[0] / "chat").iterdir()
    missing = {f"chat/{file.name}{'/' * file.is_dir()}" for file in ours}
    assert not missing - {name for [names, *_] in told for name in names}


def test_each_module_that_is_named_is_there():
    named = re.findall(r"`([\w-]+\.js)`", FRONTEND.read_text())
    assert len(named) > 10
    assert not [name for name in named if not (STATIC / name).exists()]


def test_what_the_client_joins_knows_no_page():
    known = {"client.js"}
    while more := {found for name in known for found in imports_of(name)} - known:
        known |= more
    assert len(known) > 5
    for name in known:
        assert not re.search(OF_A_PAGE, (STATIC / name).read_text()), name


def test_nobody_imports_what_a_page_begins_with():
    for module in STATIC.glob("*.js"):
        assert not imports_of(module.name) & {"app.js", "console.js"}


def imports_of(name: str) -> set[str]:
    return {*re.findall(r'from "\./([\w-]+\.js)"', (STATIC / name).read_text())}


# The admin panel


def test_who_may_do_what_is_what_the_groups_are_made_with():
    rows = re.findall(
        r"^\| `(\w+)` \|.*?\| (.*?) \| (.*?) \| (.*?) \|$",
        section(ADMIN, r"Who may do what"),
        re.M,
    )
    told = {codename: [bool(mark.strip()) for mark in marks] for codename, *marks in rows}
    groups = duties.GROUPS.values()
    assert told == {name: [name in group for group in groups] for name in told}
    assert {name for group in groups for name in group} <= told.keys()


# The reading tour


def test_the_tour_meets_each_module_before_whoever_imports_it():
    tour = re.findall(
        r"\(\.\./chat/(\w+)(?:/\w+)?\.py\)",
        section(ARCHITECTURE, "A reading tour").partition("Beside")[0],
    )
    assert len(tour) > 10
    for place, module in enumerate(tour):
        file = ROOT / "chat" / f"{module}.py"
        later = imports(file) & {*tour[place + 1 :]} if file.exists() else set()
        assert not later, f"{module} imports {later}"


def imports(module: Path) -> set[str]:
    """The modules beside it that a module imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names |= {node.module} if node.module else {alias.name for alias in node.names}
    return names
