"""The ops port: it answers whatever the workers do, and as long as their arbiter lives."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.concurrency.server.served import Served, alive, ask
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One service with two workers, for tests that leave it as it was."""
    arguments = ("--workers", "2", "--log-probes", "--ops-hosts", "metrics.shop.example")
    with Served(tmp_path_factory.mktemp("served"), *arguments) as server:
        server.is_ready()
        have_loaded(server, 2)
        yield server


def have_loaded(server: Served, count: int) -> None:
    """Wait until so many workers have loaded the application; forked they are before."""

    def turning() -> bool:
        numbers = server.probe("/ready")[1]["numbers"]["workers"]
        return numbers == {"wanted": count, "turning": count}

    until(turning, f"{count} workers turn")


def test_probes_say_which_parts_are_ok(served):
    """Each probe answers 200 and JSON, with or without a slash at its end, to GET and HEAD."""
    assert served.probe("/startup/") == (
        200,
        {"status": "ok", "failed": [], "parts": {"service": "ok"}},
    )
    assert served.probe("/alive") == (
        200,
        {"status": "ok", "failed": [], "parts": {"workers": "ok"}},
    )
    status, ready = served.probe("/ready?verbose")
    assert (status, ready["failed"]) == (200, [])
    assert ready["parts"]["databases"] == {"default": "ok"}
    assert ask(served.ops_port, "/ready", method="HEAD") == (200, b"")
    assert ask(served.ops_port, "/")[0] == 404


def test_the_ops_port_is_apart_from_the_application(served):
    """Probes and metrics cannot be reached by the application's port, nor it by theirs."""
    assert served.get("/ready")[0] == served.get("/metrics")[0] == 404
    assert served.status("/number/1/") == 404


def test_metrics_are_sums_over_workers(served):
    """Requests count by route, method and status, and a user's own metrics with them."""
    route = 'concurrency_requests_total{method="GET",route="/sell/",status="200"}'
    pids: set[bytes] = set()
    asked = 0

    def sell(_: int) -> bytes:
        return served.get("/sell/")[1]

    with ThreadPoolExecutor(8) as threads:
        while len(pids) < 2:
            pids.update(threads.map(sell, range(20)))
            asked += 20
    until(lambda: served.metric(route) == asked, f"{asked} requests are counted")
    assert served.metric('shop_sold_total{what="tea"}') == asked
    count = 'concurrency_request_seconds_count{method="GET",route="/sell/"}'
    assert served.metric(count) == asked


def test_errors_and_unknown_paths_are_counted(served):
    """A view that fails counts as 500, and all unknown paths as one route."""
    name = 'concurrency_requests_total{method="%s",route="%s",status="%s"}'
    for path in ("/fail/", "/no/such", "/nor/such"):
        served.get(path)
    ask(served.port, "/no/such", method="PROPFIND")
    until(lambda: served.metric(name % ("GET", "/fail/", 500)) == 1, "the failure is counted")
    until(lambda: served.metric(name % ("GET", "-", 404)) >= 2, "unknown paths are counted")
    until(lambda: served.metric(name % ("other", "-", 404)) == 1, "and methods that are rare")


def test_pools_and_hubs_are_measured(served):
    """The state of the pools and the lag of the hubs are among the metrics."""
    assert served.get("/count/") == (200, b"1")
    until(lambda: served.metric('concurrency_pool_open{database="default"}') >= 1, "a connection")
    # Of each worker that has asked the database at all.
    assert served.metric('concurrency_pool_max_size{database="default"}') in (20, 40)
    assert served.metric("concurrency_hub_lag_seconds_count") > 0


def test_idle_connections_are_no_load(served):
    """Twenty clients that keep their connections open leave the service ready and idle."""
    with contextlib.ExitStack() as stack:
        for _ in range(20):
            connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=30)
            stack.enter_context(contextlib.closing(connection))
            connection.request("GET", "/")
            connection.getresponse().read()
        until(lambda: served.probe("/ready")[1]["numbers"]["in_flight"] == 0, "nothing in flight")
        assert served.status("/ready") == 200


def test_it_answers_while_every_worker_is_blocked(served):
    """With no hub that turns it is alive and not ready, and ready again afterwards."""
    clients: dict[bytes, http.client.HTTPConnection] = {}
    with ThreadPoolExecutor(8) as threads, contextlib.ExitStack() as stack:

        def connect(_: int) -> tuple[bytes, http.client.HTTPConnection]:
            client = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
            stack.enter_context(contextlib.closing(client))
            client.request("GET", "/")
            return client.getresponse().read(), client

        while len(clients) < 2:  # one of each worker
            clients.update(threads.map(connect, range(8)))
        for client in clients.values():
            client.request("GET", "/stuck/")
        stack.callback((served.folder / "unblock").unlink)
        stack.callback((served.folder / "unblock").touch)
        until(lambda: served.status("/ready") == 503, "not ready")
        until(lambda: served.probe("/ready")[1]["failed"] == ["workers"], "because of them")
        assert served.status("/alive") == 200
        (served.folder / "unblock").touch()
        assert {client.getresponse().status for client in clients.values()} == {200}
    until(lambda: served.status("/ready") == 200, "ready again")


def test_a_check_of_the_project_decides(served):
    """A check that is tagged `readiness` makes it unready; its text is not shown to strangers."""
    unpaid = served.folder / "app_of_test" / "unpaid"
    unpaid.touch()
    try:
        until(lambda: served.status("/ready") == 503, "not ready")
        _, ready = served.probe("/ready")
        assert ready["failed"] == ["checks"]
        assert ready["parts"]["checks"] == {"shop.E001": "failed"}
        assert "12345" in served.text
        assert served.status("/alive") == 200
    finally:
        unpaid.unlink()
    until(lambda: served.status("/ready") == 200, "ready again")


def test_slow_clients_do_not_keep_others_from_the_ops_port(served):
    """With a hundred connections that send a byte now and then, every probe is answered."""
    with contextlib.ExitStack() as stack:
        dripping = [
            stack.enter_context(socket.create_connection(("127.0.0.1", served.ops_port), 30))
            for _ in range(100)
        ]
        ended: set[socket.socket] = set()
        probes = []

        def all_ended() -> bool:
            for sock in set(dripping) - ended:
                try:
                    sock.send(b"G")
                except OSError:
                    ended.add(sock)
            probes.append(ask(served.ops_port, "/alive")[0])
            return len(ended) == len(dripping)

        until(all_ended, "no head may take longer than its limit, however it drips")
    assert set(probes) == {200}


def test_a_client_that_does_not_read_leaves_room(served):
    """Sixty clients that ask for the metrics and read nothing keep no probe out."""
    with contextlib.ExitStack() as stack:
        for _ in range(60):
            client = stack.enter_context(
                socket.create_connection(("127.0.0.1", served.ops_port), 30)
            )
            client.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert ask(served.ops_port, "/alive")[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("10.1.2.3:9000", 200),
        ("[::1]:9000", 200),
        ("[::1]", 200),
        ("localhost:9000", 200),
        ("LocalHost.", 200),
        (socket.gethostname(), 200),
        (f"{socket.gethostname()}:80", 200),
        ("metrics.shop.example:9000", 200),
        ("", 200),
        ("evil.example", 403),
        ("evil.example:9000", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:80", 403),
        ("evil.example:80:80", 403),
        ("user@127.0.0.1", 403),
        ("2130706433", 403),
        ("shop.example", 403),
    ],
)
def test_the_ops_port_answers_to_its_own_names(served, host, status):
    """A Host that is no address, not the own name and not listed gets 403 (DNS rebinding)."""
    for path in ("/alive", "/metrics"):
        found, body = ask(served.ops_port, path, headers={"Host": host})
        assert found == status, body
        if found == 403:
            assert b"CONCURRENCY_OPS_HOSTS" in body


def test_a_request_without_a_host_is_answered(served):
    """A probe in HTTP/1.0 needs no Host; of two, both have to be known."""
    for head, status in (
        (b"GET /alive HTTP/1.0\r\n\r\n", b"200"),
        (b"GET /alive HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"403"),
    ):
        with socket.create_connection(("127.0.0.1", served.ops_port), timeout=30) as client:
            client.sendall(head)
            assert client.recv(100).split()[1] == status


def test_a_logged_probe_is_one_line(served):
    """With `--log-probes` a request cannot write more lines than its own."""
    with socket.create_connection(("127.0.0.1", served.ops_port), timeout=30) as client:
        client.sendall(b"GET /\x1b[31mred\x9bline HTTP/1.0\r\n\r\n")
        assert b"404" in client.recv(100)
    served.says("/\\x1b[31mred\\x9bline")
    assert not {"\x1b", "\x9b"} & set(served.text)


def test_a_killed_ops_process_is_replaced(served):
    """SIGKILL ends it, another one answers, and nobody is refused meanwhile."""
    before = served.ops_process()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        os.kill(before, number)  # as a supervisor does to a whole group
    assert served.status("/alive") == 200
    os.kill(before, signal.SIGKILL)
    with socket.create_connection(("127.0.0.1", served.ops_port), timeout=30):
        pass
    until(lambda: not alive(before), "it has ended")
    until(lambda: served.status("/ready") == 200, "another answers")
    assert served.ops_process() != before
    assert served.metric("concurrency_workers") == 2, "it knows what the first one knew"


def test_a_replaced_worker_counts_on(served):
    """No counter falls when a worker is killed, and another takes its place."""
    name = 'concurrency_requests_total{method="GET",route="/number/<int:number>/",status="200"}'
    before = served.metric(name) + 1
    served.get("/number/1/")
    until(lambda: served.metric(name) == before, "it is counted")
    pid = int(served.get("/")[1])
    files = {path.name for path in served.folder.glob("concurrency-*/*/metrics/histogram_*")}
    os.kill(pid, signal.SIGKILL)
    label = f'concurrency_worker_memory_bytes{{pid="{pid}"}}'
    until(lambda: not served.metric(label), "it is gone")
    have_loaded(served, 2)
    assert served.metric(name) == before
    served.get("/number/2/")
    until(lambda: served.metric(name) == before + 1, "it goes on")
    after = {path.name for path in served.folder.glob("concurrency-*/*/metrics/histogram_*")}
    assert after == files, "and in the same files"


def test_a_scrape_is_answered_while_a_worker_creates_its_files(served):
    """A file without a size, as prometheus-client has it for a moment, counts as nothing."""
    (folder,) = served.folder.glob("concurrency-*/*/metrics")
    with contextlib.ExitStack() as stack:
        for kind in ("counter", "histogram", "gauge_livesum"):
            file = folder / f"{kind}_200.db"
            file.touch()
            stack.callback(file.unlink)
        assert served.metric("concurrency_workers") == 2
        assert served.metric("concurrency_hub_lag_seconds_count") > 0
