"""Clients that cost little: one loop over sockets, so that the server is what is measured.

``closed`` has a number of clients that ask again when they have their answer, ``opened``
sends requests at a rate, whatever becomes of those before. Times count from the moment at
which a request was due, so a server that is late cannot slow the clock down.
"""

from __future__ import annotations

import random
import re
import select
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["Answers", "Clients"]

_LENGTH = re.compile(rb"(?i)content-length: (\d+)")


@dataclass(slots=True)
class Answers:
    """What came back.

    Attributes:
        seconds: how long it was measured.
        times: seconds until the answer, by status; 0 is the status of connections that
            were closed without an answer.
    """

    seconds: float
    times: dict[int, list[float]] = field(default_factory=dict)

    def add(self, status: int, seconds: float) -> None:
        """Take note of one answer."""
        self.times.setdefault(status, []).append(seconds)

    def count(self, status: int) -> int:
        """Return how many answers had a status."""
        return len(self.times.get(status, []))

    def quantile(self, share: float, status: int = 200) -> float:
        """Return the time within which this share of the answers came, in seconds."""
        times = sorted(self.times.get(status, []))
        return times[min(len(times) - 1, int(len(times) * share))] if times else 0.0

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.count(200) / self.seconds


class Clients:
    """Clients of one server on this machine.

    Args:
        port: where it listens.
        path: what they ask for.
    """

    def __init__(self, port: int, path: str) -> None:
        self._address = ("127.0.0.1", port)
        self._request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        self._poll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._buffers: dict[int, bytes] = {}
        self._due: dict[int, float] = {}

    def closed(
        self,
        clients: int,
        seconds: float,
        *,
        warm_up: float = 0.5,
        when_warm: Callable[[], object] = lambda: None,
    ) -> Answers:
        """Ask with this many clients at the same time, each again and again.

        Args:
            clients: how many.
            seconds: how long it is measured.
            warm_up: how long they ask before that, in seconds.
            when_warm: called when the measured time begins.
        """
        answers = Answers(seconds)
        for _ in range(clients):
            self._ask(self._connect(), time.perf_counter())
        warm = time.perf_counter() + warm_up
        while time.perf_counter() < warm:
            for fd, status in self._come(0.1):
                self._ask(fd if status else self._connect(), time.perf_counter())
        when_warm()
        start = time.perf_counter()
        while time.perf_counter() < start + seconds:
            for fd, status in self._come(0.1):
                answers.add(status, time.perf_counter() - self._due[fd])
                self._ask(fd if status else self._connect(), time.perf_counter())
        self._close()
        return answers

    def opened(self, rate: float, seconds: float, *, warm_up: float = 2.5) -> Answers:
        """Ask at a rate, with the intervals that many independent people make."""
        answers = Answers(seconds)
        idle: deque[int] = deque()
        due = begin = time.perf_counter()
        start, end = begin + warm_up, begin + warm_up + seconds
        while due < end or self._due:
            now = time.perf_counter()
            if now > end + 2:
                break
            while due <= now and due < end:
                self._ask(idle.pop() if idle else self._connect(), due)
                due += random.expovariate(rate)
            for fd, status in self._come(max(0.0, min(due - now, 0.05))):
                asked = self._due.pop(fd)
                if asked >= start:
                    answers.add(status, time.perf_counter() - asked)
                if status:
                    idle.append(fd)
        self._close()
        return answers

    def _connect(self) -> int:
        client = socket.create_connection(self._address)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets[client.fileno()] = client
        self._poll.register(client.fileno(), select.EPOLLIN)
        return client.fileno()

    def _ask(self, fd: int, due: float) -> None:
        self._due[fd] = due
        self._sockets[fd].sendall(self._request)

    def _come(self, limit: float) -> list[tuple[int, int]]:
        """Return the sockets whose answer has come, with its status."""
        found = []
        for fd, _ in self._poll.poll(limit):
            try:
                data = self._sockets[fd].recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self._poll.unregister(fd)
                self._sockets.pop(fd).close()
                if fd in self._due:
                    found.append((fd, 0))
                continue
            buffer = self._buffers.pop(fd, b"") + data
            head, separator, body = buffer.partition(b"\r\n\r\n")
            length = _LENGTH.search(head)
            if separator and (length is None or len(body) >= int(length[1])):
                found.append((fd, int(head[9:12])))
            else:
                self._buffers[fd] = buffer
        return found

    def _close(self) -> None:
        for client in self._sockets.values():
            client.close()
        self._poll.close()
