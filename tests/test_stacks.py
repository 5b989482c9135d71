"""The servers that tests start, wherever the checkout lies, and whatever the system tells."""

import os
from pathlib import Path

import pytest

from tests import stacks
from tests.stacks import PostgreSQL, Valkey


@pytest.fixture
def valkey(tmp_path: Path) -> Valkey:
    try:
        return Valkey(tmp_path / "valkey")
    except stacks.Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to yield to somebody else")
def test_postgresql_runs_from_a_directory_that_is_closed_to_others(tmp_path, monkeypatch):
    try:
        programs = stacks._postgresql()
    except stacks.Missing as missing:
        pytest.skip(str(missing))
    package = programs.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    if not libraries.exists():
        pytest.skip("not from a wheel")
    closed = tmp_path / "closed"
    closed.mkdir()
    for part in (package, libraries):
        (closed / part.name).symlink_to(part)
    closed.chmod(0o700)
    there = closed / programs.relative_to(package.parent)
    monkeypatch.setattr(stacks, "_postgresql", lambda: there)
    with PostgreSQL(tmp_path / "postgresql", fast=True) as server:
        assert server.execute("SELECT 1") == [(1,)]


def test_what_is_written_survives_the_server_and_so_does_its_secret(tmp_path):
    try:
        with PostgreSQL(tmp_path / "postgresql") as server:
            server.execute("CREATE TABLE kept ()", database="roost")
        with PostgreSQL(tmp_path / "postgresql") as again:
            assert again.execute("SELECT * FROM kept", database="roost") == []
            assert again.secret == server.secret
    except stacks.Missing as missing:
        pytest.skip(str(missing))


def test_a_server_that_does_not_start_says_why(tmp_path):
    home = tmp_path / "postgresql"
    (home / "data").mkdir(parents=True)
    try:
        server = PostgreSQL(home)
    except stacks.Missing as missing:
        pytest.skip(str(missing))
    with pytest.raises(stacks.NotStarted, match="data"):
        server.start()
    server.process = None


@pytest.mark.parametrize("children", [stacks.CHILDREN, "/nowhere/{pid}"], ids=["told", "untold"])
def test_a_server_is_paused_and_killed_on_any_system(valkey, monkeypatch, children):
    monkeypatch.setattr(stacks, "CHILDREN", children)
    with valkey:
        valkey.pause()
        assert not valkey._answers()
        valkey.resume()
        assert valkey._answers()
        valkey.pause()
        process = valkey.process
        valkey.kill()
        assert process is not None
        assert process.returncode == -9
