"""The layout: imports point downwards, and each thing is known in one place only."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from django.conf import settings

# From the top down: a module knows of those behind it, never of those before it.
DOWNWARDS = (
    "project.asgi",
    "chat.routing",
    "chat.consumers",
    "chat.frame_socket",
    "chat.worker",
    "chat.switchboard",
    "chat.announcements",
    "chat.frames",
    "chat.errors",
)
WRITING = (
    "project.asgi",
    "chat.routing",
    "chat.consumers",
    "chat.worker",
    "chat.cursors",
    "chat.journal",
    "chat.messaging",
    "chat.access",
    "chat.models",
    "chat.conf",
)


@cache
def sources() -> dict[str, Path]:
    """Our modules by name, without migrations."""
    root = Path(settings.BASE_DIR)
    paths = [path for package in ("chat", "project") for path in (root / package).rglob("*.py")]
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}
    return {
        name.removesuffix(".__init__"): path
        for path, name in names.items()
        if ".migrations." not in name
    }


@cache
def imports(module: str) -> frozenset[str]:
    """What a module imports, each name as far as it can be told: `a.b` for `from a import b`."""
    return frozenset(_imports(module))


def _imports(module: str) -> Iterator[str]:
    path = sources()[module]
    inside = [*module.split("."), *(["__init__"] if path.stem == "__init__" else [])]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = inside[: -node.level] if node.level else []
            base = ".".join([*package, *([node.module] if node.module else [])])
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@cache
def our_imports(module: str) -> set[str]:
    return {name for name in imports(module) if name in sources()} - {"chat", "project", module}


def all_below(module: str) -> set[str]:
    """What a module imports, and what that imports, and so on."""
    found: set[str] = set()
    new = {module}
    while new:
        found |= new
        new = {name for known in new for name in our_imports(known)} - found
    return found - {module}


def outside(module: str) -> set[str]:
    """The packages outside of ours that a module imports, and whatever it imports of ours."""
    tops = {name.split(".")[0] for one in {module, *all_below(module)} for name in imports(one)}
    return tops - {"chat", "project", ""}


def who_imports(*names: str) -> set[str]:
    return {
        module
        for module in sources()
        if any(i == name or i.startswith(f"{name}.") for i in imports(module) for name in names)
    }


def who_says(text: str) -> set[str]:
    return {module for module, path in sources().items() if text in path.read_text()}


def test_no_import_goes_round_in_a_circle():
    TopologicalSorter({module: our_imports(module) for module in sources()}).prepare()


@pytest.mark.parametrize("order", [DOWNWARDS, WRITING], ids=["reading", "writing"])
def test_imports_point_downwards(order):
    for place, module in enumerate(order):
        assert not all_below(module) & set(order[:place])
        assert set(order[place + 1 :]) <= all_below(module), f"{module} should build on those below"


def test_the_wire_knows_nothing_of_ours_but_errors():
    assert all_below("chat.frames") == {"chat.errors"}


def test_the_wire_knows_no_django_and_does_no_io():
    for module in ("chat.frames", "chat.errors", "chat.origins"):
        known = outside(module)
        assert known <= {"msgspec", *sys.stdlib_module_names}
        assert not known & {"asyncio", "socket", "threading", "os", "io", "pathlib"}


DOMAIN = ["messaging", "archive", "rooms", "access", "users", "models"]


@pytest.mark.parametrize("module", [f"chat.{name}" for name in DOMAIN])
def test_the_domain_knows_neither_websockets_nor_channels(module):
    assert not outside(module) & {
        "asyncio",
        "channels",
        "daphne",
        "twisted",
        "msgspec",
        "threading",
    }
    domain = {
        "chat.access",
        "chat.archive",
        "chat.conf",
        "chat.errors",
        "chat.models",
        "chat.preferences",
        "chat.rooms",
        "chat.rows",
        "chat.users",
    }
    stored = {name for name in sources() if name.startswith("chat.models.")}
    assert all_below(module) <= domain | stored


@pytest.mark.parametrize("module", ["chat.api", "chat.views"])
def test_what_answers_over_http_reaches_no_worker(module):
    assert not all_below(module) & {"chat.worker", "chat.switchboard", "chat.sockets"}


def test_one_module_uses_the_channel_layer_and_one_asks_whether_it_works():
    assert who_imports("channels.layers") == {"chat.layer", "chat.health"}


def test_one_module_is_a_consumer_and_only_the_routes_know_it():
    assert who_imports("channels.consumer", "channels.generic") == {"chat.consumers"}
    assert who_imports("chat.consumers") == {"chat.routing"}


def test_one_module_parses_what_clients_say():
    assert who_says("frames.parse(") == {"chat.frame_socket"}


def test_one_module_numbers_messages():
    assert who_says("Message.objects.bulk_create") == set()
    assert who_says("rows.insert(Message") == {"chat.messaging"}


def test_the_chat_can_be_embedded_because_it_does_not_know_its_project():
    assert {module for module in who_imports("project") if module.startswith("chat")} == set()
