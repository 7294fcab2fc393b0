"""Many users at once, many persons at once, and services that fail while they are there."""

from __future__ import annotations

import itertools
import os
import re
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path

import gevent
import psycopg
import pytest

from bench.database import ConnectionCounter
from bench.server import WebServer
from concurrency import map_each
from tests.example_site.conftest import GREETINGS_POOL, PATIENT, POOL_SIZE, USERS_POOL
from tests.fleet import Fleet, manage
from tests.helpers import until

# Several times LIMIT, one after the other.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

PAGE = "/?person=sherlock&lang=es&tod=18:03:09"
LIMIT = 40.0  # seconds until what a test waits for has to be so, on a machine that is busy


def outcome(server: WebServer, path: str) -> tuple[int, str]:
    """Return the status of a page, and its greeting or what it says is wrong."""
    answer = server.get(path, limit=LIMIT)
    found = re.search(r'(?s)<(?:div|p) class="(?:greeting|problem)"[^>]*>(.*?)</', answer.text)
    return answer.status, unescape(found[1]).strip() if found else ""


@contextmanager
def counting(url: str, name: str) -> Iterator[ConnectionCounter]:
    """Count the connections of a name while the block runs."""
    with ConnectionCounter(url, name) as counter:

        def count() -> None:
            while True:
                counter.count()
                gevent.sleep(0.02)

        counting = gevent.spawn(count)
        try:
            yield counter
        finally:
            counting.kill()


def test_two_hundred_users_at_once(fleet: Fleet, services_url: str) -> None:
    """200 users at the same time are all greeted, by one worker a service with pools of five."""
    with (
        counting(services_url, USERS_POOL) as users,
        counting(services_url, GREETINGS_POOL) as greetings,
    ):
        seen = map_each(lambda _: outcome(fleet["frontend"], PAGE), range(200), limit=200)
    log = fleet["frontend"].log(20_000)
    assert Counter(seen) == {(200, "Buenas tardes, Sherlock Holmes."): 200}, log
    assert 0 < users.most <= POOL_SIZE
    assert 0 < greetings.most <= POOL_SIZE


@pytest.fixture
def crowd(services_url: str) -> Iterator[int]:
    """Give the number of persons after 200 more were seeded, which go again."""
    manage("seed_people", "200", environment={"DATABASE_URL": services_url})
    with psycopg.connect(services_url, autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM person_person").fetchone()
        assert row is not None
        try:
            yield row[0]
        finally:
            connection.execute("DELETE FROM person_person WHERE slug LIKE 'person-%'")


def test_two_hundred_persons_at_once(fleet: Fleet, services_url: str, crowd: int) -> None:
    """200 persons more are all greeted, in order, in time; to seed them again changes nothing."""
    answer = fleet["frontend"].get("/everyone/?lang=de&tod=06:00:00", limit=LIMIT)
    assert answer.status == 200
    names = re.findall(r"<li>Guten Morgen, (.*?)\.</li>", answer.text)
    assert len(names) == crowd == 206
    assert names[4:204] == [f"Person Number {number}" for number in range(1, 201)]
    assert "weitere, die in den Summen enthalten sind" in answer.text
    again = manage("seed_people", "200", environment={"DATABASE_URL": services_url})
    assert again.stdout == "0 persons made; there are 206.\n"


class Users:
    """Fifty users who look at pages until they are sent away.

    Attributes:
        last: for each user and page, the last status and what it said.
    """

    paths = (PAGE, "/", PAGE, "/nowhere/")

    def __init__(self, server: WebServer, count: int = 50) -> None:
        self.last: dict[tuple[int, str], tuple[int, str]] = {}
        self.wrong: list[tuple[str, tuple[int, str]]] = []
        self._server = server
        self._greenlets = [gevent.spawn(self._look, number) for number in range(count)]
        self._count = count

    def _look(self, number: int) -> None:
        for path in itertools.cycle(self.paths):
            seen = outcome(self._server, path)
            self.last[number, path] = seen
            if path in {"/", "/nowhere/"} and seen[0] != {"/": 200, "/nowhere/": 404}[path]:
                self.wrong.append((path, seen))
            gevent.sleep(1.0)  # they read

    def all_see(self, path: str, status: int, words: str = "") -> bool:
        """Return whether that is what every user has seen last; forget it if so."""
        seen = [self.last.get((number, path), (0, "")) for number in range(self._count)]
        if not all(code == status and words in text for code, text in seen):
            return False
        self.last.clear()
        return True

    def wait(self, path: str, status: int, words: str = "") -> None:
        """Return when every user has seen that."""
        what = f"all see {status} {words!r} at {path}, and not {Counter(self.last.values())}"
        until(lambda: self.all_see(path, status, words), what, LIMIT)

    def leave(self) -> None:
        """Send them away."""
        gevent.killall(self._greenlets)


def processes(server: WebServer) -> list[int]:
    """Return the processes of a server: its arbiter and its worker."""
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *map(int, children)]


def test_services_fail_and_come_back(services_url: str) -> None:
    """While 50 users are there, a service is stopped and another hangs: the pages that need it say
    so, all others are as ever, and all is well by itself when the service is back."""
    with Fleet({"DATABASE_URL": services_url, **PATIENT, "PAGE_DEADLINE": "3"}) as fleet:
        fleet.start("user", "welcome")
        fleet.start("frontend")
        users = Users(fleet["frontend"])
        try:
            greeted = (PAGE, 200, "Buenas tardes, Sherlock Holmes.")
            users.wait(*greeted)
            fleet["user"].stop()
            users.wait(PAGE, 502, "El servicio «user» no responde como debería.")
            assert fleet["welcome"].get("/greet/hello/").text == "Hello"
            fleet["user"].start()
            users.wait(*greeted)
            for pid in processes(fleet["welcome"]):
                os.kill(pid, signal.SIGSTOP)
            users.wait(PAGE, 504)
            assert fleet["user"].get("/person/adler/").text == "Irene Adler"
            for pid in processes(fleet["welcome"]):
                os.kill(pid, signal.SIGCONT)
            users.wait(*greeted)
        finally:
            users.leave()
    assert users.wrong == []
