"""Ten at once: at the same time, in order, and nothing hangs when one of them fails."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.helpers import until
from tests.mariadb import MariaDB
from tests.servers import Answer, Sessions, WebServer, impostor, named, serve, trap

PAGES = ("/ten-slow-requests/", "/ten-slow-queries/")
SQUARES = "".join(f"{x * x}\n" for x in range(1, 11))
NAME = "fanout"


class Asking:
    """A request that runs while the test looks at the database."""

    def __init__(self, server: WebServer, path: str) -> None:
        self._answer: Answer | None = None
        self._thread = threading.Thread(target=self._ask, args=(server, path), daemon=True)
        self._thread.start()

    def _ask(self, server: WebServer, path: str) -> None:
        self._answer = server.get(path, server.authorization)

    def answer(self, limit: float = 10.0) -> Answer:
        """Return the answer, which has to come within ``limit`` seconds."""
        self._thread.join(limit)
        assert self._answer is not None, f"no answer after {limit} s"
        return self._answer


@pytest.fixture
def server(postgres_url: str) -> Iterator[WebServer]:
    """Give an example of one's own, whose statements a test may break."""
    with serve({"DATABASE_URL": named(postgres_url, NAME)}) as server:
        yield server


@pytest.fixture
def sessions(postgres_url: str, server: WebServer) -> Iterator[Sessions]:
    """Give the sessions of that example; what still runs is ended before it is stopped."""
    with Sessions(postgres_url, NAME) as sessions:
        yield sessions


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_ten_statements_run_at_the_same_time(
    server: WebServer, sessions: Sessions, page: str
) -> None:
    """The database executes all ten on ten connections at once, for one worker process."""
    asking = Asking(server, f"{page}?seconds=1.5")
    until(lambda: len(sessions.active()) == 10, "ten statements are executed")
    assert asking.answer() == (200, asking.answer().headers, SQUARES)


@pytest.mark.slow
def test_a_statement_sleeps_as_long_as_it_was_asked_to(server: WebServer) -> None:
    """Not a twentieth less, which is the second of its two sleeps."""
    assert server.get("/slow-sql/?x=7&seconds=0", server.authorization).text == "49"
    start = time.monotonic()
    assert server.get("/slow-sql/?x=7&seconds=2", server.authorization).text == "49"
    assert time.monotonic() - start >= 2


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_a_failing_child_is_named_and_the_others_are_not_waited_for(
    server: WebServer, sessions: Sessions, page: str
) -> None:
    """When one of ten statements of 20 s is ended, the answer is a 502 and comes at once."""
    asking = Asking(server, f"{page}?seconds=20")
    until(lambda: len(sessions.active()) == 10, "ten statements are executed")
    sessions.terminate(1)
    answer = asking.answer()
    assert answer.status == 502
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.text.startswith("x=")
    assert "terminating connection due to administrator command" in answer.text
    # The server is as good as before.
    sessions.terminate(9)
    assert server.get(f"{page}?seconds=0", server.authorization).text == SQUARES


@pytest.mark.slow
def test_the_siblings_of_a_failed_request_are_stopped(postgres_url: str) -> None:
    """When the answer for x=3 is an error, the other nine requests are given up."""
    gone: set[int] = set()

    def answers(request: BaseHTTPRequestHandler) -> None:
        x = int(parse_qs(urlsplit(request.path).query)["x"][0])
        if x == 3:
            until(lambda: len(waiting) == 9, "nine requests wait")
            request.send_error(500, "on purpose")
            return
        waiting.add(x)
        if request.connection.recv(1) == b"":
            gone.add(x)
        request.close_connection = True

    waiting: set[int] = set()
    with impostor(answers) as address:
        environment = {"DATABASE_URL": postgres_url, "DEMO_BASE_URL": address}
        with serve(environment) as server:
            answer = server.get("/ten-slow-requests/?seconds=20", server.authorization, limit=10)
            assert answer.status == 502
            assert answer.text.startswith("x=3 failed: answered 500 on purpose")
            until(lambda: gone == set(range(1, 11)) - {3}, "nine requests were given up")


@pytest.mark.slow
def test_wrong_credentials_of_its_own_are_a_child_that_fails(
    site: WebServer, postgres_url: str
) -> None:
    """A server whose password the other side refuses says so, with the child that met it."""
    environment = {"DATABASE_URL": postgres_url, "DEMO_BASE_URL": site.url}
    with serve(environment) as server:
        answer = server.get("/ten-slow-requests/?seconds=0", server.authorization)
    assert answer.status == 502
    assert "failed: answered 401 Unauthorized" in answer.text


@pytest.mark.slow
@pytest.mark.parametrize(
    "base",
    ["http://127.0.0.1:1", "http://no-such-host.invalid"],
    ids=["refused", "unknown"],
)
def test_an_address_that_does_not_answer_is_a_child_that_fails(
    postgres_url: str, base: str
) -> None:
    """A base URL where nobody listens is a 502 that says why."""
    with serve({"DATABASE_URL": postgres_url, "DEMO_BASE_URL": base}) as server:
        answer = server.get("/ten-slow-requests/?seconds=0", server.authorization)
    assert answer.status == 502
    assert "failed: ConnectionError: " in answer.text
    assert server.password not in answer.text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("driver", "changes"),
    [
        ("psycopg", {"username": "SecretRole"}),
        ("psycopg", {"path": "/SecretBase"}),
        ("psycopg", {"port": "19"}),
        ("psycopg", {"hostname": "secret.invalid"}),
        ("psycopg2", {"username": "SecretRole"}),
    ],
)
def test_where_the_database_is_is_told_to_nobody(
    postgres_url: str, driver: str, changes: dict[str, str]
) -> None:
    """A database that cannot be reached is named in the log, and not in the answer."""
    parts = urlsplit(postgres_url)
    names = ("username", "password", "hostname", "port", "path")
    there = {name: str(getattr(parts, name)) for name in names} | changes
    url = "postgres://{username}:{password}@{hostname}:{port}{path}".format(**there)
    environment = {"DATABASE_URL": url, "DATABASE_DRIVER": driver, "DATABASE_POOL_TIMEOUT": "0.5"}
    with serve(environment) as server:
        for path in ("/slow-sql/?x=7&", *(f"{page}?" for page in PAGES)):
            answer = server.get(f"{path}seconds=0", server.authorization, limit=20)
            assert answer.status in {502, 503}
            assert re.search(r"failed: \w+: .*the log says why", answer.text), answer.text
            for told in there.values():
                assert not re.search(rf"\b{re.escape(told.strip('/'))}\b", answer.text), answer.text
        until(lambda: "OperationalError" in server.log(), "the log says why")


@pytest.mark.slow
def test_an_answer_that_is_no_number_is_a_child_that_fails(postgres_url: str) -> None:
    """Whatever answers 200 with something else than a number is not believed."""

    def answers(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "5")
        request.end_headers()
        request.wfile.write(b"hello")

    with impostor(answers) as address:
        environment = {"DATABASE_URL": postgres_url, "DEMO_BASE_URL": address}
        with serve(environment) as server:
            answer = server.get("/ten-slow-requests/?seconds=0", server.authorization)
    assert answer.status == 502
    assert answer.text.endswith("failed: answered no number: hello\n")


@pytest.mark.slow
def test_the_host_header_decides_nothing(postgres_url: str) -> None:
    """The ten requests go where the settings say, whatever the sender's Host header says."""
    environment = {"DATABASE_URL": postgres_url, "ALLOWED_HOSTS": "*"}
    with serve(environment) as server, trap() as (elsewhere, somebody_came):
        headers = {**server.authorization, "Host": elsewhere}
        answer = server.get("/ten-slow-requests/?seconds=0", headers)
        assert (answer.status, answer.text) == (200, SQUARES)
        assert not somebody_came()


@pytest.mark.slow
def test_a_proxy_in_the_environment_decides_nothing(postgres_url: str) -> None:
    """Requests to the server itself go through no proxy."""
    with trap() as (elsewhere, somebody_came):
        proxy = {"http_proxy": f"http://{elsewhere}", "HTTP_PROXY": f"http://{elsewhere}"}
        with serve({"DATABASE_URL": postgres_url, "NO_PROXY": "", **proxy}) as server:
            answer = server.get("/ten-slow-requests/?seconds=0", server.authorization)
        assert (answer.status, answer.text) == (200, SQUARES)
        assert not somebody_came()


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_an_unpatched_process_says_so_instead_of_waiting_for_itself(
    postgres_url: str, page: str
) -> None:
    """Without the patch, one worker that does one thing at a time answers 503 with the reason."""
    environment = {"DATABASE_URL": postgres_url, "CONCURRENCY_PATCH": "0"}
    with serve(environment, "--worker-class", "sync") as server:
        answer = server.get(f"{page}?seconds=0", server.authorization, limit=10)
        assert answer.status == 503
        assert "not patched" in answer.text
        one = server.get("/slow-sql/?x=7&seconds=0", server.authorization, limit=10)
        assert (one.status, one.text) == (200, "49")


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_demonstration_runs_on_sqlite(tmp_path: Path, page: str) -> None:
    """On SQLite, which has no sleep of its own, the ten run at the same time as well."""
    # One after the other they would take 12 s, and be given up after 1.2 s and a margin of 10.
    with serve({"DATABASE_URL": f"sqlite:///{tmp_path}/demo.sqlite3"}) as server:
        start = time.monotonic()
        answer = server.get(f"{page}?seconds=1.2", server.authorization, limit=15)
        assert (answer.status, answer.text) == (200, SQUARES)
        assert time.monotonic() - start >= 1.2


@pytest.mark.slow
def test_the_demonstration_runs_on_mariadb(mariadb: MariaDB) -> None:
    """Its server sleeps as PostgreSQL does, and as long as it was asked to."""
    with serve({"DATABASE_URL": mariadb.url}) as server:
        start = time.monotonic()
        answer = server.get("/ten-slow-queries/?seconds=1.2", server.authorization, limit=15)
        assert (answer.status, answer.text) == (200, SQUARES)
        assert time.monotonic() - start >= 1.2


@pytest.mark.slow
def test_a_pool_that_is_too_small_is_a_child_that_fails(postgres_url: str) -> None:
    """When no connection becomes free in time, the answer names the child and the pool."""
    environment = {
        "DATABASE_URL": postgres_url,
        "DATABASE_POOL_MAX_SIZE": "2",
        "DATABASE_POOL_TIMEOUT": "0.2",
    }
    with serve(environment) as server:
        answer = server.get("/ten-slow-queries/?seconds=2", server.authorization, limit=10)
    assert answer.status == 502
    assert "PoolTimeout" in answer.text
