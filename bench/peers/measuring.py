"""One peer with one work: start it, ask it, look at what it uses, stop it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

from bench.clients import Answers, Clients
from bench.database import ConnectionCounter
from bench.peers.catalogue import Peer
from bench.peers.results import Sample
from bench.peers.running import Cores, process, wait_for
from bench.peers.works import COMPUTING, IDLE, Work
from bench.processes import CpuMeter
from bench.server import ServerError
from deploy.cluster import free_port

__all__ = ["Bench"]

_LOOK = 0.05  # seconds between two counts of the connections
_CYCLES = 2  # responses that each client must have had for a steady rate


class Bench:
    """Where it is measured.

    Args:
        url: address of the database; it names the application.
        counter: counts that application's connections.
        upstream: address of the slow service.
        cores: who runs where.
        seconds: how long each measurement takes.
    """

    def __init__(
        self, url: str, counter: ConnectionCounter, upstream: str, cores: Cores, seconds: float
    ) -> None:
        self._environment = {"DATABASE_URL": url, "PEER_UPSTREAM": upstream}
        self._counter = counter
        self._cores = cores
        self._seconds = seconds

    def measure(self, peer: Peer, work: Work, number: int) -> Sample:
        """Return what one peer does with one work; a peer that fails is a sample, too."""
        name = {"peer": peer.name, "work": work.name, "round": number}
        port = free_port()
        environment = {
            **self._environment,
            **peer.environment(work),
            "CONCURRENCY_OPS_PORT": str(free_port()),
        }
        try:
            with process(peer.arguments(work, port), environment, self._cores.server) as running:
                wait_for(running, port, work.path, work.body)
                if work.name == IDLE:
                    return Sample(**name, **_idle(running.pid, port, work))
                return Sample(**name, **self._load(running.pid, port, work))
        except (ServerError, psutil.Error) as error:
            return Sample(**name, problem=str(error))

    def _load(self, pid: int, port: int, work: Work) -> dict[str, Any]:
        warm: list[tuple[CpuMeter, float]] = []
        self._counter.most = 0
        seconds = work.warm_up + self._seconds
        with _watching(self._counter), _computing(port, work.beside, seconds):
            answers = Clients(port, work.path).closed(
                work.clients,
                self._seconds,
                warm_up=work.warm_up,
                when_warm=lambda: warm.append((CpuMeter(pid), time.process_time())),
            )
        ((server, own),) = warm
        server.look()
        good = answers.count(200)
        return {
            **_times(answers, work.clients),
            "errors": sum(map(len, answers.times.values())) - good,
            "statuses": {str(status): len(times) for status, times in answers.times.items()},
            # That of the others cannot be told from it.
            "cpu_ms": server.seconds / good * 1e3 if good and not work.beside else None,
            "memory_mb": _memory(pid) / 1e6,
            "connections": self._counter.most,
            "client_cores": (time.process_time() - own) / self._seconds,
        }


def _times(answers: Answers, clients: int) -> dict[str, Any]:
    times = [time for some in answers.times.values() for time in some]
    is_steady = answers.count(200) == len(times) >= _CYCLES * clients
    return {
        "rate": answers.rate,
        # Little's law, which holds if all clients have waited for good responses, in turn.
        "steady": clients * len(times) / sum(times) if is_steady else answers.rate,
        "p50_ms": answers.quantile(0.5) * 1e3 if answers.count(200) else None,
        "p99_ms": answers.quantile(0.99) * 1e3 if answers.count(200) else None,
    }


@contextmanager
def _watching(counter: ConnectionCounter) -> Iterator[None]:
    """Count connections again and again."""
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(_LOOK):
            counter.count()

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        stop.set()
        looking.join()


@contextmanager
def _computing(port: int, path: str, seconds: float) -> Iterator[None]:
    """Ask for something else meanwhile, in a process of its own; for nothing without a path."""
    if not path:
        yield
        return
    arguments = ["-m", "bench.aio_client", str(port), path, str(COMPUTING), str(seconds)]
    with process(arguments, {}, frozenset(os.sched_getaffinity(0))):
        yield


def _memory(pid: int) -> int:
    """Return the bytes of a process and its children; what they share is divided."""
    root = psutil.Process(pid)
    return sum(one.memory_full_info().pss for one in (root, *root.children(recursive=True)))


def _idle(pid: int, port: int, work: Work) -> dict[str, Any]:
    """Return the memory that each client costs that has had an answer and asks no more."""
    for _ in range(200):  # what is made by the first requests belongs to no client
        _ask(port, work.path).close()
    time.sleep(0.5)
    before = _memory(pid)
    clients = [_ask(port, work.path) for _ in range(work.clients)]
    try:
        time.sleep(0.5)
        used = _memory(pid) - before
        for client in clients:  # one that was closed would cost nothing
            client.setblocking(False)
            try:
                closed = client.recv(1) == b""
            except BlockingIOError:
                closed = False
            if closed:
                raise ServerError("it has closed connections of idle clients")
    finally:
        for client in clients:
            client.close()
    return {"idle_kb": used / work.clients / 1e3, "memory_mb": before / 1e6}


def _ask(port: int, path: str) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), timeout=10)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = b""
    while b"nothing" not in answer:
        if not (data := client.recv(65536)):
            raise ConnectionResetError("no answer")
        answer += data
    return client
