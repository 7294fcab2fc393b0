"""What our worker class promises its clients, with a real gunicorn, signals and sockets."""

from __future__ import annotations

import re
import signal
import ssl
import subprocess

import gevent
import psycopg
import pytest

from tests.concurrency.server.gunicorns import every

pytestmark = pytest.mark.slow


def test_two_hundred_requests_in_flight_at_sigterm_are_answered(start):
    """No client sees an error, each is told that its connection ends, and the exit code is 0."""
    server = start("--keep-alive", "30")
    clients = [server.connect() for _ in range(200)]
    for client in clients:
        client.send("/sleep/0.7/")
    # The last of them is in flight when it has been read.
    server.get("/")
    server.signal(signal.SIGTERM)
    answers = [client.receive() for client in clients]
    assert {status for status, _, _ in answers} == {200}
    assert all("Connection: close" in head for _, head, _ in answers)
    assert server.process.wait(timeout=25) == 0


def test_an_idle_keep_alive_client_does_not_hold_up_the_exit(start):
    """The worker does not wait for the client, which sees a clean end."""
    server = start("--keep-alive", "30", "--graceful-timeout", "30")
    idle = server.connect()
    assert "Connection: keep-alive" in idle.get()[1]
    assert server.terminate() == 0
    # By the worker's own clock: how long Python takes to exit depends on who else is busy.
    took = re.search(r"ended what it had begun in (\d+\.\d+) s", server.text())
    assert float(took[1]) < 15
    assert "Traceback" not in server.text()
    assert idle.is_closed()


def test_what_waits_in_the_backlog_at_sigterm_is_served(start):
    """Who connected before the listener was closed gets an answer, not a reset."""
    server = start()
    busy = server.connect()
    busy.send("/block/0.6/")
    server.wait_for("hub is blocked")
    waiting = [server.connect() for _ in range(20)]
    for client in waiting:
        client.send()
    server.signal(signal.SIGTERM)
    assert [client.receive()[0] for client in [busy, *waiting]] == [200] * 21
    assert server.process.wait(timeout=25) == 0


def test_new_connections_are_served_during_the_drain_delay(start):
    """Until the balancer has noticed, and each answer says that the connection ends."""
    server = start("--keep-alive", "30", CONCURRENCY_DRAIN_DELAY="1")
    server.signal(signal.SIGTERM)
    server.wait_for("Handling signal: term")
    status, head, _ = server.get()
    assert (status, "Connection: close" in head) == (200, True)
    assert server.process.wait(timeout=25) == 0


def test_what_is_not_done_at_the_graceful_timeout_is_cancelled(start, postgres_url):
    """Its statement ends on the server, its client sees the end, and the exit code is 0."""
    server = start("--graceful-timeout", "2", DATABASE_URL=f"{postgres_url}?application_name=cut")
    client = server.connect()
    client.send("/query/60/")
    asking = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cut'"
    with psycopg.connect(postgres_url, autocommit=True) as connection:

        def running() -> int:
            return connection.execute(asking).fetchone()[0]

        with gevent.Timeout(5):
            while not running():
                gevent.sleep(0.02)
        assert server.terminate() == 0
        assert running() == 0
    with pytest.raises(EOFError):
        client.receive()
    assert "1 connections are cut off" in server.text()


def test_idle_connections_make_room_for_new_ones(start):
    """A limit of two sockets is no limit for a third client while two are idle."""
    server = start("--worker-connections", "2", "--keep-alive", "30")
    first, second, third = (server.connect() for _ in range(3))
    assert first.get()[0] == second.get()[0] == 200
    assert third.get()[0] == 200
    assert first.is_closed()


def test_a_client_with_its_next_request_always_ready_starves_nobody(start):
    """Who comes later is served in his turn, not after all of the other's requests."""
    server = start("--keep-alive", "30")
    greedy, other = server.connect(), server.connect()
    other.get()
    count = 100
    greedy.socket.sendall(b"GET /burn/0.01/ HTTP/1.1\r\nHost: x\r\n\r\n" * count)
    greedy.receive()
    assert other.get()[0] == 200
    greedy.socket.setblocking(False)
    served = 1 + greedy._buffer.count(b"HTTP/1.1 200") + greedy.socket.recv(1 << 20).count(b"burnt")
    assert served < count / 2


def drip(client, piece):
    """Send a piece again and again, until the server has left."""
    with pytest.raises(OSError):  # noqa: PT011 - reset or broken pipe, as the machine likes
        for _ in range(200):
            client.socket.sendall(piece)
            gevent.sleep(0.02)


@pytest.mark.parametrize(("keepalive", "before"), [("30", 0), ("30", 2), ("0", 0)])
def test_a_client_that_sends_its_head_slowly_is_left(start, keepalive, before):
    """Each head of a connection has a limit as a whole, however often a byte of it comes."""
    server = start("--keep-alive", keepalive)
    slow = server.connect()
    for _ in range(before):
        slow.get()
    slow.socket.sendall(b"GET / HTTP/1.1\r\n")
    drip(slow, b"X-Slow: 1\r\n")
    assert server.get("/sleep/0.6/")[0] == 200
    assert "Traceback" not in server.text()


def test_a_body_that_drips_ends_its_request(start):
    """A client that sends a body byte by byte keeps no connection for long."""
    server = start("--keep-alive", "30")
    slow = server.connect()
    slow.send("/", "Content-Length: 100000", method="POST")
    drip(slow, b"x")
    assert "Traceback" not in server.text()


def test_a_body_that_stalls_ends_its_request(start):
    """The client is told, and the application sees nothing of it."""
    server = start("--keep-alive", "30")
    slow = server.connect()
    slow.send("/take/", "Content-Length: 100", method="POST", body=b"half")
    assert slow.receive()[0] == 408
    assert slow.is_closed()


def test_idle_connections_are_closed_after_keepalive(start):
    """A client that sends no further request sees a clean end."""
    server = start("--keep-alive", "1")
    client = server.connect()
    assert client.get()[0] == 200
    assert client.is_closed()


def test_a_client_that_reads_nothing_is_left(start):
    """Its answer is given up, and it does not hold up the end."""
    server = start("--keep-alive", "30")
    client = server.connect()
    client.send("/big/")
    client.socket.recv(1)
    assert server.terminate() == 0
    assert "cut off" not in server.text()


def test_a_stream_that_fails_is_cut_off(shared):
    """Its client sees that the end is missing, at once, and the error is in the log."""
    client = shared.connect()
    with every(client):
        client.send("/stream/never/")
        answer = b"".join(iter(lambda: client.socket.recv(65536), b""))
    assert b"first" in answer
    assert not answer.endswith(b"0\r\n\r\n")
    shared.wait_for("ValueError: could not convert string to float: 'never'")


@pytest.mark.openssl
def test_idle_clients_on_tls_do_not_hold_up_the_exit(start, tmp_path):
    """Nor do those that never shake hands; who has a request in flight gets his answer."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    subprocess.run(
        [*command, "-keyout", "key", "-out", "certificate"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    server = start("--certfile", "certificate", "--keyfile", "key", "--keep-alive", "30")
    idle, busy, silent = (server.connect() for _ in range(3))
    for client in (idle, busy):
        context = ssl.create_default_context(cafile=str(tmp_path / "certificate"))
        client.socket = context.wrap_socket(client.socket, server_hostname="x")
        assert client.get()[0] == 200
    busy.send("/block/0.7/")
    server.wait_for("hub is blocked")
    server.signal(signal.SIGTERM)
    assert busy.receive()[0] == 200
    assert idle.is_closed()
    assert silent.is_closed()
    assert server.process.wait(timeout=25) == 0


def test_a_worker_looks_for_garbage_seldom(shared):
    """What requests in flight hold is none, and there are many of them."""
    assert shared.get("/threshold/")[2] == b"10000"


def test_the_worker_needs_no_configuration_of_ours(start):
    """Its import patches the arbiter, before gunicorn's own patch could be too late for Django."""
    server = start("-c", "python:bench", "--no-control-socket", DJANGO_SETTINGS_MODULE="")
    assert server.get()[0] == 200
    assert server.terminate() == 0
