"""The ops process from start to end: with its arbiter, over reloads, upgrades and kills."""

from __future__ import annotations

import os
import re
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from concurrency.testing.proxy import TCPProxy
from tests.concurrency.server.served import alive, ask
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_scrapes_are_answered_while_workers_come_and_go(start):
    """However often workers are killed, every scrape gets a page."""
    server = start("--workers", "2").is_ready()
    with ThreadPoolExecutor(4) as threads:
        scrapes = []
        for _ in range(4):
            os.kill(int(server.get("/")[1]), signal.SIGKILL)
            born = server.text.count("Booting worker")
            while server.text.count("Booting worker") == born:
                scrapes += threads.map(lambda _: ask(server.ops_port, "/metrics")[0], range(8))
            server.is_ready()
    assert set(scrapes) == {200}


def test_a_page_that_fails_is_answered_with_500(start):
    """With a file that is no metrics' /metrics is 500, the log says why, probes go on."""
    server = start().is_ready()
    (folder,) = server.folder.glob("concurrency-*/*/metrics")
    (folder / "counter_200.db").write_bytes(b"x" * 64)
    assert ask(server.ops_port, "/metrics") == (500, b'{"status": "error"}\n')
    server.says("/metrics could not be answered")
    assert server.status("/alive") == 200


def test_it_ends_with_a_killed_arbiter(start):
    """SIGKILL for the arbiter ends the ops process, and a new start finds both ports free."""
    server = start().is_ready()
    ops, worker = server.ops_process(), int(server.get("/")[1])
    server.process.kill()
    server.process.wait()
    server.start()
    server.is_ready()
    until(lambda: not alive(ops) and not alive(worker), "those of before are gone")
    assert server.get("/")[0] == 200
    folders = list(server.folder.glob("concurrency-*/*-*"))
    assert len(folders) == 1, "what the killed one left is removed"
    assert server.ends() == 0
    assert not list(server.folder.glob("concurrency-*/*-*")), "nothing is left of the service"


def test_a_killed_arbiter_leaves_nothing_behind(start):
    """Its workers and its ops process end, and the last of them removes the service's folder."""
    server = start("--workers", "2").is_ready()
    server.process.kill()
    until(lambda: not list(server.folder.glob("concurrency-*/*-*")), "its folder is removed")


def test_a_start_removes_what_killed_services_left(start):
    """Those of which no process could do it, also one that was killed before it was complete."""
    server = start().is_ready()
    (left,) = server.folder.glob("concurrency-*/*-*")
    os.killpg(server.process.pid, signal.SIGKILL)
    server.process.wait()
    incomplete, new = left.with_name(".new-incomplete"), left.with_name(".new-new")
    incomplete.mkdir()
    os.utime(incomplete, (0, 0))
    new.mkdir()
    server.start()
    server.is_ready()
    assert not left.exists()
    assert not incomplete.exists()
    assert new.exists(), "it may be about to get its lock"


def test_a_draining_service_is_alive_and_not_ready(start):
    """After SIGTERM the ops port says that it drains, until the last request has ended."""
    server = start().is_ready()
    ops = server.ops_process()
    with ThreadPoolExecutor(1) as threads:
        answer = threads.submit(server.get, "/sleep/1.5/")
        until(lambda: server.probe("/ready")[1]["numbers"]["in_flight"] == 1, "in flight")
        server.process.terminate()
        until(lambda: server.status("/ready") == 503, "not ready")
        assert server.probe("/ready")[1]["parts"]["service"] == "draining"
        assert server.status("/alive") == 200
        assert answer.result() == (200, b"slept")
    assert server.process.wait(timeout=60) == 0
    assert not alive(ops)


def test_a_database_that_is_gone_and_back(start, postgres_url):
    """Readiness follows the database, says no more than that it is gone, and liveness stays."""
    url = urlsplit(postgres_url)
    with TCPProxy(url.hostname, url.port) as proxy:
        moved = postgres_url.replace(f":{url.port}/", f":{proxy.port}/")
        server = start(DATABASE_URL=moved).is_ready()
        proxy.refuse()
        proxy.cut()
        until(lambda: server.status("/ready") == 503, "not ready")
        _, ready = server.probe("/ready")
        assert ready["parts"]["databases"] == {"default": "unreachable: OperationalError"}
        assert server.status("/alive") == 200
        proxy.admit()
        until(lambda: server.status("/ready") == 200, "ready again")
        proxy.deafen()
        until(lambda: server.status("/ready") == 503, "not ready")
        assert server.probe("/ready")[1]["failed"] == ["examination"]
        assert server.status("/alive") == 200
        proxy.hear()
        until(lambda: server.status("/ready") == 200, "ready again")
        server.ends(signal.SIGINT)


def test_a_reload_takes_the_probes_along(start):
    """After SIGHUP probes judge by the new code, without a moment in which nobody answers."""
    server = start().is_ready()
    before = server.ops_process()
    apps = server.folder / "app_of_test" / "apps.py"
    apps.write_text(apps.read_text().replace("unpaid.exists()", "True").replace("E001", "E002"))
    server.process.send_signal(signal.SIGHUP)

    def finding():
        status, ready = server.probe("/ready")  # raises when nobody answers
        return status == 503 and ready["parts"].get("checks") == {"shop.E002": "failed"}

    until(finding, "the new check fails")
    until(lambda: not alive(before), "the old process is gone")
    assert server.ends() == 0


def test_code_that_cannot_be_loaded_leaves_the_probes_of_before(start):
    """After SIGHUP they judge as before; a process that knows no other code says what is wrong."""
    server = start().is_ready()
    before = server.ops_process()
    apps = server.folder / "app_of_test" / "apps.py"
    broken = "import os\nif os.environ.get('CONCURRENCY_PATCH') == '0':\n    1 / 0\n"
    apps.write_text(broken + apps.read_text())
    server.process.send_signal(signal.SIGHUP)
    server.says("cannot be loaded")
    server.is_ready()
    assert all(server.status("/ready") == 200 for _ in range(20))
    os.kill(before, signal.SIGKILL)
    until(lambda: server.status("/ready") == 503, "not ready")
    assert server.probe("/ready")[1]["failed"] in (["application"], ["examination"])
    until(lambda: server.probe("/ready")[1]["failed"] == ["application"], "it is said")
    assert server.status("/alive") == 200
    assert server.text.count("Traceback") == 2


def test_an_upgrade_keeps_both_ports(start):
    """SIGUSR2 starts a new arbiter beside the old one, and both ports answer all the time."""
    server = start().is_ready()
    old = server.process.pid
    server.process.send_signal(signal.SIGUSR2)

    def arbiters():
        assert server.status("/alive") == 200
        found = re.findall(r"\[(\d+)\] \[INFO\] Starting gunicorn", server.text)
        return [int(pid) for pid in found if alive(int(pid))]

    until(lambda: len(arbiters()) == 2, "there are two")
    (new,) = set(arbiters()) - {old}
    try:
        until(lambda: server.text.count("Booting worker") == 2, "both have a worker")
        assert server.ends() == 0
        until(lambda: arbiters() == [new], "the old one is gone")
        until(lambda: server.status("/ready") == 200, "the new one is ready")
        assert server.get("/")[0] == 200
    finally:
        os.kill(new, signal.SIGTERM)
        until(lambda: not alive(new), "the new one ends")


def test_a_taken_ops_port_is_said(start):
    """A service whose ops port is in use does not start, and says what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start(CONCURRENCY_OPS_PORT=str(port))
        assert server.process.wait(timeout=60) == 1
    assert f"the ops port {port} on 127.0.0.1 is taken by another program" in server.text
    assert "--no-ops" in server.text
