"""Clients that are slow: they hold nothing that others need, and not for ever."""

from __future__ import annotations

import contextlib
import socket
import time

import gevent
import pytest

from concurrency.server.worker.http1.limits import Limits
from concurrency.server.worker.unsent import Unsent
from tests.concurrency.server.gunicorns import OURS, STOCK


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/tainted/", "/held/"])
@pytest.mark.parametrize("worker", [OURS, STOCK], ids=["ours", "stock"])
def test_slow_readers_hold_no_connection_and_no_place(start, postgres_url, worker, path):
    """Ten who read nothing of their answers leave a pool of two and both places to others."""
    server = start(
        "--keep-alive",
        "30",
        worker=worker,
        OPTIONS_OF_TEST="{'MAX_IN_FLIGHT': 2}",
        WORKER_OF_TEST="{'stall_limit': 300.0}",
        DATABASE_URL=f"{postgres_url}?pool_max_size=2&pool_timeout=5",
    )
    slow = [server.connect() for _ in range(10)]
    for client in slow:
        client.send(path)
    for client in slow:
        client.socket.recv(1)  # its view is done
    assert server.get("/held/?small")[0] == 200


@pytest.mark.slow
def test_a_client_below_the_least_rate_is_left(start):
    """It never stalls, and takes its answer too slowly all the same."""
    server = start(CONCURRENCY_MIN_RATE="100000000", WORKER_OF_TEST="{'stall_limit': 300.0}")
    client = server.connect()
    client.send("/big/")

    def read_slowly() -> None:
        with contextlib.suppress(OSError):
            while client.socket.recv(4096):
                gevent.sleep(0.001)

    reader = gevent.spawn(read_slowly)
    server.wait_for("its client is too slow")
    reader.kill()


@pytest.mark.slow
def test_a_body_below_the_least_rate_is_refused(start):
    """As one that stalls: its view does not get half of it."""
    server = start(CONCURRENCY_MIN_RATE="100000")
    client = server.connect()
    client.send("/take/", "Content-Length: 100000", method="POST")
    with gevent.Timeout(20), contextlib.suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(1000):
            client.socket.sendall(b"x")
            gevent.sleep(0.01)
    assert client.receive()[0] == 408


@pytest.mark.slow
def test_the_slowest_client_is_dropped_when_too_much_is_unsent(start):
    """Its connection ends; the answer that came last is allowed."""
    server = start(
        "--keep-alive",
        "30",
        CONCURRENCY_MAX_UNSENT="40000000",
        WORKER_OF_TEST="{'stall_limit': 300.0, 'rate_over': 300.0}",
    )
    first, second = server.connect(), server.connect()
    first.send("/big/")
    first.socket.recv(1)
    second.send("/big/")
    status, _, body = second.receive()
    assert (status, len(body)) == (200, 30_000_000)
    server.wait_for("the client that has taken longest is dropped")
    rest = 0
    with contextlib.suppress(ConnectionResetError):
        while data := first.socket.recv(1 << 20):
            rest += len(data)
    assert rest < 30_000_000


def test_what_is_unsent_is_counted():
    """What was sent is not, nor what was given up."""
    unsent = Unsent(limit=100)
    pairs = [socket.socketpair() for _ in range(3)]
    with contextlib.ExitStack() as stack:
        for pair in pairs:
            for one in pair:
                stack.enter_context(one)
        entries = [unsent.add(ours, 45) for ours, _ in pairs[:2]]
        assert unsent.size == 90
        unsent.sent(entries[1], 40)
        assert unsent.size == 50
        unsent.add(pairs[2][0], 60)
        assert (unsent.size, unsent.dropped) == (65, 1)
        assert pairs[0][1].recv(1) == b""
        unsent.sent(entries[0], 10)
        unsent.remove(entries[0])
        unsent.remove(entries[1])
        assert unsent.size == 60
        unsent.add(pairs[1][0], 1000)
        assert unsent.size == 1000  # one alone is always allowed


def test_a_rate_is_averaged_over_the_time_of_waiting():
    """Bytes buy time, nobody is judged too soon, and a stall ends before that."""
    now = time.monotonic()
    limits = Limits(head=10, stall=1000, idle=5, rate=100, over=30)
    assert limits.until(now, 0) == limits.until(now, 3000) == now + 30
    assert limits.until(now, 6000) == now + 60
    assert limits.until(now, 1 << 40) - now == pytest.approx(1000, abs=1)
    assert Limits(head=10, stall=7, idle=5).until(0.0, 0) > now


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    [b"", b"GET / HTTP/1.1\r\n", b"POST /take/ HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n"],
    ids=["silent", "head", "body"],
)
def test_slow_heads_and_bodies_make_room_for_others(start, piece):
    """More of them than there may be connections keep nobody waiting for their limits."""
    server = start(
        "--worker-connections",
        "20",
        "--keep-alive",
        "300",
        WORKER_OF_TEST="{'head_limit': 300.0, 'stall_limit': 300.0}",
    )
    for _ in range(60):
        client = server.connect()
        client.socket.sendall(piece)
    assert server.get()[0] == 200


@pytest.mark.slow
def test_a_client_with_a_request_in_flight_makes_room_for_nobody(start):
    """Its answer comes, however many are waiting to connect."""
    server = start("--worker-connections", "2", "--keep-alive", "30")
    busy = [server.connect() for _ in range(2)]
    for client in busy:
        client.send("/sleep/2/")
    slow = [server.connect() for _ in range(5)]
    for client in slow:
        client.socket.sendall(b"GET / HT")
    assert [client.receive()[2] for client in busy] == [b"slept"] * 2
