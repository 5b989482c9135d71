"""How the server ends: whom it still answers, what it tells whom, and that it does."""

import asyncio
import os
import signal
import socket
import sys
from http.client import HTTPConnection

import pytest

from project.server import RESTARTING
from tests.asgi_servers import (
    PATIENCE,
    RudeClient,
    Running,
    closed,
    hear,
    hear_until_closed,
    served,
    starting,
)

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_process_once_the_applications_have_cleaned_up(number, tmp_path):
    with served(tmp_path / "log") as running:
        async with running.connect("/clean_up?0") as one, running.connect("/clean_up?5") as two:
            await hear(one)
            await hear(two)
            running.process.send_signal(number)
            assert await asyncio.to_thread(running.process.wait, PATIENCE) == 0
        assert running.log.read_text().count("cleaned up") == 2


async def test_what_fails_at_the_very_end_is_logged(tmp_path):
    with served(tmp_path / "log") as running:
        async with running.connect("/fail_to_clean_up") as ws:
            await hear(ws)
            running.process.terminate()
            assert await asyncio.to_thread(running.process.wait, PATIENCE) == 0
        assert running.log.read_text().count("RuntimeError: at the very end") == 1


async def test_nobody_is_accepted_any_more_once_a_signal_has_come(tmp_path):
    with served(tmp_path / "log", LIFESPAN="endless_shutdown") as running:
        running.process.terminate()
        await until_logged(running, "hanging")
        with pytest.raises(ConnectionRefusedError):
            await running.connect("/echo")


async def test_who_waits_to_be_accepted_is_not_cut_off(tmp_path):
    with served(tmp_path / "log") as running:
        running.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, running.process.pid, os.WSTOPPED)
        with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as client:
            client.sendall(REQUEST)  # it is in the queue of the kernel
            running.process.terminate()
            running.process.send_signal(signal.SIGCONT)
            assert b" 200 " in await asyncio.to_thread(client.recv, 1_000)
        assert await ended(running) == 0


async def test_who_has_connected_and_not_yet_asked_is_answered(tmp_path):
    patient = "from project import server; server.SAYS_WITHIN = 5; server.CommandLine.entrypoint()"
    with served(tmp_path / "log", command=(sys.executable, "-c", patient)) as running:
        with socket.create_connection(("127.0.0.1", running.port), timeout=PATIENCE) as client:
            await asyncio.sleep(0.2)  # it has been accepted
            running.process.terminate()
            await asyncio.sleep(0.2)  # the end has begun
            client.sendall(REQUEST)
            assert b" 200 " in await asyncio.to_thread(client.recv, 1_000)
        assert await ended(running) == 0


async def test_a_request_is_answered_before_the_end(tmp_path):
    with served(tmp_path / "log") as running:
        asking = asyncio.create_task(asyncio.to_thread(running.http, {}, "/slow_answer"))
        await until_logged(running, "asked")
        running.process.terminate()
        assert (await asking)["scheme"] == "http"
        assert await ended(running) == 0


async def test_a_websocket_is_told_that_the_server_restarts(tmp_path):
    with served(tmp_path / "log") as running:
        async with running.connect("/echo") as ws:
            running.process.terminate()
            assert await closed(ws) == (RESTARTING, "server restarting")
        assert await ended(running) == 0


async def test_who_does_not_read_its_goodbye_does_not_hold_up_the_end(tmp_path):
    with served(tmp_path / "log") as running, RudeClient(running, "/flood?end"):
        await running.suspended("end")
        running.process.terminate()
        assert await ended(running) == 0
        assert "Not everything" not in running.log.read_text()


async def test_a_slow_reader_hears_the_goodbye_of_its_application(tmp_path):
    with served(tmp_path / "log", LIFESPAN="announced_shutdown") as running:
        async with running.connect("/say_goodbye?slow") as ws:
            ws.transport.pause_reading()
            await running.noticed("slow", "full")
            running.process.terminate()
            await asyncio.sleep(1)
            ws.transport.resume_reading()
            assert (await hear_until_closed(ws))[-1] == "bye"
            assert (await closed(ws))[0] == 4999
        assert await ended(running) == 0


async def test_connections_are_not_kept_for_another_request_after_the_end(tmp_path):
    """Or a proxy would ask where nobody is any more."""
    with served(tmp_path / "log") as running:
        async with running.connect("/clean_up?10") as ws:
            await hear(ws)
            connection = HTTPConnection("127.0.0.1", running.port, timeout=PATIENCE)
            connection.request("GET", "/")
            assert connection.getresponse().read()
            running.process.terminate()
            await closed(ws)
            connection.request("GET", "/")
            answer = connection.getresponse()
            assert (answer.status, answer.getheader("Connection")) == (200, "close")
            connection.close()
        assert await ended(running) == 0


async def test_an_application_is_told_of_the_beginning_and_the_end(tmp_path):
    with served(tmp_path / "log", LIFESPAN="told") as running:
        assert await asyncio.to_thread(running.http, {})
        assert "startup is over" in running.log.read_text()
        running.process.terminate()
        assert await ended(running) == 0
        assert "shutdown is over" in running.log.read_text()


def test_an_application_that_cannot_start_is_not_served(tmp_path):
    with (
        pytest.raises(AssertionError, match="Nothing is there"),
        served(tmp_path / "log", LIFESPAN="startup_failed"),
    ):
        pass


async def test_a_signal_while_the_application_starts_is_no_accident(tmp_path):
    with starting(tmp_path / "log", LIFESPAN="slow_startup") as running:
        await until_logged(running, "starting")
        running.process.terminate()
        assert await ended(running) == 0
        assert "Traceback" not in running.log.read_text()


async def test_an_application_that_fails_at_the_end_says_so(tmp_path):
    with served(tmp_path / "log", LIFESPAN="failing_shutdown") as running:
        running.process.terminate()
        assert await ended(running) == 0
        assert "RuntimeError: at the shutdown" in running.log.read_text()


async def test_whatever_hangs_the_end_comes(tmp_path):
    options = ("--port", "0", "--drain-timeout", "1")
    with served(tmp_path / "log", *options, LIFESPAN="endless_shutdown") as running:
        running.process.terminate()
        assert await ended(running) == 0
        assert "Not everything has ended in 1 seconds" in running.log.read_text()


async def test_a_second_signal_ends_the_process_at_once(tmp_path):
    with served(tmp_path / "log", LIFESPAN="endless_shutdown") as running:
        running.process.terminate()
        await until_logged(running, "hanging")
        running.process.terminate()
        assert await ended(running) == 1


async def test_whoever_started_it_is_told_when_it_accepts_and_when_it_ends(tmp_path):
    """systemd, or what starts several workers."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        with served(tmp_path / "log", NOTIFY_SOCKET=str(tmp_path / "notify")) as running:
            assert await asyncio.to_thread(manager.recv, 100) == b"READY=1"
            assert await asyncio.to_thread(running.http, {})
            running.process.terminate()
            assert await asyncio.to_thread(manager.recv, 100) == b"STOPPING=1"


async def ended(running: Running) -> int:
    """The exit code, well before anybody loses patience."""
    return await asyncio.to_thread(running.process.wait, 10)


async def until_logged(running: Running, text: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while text not in running.log.read_text():
            await asyncio.sleep(0.02)
