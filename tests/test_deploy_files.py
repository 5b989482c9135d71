"""deploy/ as it is read: units, images, and numbers that have to fit each other."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from chat import conf
from project.server import DRAIN_TIMEOUT, HTTP_MAX_BODY
from tests.servers import PATIENCE, ROOT
from tests.test_docs import ENVIRONMENT, names

DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").iterdir())
NGINX_CONF = (DEPLOY / "nginx.conf").read_text()
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
COMPOSE = (DEPLOY / "compose.yaml").read_text()
GONE = DRAIN_TIMEOUT + 2  # seconds after which a worker that was told to end is


def numbers(file: Path, pattern: str) -> list[int]:
    found = [int(number) for number in re.findall(pattern, file.read_text(), re.M)]
    assert found, file
    return found


# systemd


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze here")
def test_systemd_understands_each_unit(tmp_path):
    for unit in UNITS:
        text = unit.read_text().replace("/opt/roost/.venv/bin/python", sys.executable)
        (tmp_path / unit.name.replace("@", "@cleanup")).write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", *tmp_path.iterdir()]
    verified = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    # What it has to say of other units of this machine is not about ours.
    assert [line for line in verified.stderr.splitlines() if "roost" in line] == []


def test_what_unit_files_share_is_the_same_in_each():
    hardened = {
        re.findall(r"^StateDirectory=.*^SystemCallFilter=\S+$", unit.read_text(), re.M | re.S)[0]
        for unit in UNITS
        if unit.suffix == ".service"
    }
    assert len(hardened) == 1


# Numbers


def test_whoever_stops_a_worker_waits_until_it_has_seen_everybody_off():
    for file, pattern in (
        (DEPLOY / "supervisord.conf", r"^stopwaitsecs=(\d+)"),
        (DEPLOY / "systemd" / "roost@.service", r"^TimeoutStopSec=(\d+)"),
        (DEPLOY / "systemd" / "roost.service", r"^TimeoutStopSec=(\d+)"),
        (DEPLOY / "compose.yaml", r"stop_grace_period: (\d+)s"),
    ):
        assert min(numbers(file, pattern)) > GONE, file


def test_nginx_takes_bodies_as_large_as_the_workers_do():
    [megabytes] = numbers(DEPLOY / "nginx.conf", r"client_max_body_size (\d+)m;")
    assert megabytes << 20 == HTTP_MAX_BODY


def test_nginx_is_more_patient_than_a_silent_worker_and_its_clients():
    [socket] = re.findall(r"location /ws/ .*?proxy_read_timeout (\d+)s;", NGINX_CONF, re.S)
    assert int(socket) > 3 * conf.heartbeat()


def test_prometheus_asks_where_nginx_answers_this_machine():
    [where] = re.findall(r"listen (127\.0\.0\.1:\d+);", NGINX_CONF)
    assert f"- {where}\n" in (DEPLOY / "prometheus" / "prometheus.yml").read_text()


# Images


def test_what_the_images_are_made_of_is_there_and_let_through():
    copied = re.findall(r"^COPY (?!--from)(\S+) ", DOCKERFILE, re.M)
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored, name


def test_no_password_has_a_default():
    assert not re.search(r"(SECRET|PASSWORD)\w*:?-", COMPOSE)
    for example in ("roost.env.example", "compose.env.example"):
        for name, value in re.findall(r"^(\w+)=(.*)$", (DEPLOY / example).read_text(), re.M):
            assert not value or not re.search("SECRET|PASSWORD|KEYS", name), name


def test_nginx_of_the_image_asks_docker_where_the_workers_are():
    [edits] = re.findall(r"^RUN sed -i (.*?default\.conf\.template)", DOCKERFILE, re.M | re.S)
    script = re.findall(r"-e '(.*)'", edits)
    words = [word for edit in script for word in ("-e", edit)]
    edited = subprocess.run(
        ["sed", *words], input=NGINX_CONF, capture_output=True, text=True, check=True
    ).stdout
    assert re.findall(r"^    server (.*);$", edited, re.M) == [
        "worker:8000 resolve max_fails=1 fail_timeout=2s"
    ]
    assert edited.count("server_name ${ROOST_HOST};") == 2
    for gone in ("/opt/", "/run/", "chat.example.org;", "[::]", "/var/log"):
        assert gone not in re.sub(r"#.*", "", edited), gone


# The environment


@pytest.mark.parametrize("example", [DEPLOY / "roost.env.example", COMPOSE], ids=["env", "compose"])
def test_each_name_in_an_example_is_a_setting(example):
    text = example.read_text() if isinstance(example, Path) else example
    told = re.findall(r"^#?([A-Z_]+)=", text, re.M)
    told += re.findall(
        r"^    ([A-Z_]+): ", text.partition("&environment")[2].partition("networks")[0], re.M
    )
    assert len(told) > 5
    assert {*told} <= names(*ENVIRONMENT)


def test_a_shell_reads_the_example_as_systemd_does():
    """Nothing in it means anything to a shell."""
    example = DEPLOY / "roost.env.example"
    text = re.sub("^#(?=[A-Z_]+=)", "", example.read_text(), flags=re.M)
    read = subprocess.run(
        ["sh", "-c", 'set -a; eval "$0"; env', text],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    last = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.M))
    assert {f"{name}={value}" for name, value in last.items()} <= {*read}
