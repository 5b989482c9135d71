"""What many processes have counted: one sum, whoever is asked, whoever has died."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from prometheus_client.multiprocess import MultiProcessCollector

from chat.tallies import Tallies
from project import tallies as of_a_supervisor
from tests.figures import Figures, read
from tests.servers import PATIENCE, ROOT

# One post stored, in a batch of one, over one connection; then it waits until it is ended.
COUNTS = """
import sys
from chat import metrics
metrics.posts_stored.inc()
metrics.batch_posts.observe(1)
metrics.connections.labels("chat").inc()
print("counted", flush=True)
sys.stdin.read()
"""
POSTS = "chat_posts_stored_total"
CONNECTIONS = 'chat_connections{dialect="chat"}'
BATCHES = 'chat_batch_posts_bucket{le="1.0"}'


@contextmanager
def process(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """One that has counted, and lives."""
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(directory)}
    with subprocess.Popen(
        [sys.executable, "-c", COUNTS],
        cwd=ROOT,
        env=env,
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "counted\n"
            yield process
        finally:
            process.kill()
            process.wait(PATIENCE)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "made" / "by the first"


def asked(directory: Path) -> Figures:
    return read(Tallies(directory).collect())


def test_what_all_have_counted_is_one_sum(directory):
    with process(directory), process(directory):
        found = asked(directory)
        assert (found[POSTS], found[BATCHES], found[CONNECTIONS]) == (2, 2, 2)


def test_of_a_process_that_was_killed_what_it_has_counted_stays_and_what_it_was_goes(directory):
    with process(directory):
        with process(directory):
            pass
        found = asked(directory)
        assert (found[POSTS], found[BATCHES], found[CONNECTIONS]) == (2, 2, 1)
        assert asked(directory) == found


def test_the_dead_leave_two_files_however_many_they_are(directory):
    for _ in range(3):
        with process(directory):
            pass
    found = asked(directory)
    assert (found[POSTS], found[BATCHES]) == (3, 3)
    assert CONNECTIONS not in found
    assert {file.name for file in directory.iterdir()} == {
        "lock",
        "counter_dead.db",
        "histogram_dead.db",
    }


def test_whoever_is_born_buries_the_dead_though_nobody_asks(directory):
    for _ in range(3):
        with process(directory):
            pass
    assert len([*directory.glob("*.life")]) == 1


def test_a_number_that_another_process_has_by_now_keeps_nobody_alive(directory):
    with process(directory):
        pass
    [life] = directory.glob("*.life")
    of_another = life.with_name(f"{os.getpid()}-{life.stem.partition('-')[2]}")
    for file in directory.glob(f"*{life.stem}*"):
        file.rename(file.with_name(file.name.replace(life.stem, of_another.stem)))
    assert CONNECTIONS not in asked(directory)


def test_a_child_of_a_process_has_a_name_of_its_own(directory, monkeypatch):
    ours = Tallies(directory)
    name = ours.name()
    assert ours.name() == name
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert ours.name() != name


def test_a_file_that_was_opened_just_now_harms_nobody(directory):
    with process(directory):
        (directory / "counter_new.db").touch()
        assert asked(directory)[POSTS] == 1
        with pytest.raises(Exception, match="unpack"):  # which it would otherwise
            MultiProcessCollector.merge([str(directory / "counter_new.db")])


def test_only_we_may_look(directory):
    Tallies(directory).name()
    assert directory.stat().st_mode & 0o077 == 0


def test_a_directory_that_cannot_be_used_is_told_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    refused = subprocess.run(
        [sys.executable, "-c", COUNTS],
        cwd=ROOT,
        env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path / "file")},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith("PROMETHEUS_MULTIPROC_DIR=")
    assert len(refused.stderr.splitlines()) == 1


# A supervisor's


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(of_a_supervisor, "IN_MEMORY", tmp_path)
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    return tmp_path


def test_a_supervisor_makes_a_directory_and_removes_it(home):
    with of_a_supervisor.shared() as told:
        directory = Path(told["PROMETHEUS_MULTIPROC_DIR"])
        assert directory.parent == home
        assert directory.stat().st_mode & 0o077 == 0
        (directory / "counter_1.db").touch()
    assert [*home.iterdir()] == []


def test_two_supervisors_leave_each_other_alone_and_remove_what_a_killed_one_left(home):
    (home / "roost-tallies-old").mkdir()
    (home / "roost-tallies-old" / "supervisor").touch()
    with of_a_supervisor.shared(), of_a_supervisor.shared():
        assert len([*home.iterdir()]) == 2


def test_a_directory_that_was_named_is_left_alone(home, monkeypatch):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(home))
    with of_a_supervisor.shared() as told:
        assert told == {}
    assert [*home.parent.glob(home.name)] == [home]
