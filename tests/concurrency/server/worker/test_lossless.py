"""Nothing is lost while workers are replaced, reloaded and counted up and down."""

from __future__ import annotations

import os
import signal

import gevent
import pytest
from gevent.pool import Pool

from tests.concurrency.server.gunicorns import Client

pytestmark = pytest.mark.slow


def test_a_killed_worker_loses_what_it_worked_on_and_is_replaced(start):
    """Clients of SIGKILL see the end of their connections, the next is served by another."""
    server = start()
    pid = int(server.get()[2])
    client = server.connect()
    client.send("/block/20/")
    server.wait_for("hub is blocked")
    os.kill(pid, signal.SIGKILL)
    with pytest.raises((EOFError, ConnectionError)):
        client.receive()
    assert int(server.get()[2]) != pid


class Visitors:
    """Clients that ask again and again, as browsers do: one retry on a reused connection."""

    def __init__(self, server, count: int) -> None:
        self.answers: list[int] = []
        self.pids: set[bytes] = set()
        self.errors: list[Exception] = []
        self._port = server.port
        self._stop = False
        self._greenlets = Pool(count)
        for _ in range(count):
            self._greenlets.spawn(self._visit)

    def _visit(self) -> None:
        client, asked = Client(self._port), 0
        while not self._stop:
            try:
                status, head, body = client.get("/")
            except (EOFError, ConnectionError) as error:
                if not asked:
                    self.errors.append(error)
                head = "Connection: close"
            else:
                self.answers.append(status)
                self.pids.add(body)
                asked += 1
            if "Connection: close" in head or asked == 5:
                client.close()
                client, asked = Client(self._port), 0
            gevent.sleep(0.005)
        client.close()

    def stop(self) -> None:
        self._stop = True
        self._greenlets.join(timeout=10)

    def wait_for_workers(self, count: int) -> None:
        """Return when this many have answered, one after another or at once."""
        with gevent.Timeout(10, TimeoutError(f"{len(self.pids)} workers have answered")):
            while len(self.pids) < count:
                gevent.sleep(0.02)


@pytest.fixture
def visitors():
    started = []

    def begin(server, count: int = 10) -> Visitors:
        started.append(Visitors(server, count))
        return started[-1]

    yield begin
    for those in started:
        those.stop()


def nothing_is_lost(server, those: Visitors) -> None:
    those.stop()
    assert those.errors == []
    assert set(those.answers) == {200}
    assert len(those.answers) > 50
    assert server.terminate() == 0


def test_reload_and_logs_and_numbers_of_workers_under_load_lose_no_request(start, visitors):
    """SIGHUP, SIGUSR1, SIGTTIN and SIGTTOU, one after another, while ten clients ask."""
    server = start()
    those = visitors(server)
    those.wait_for_workers(1)
    server.signal(signal.SIGUSR1)
    server.signal(signal.SIGHUP)
    those.wait_for_workers(2)
    server.signal(signal.SIGTTIN)
    those.wait_for_workers(3)
    server.signal(signal.SIGTTOU)
    server.wait_for("Worker exiting", 2)
    nothing_is_lost(server, those)


def test_max_requests_under_load_with_preload_loses_no_request(start, visitors):
    """A worker that has served its share is replaced while clients go on asking."""
    server = start("--max-requests", "100", "--preload", workers=2)
    those = visitors(server)
    server.wait_for("Autorestarting worker", 3)
    nothing_is_lost(server, those)
