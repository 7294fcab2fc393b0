"""The three probes: startup, liveness and readiness.

All read the board; readiness also examines databases and checks. Only the ops process, which
is not patched, uses this module: waits here block a native thread. Slow examinations run in
a thread of their own, and all requests within a second share its last finding.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from concurrency.server.board import STARTED, Board, Worker
from concurrency.server.options import ServeOptions

__all__ = ["Examiner", "Finding", "Health"]

OK = "ok"
_FRESH = 1.0  # seconds for which a finding is reused
_PATIENCE = 3.0  # seconds that a request waits for a new one
_STUCK = 15.0  # seconds after which a stuck examining thread is replaced
_STUCK_AT_MOST = 300.0  # seconds, if its successors get stuck too
_PAUSE = 1.0  # seconds without a heartbeat that a hub is allowed besides its lag


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a probe.

    Attributes:
        parts: the examined parts, each with "ok" or its problem.
        info: additional numbers, which do not affect the result.
    """

    parts: dict[str, Any]
    info: dict[str, Any]

    @property
    def failed(self) -> list[str]:
        """The parts that are not ok."""
        return [name for name, state in self.parts.items() if not _is_ok(state)]

    @property
    def ok(self) -> bool:
        """Whether every part is ok."""
        return not self.failed

    def as_json(self) -> dict[str, Any]:
        """Return the JSON body of the probe's response."""
        status = OK if self.ok else "failed"
        return {"status": status, "failed": self.failed, "parts": self.parts, **self.info}


def _is_ok(state: Any) -> bool:
    return all(map(_is_ok, state.values())) if isinstance(state, dict) else state == OK


class Examiner:
    """Examines in a thread of its own, and keeps the last finding for a second.

    It is always the same thread, so that it keeps its connections to databases. If the
    thread is stuck, for example on a frozen server, another one replaces it.

    Args:
        examine: returns the parts; it may take long, or never return.
    """

    def __init__(self, examine: Callable[[], dict[str, Any]]) -> None:
        self._examine = examine
        self._changed = threading.Condition()
        self._parts: dict[str, Any] = {}
        self._found = -_FRESH
        self._asked: float | None = None  # start of the current examination
        self._thread: threading.Thread | None = None
        self._limit = _STUCK

    def latest(self) -> dict[str, Any]:
        """Return fresh parts, or a part that reports the missing response."""
        with self._changed:
            if time.monotonic() - self._found >= _FRESH:
                self._ask()
                self._changed.wait_for(lambda: self._asked is None, _PATIENCE)
            if self._asked is not None:
                return {"examination": f"no answer for {time.monotonic() - self._asked:.0f} s"}
            return self._parts

    def close(self) -> None:
        """End the thread, unless it is stuck; nothing is examined afterwards."""
        with self._changed:
            self._thread = None
            self._changed.notify_all()

    def _ask(self) -> None:
        """Wake the thread; a stuck one is left alone, and replaced at growing intervals."""
        now = time.monotonic()
        if self._asked is None:
            self._asked = now
        elif now - self._asked >= self._limit:
            self._limit = min(2 * self._limit, _STUCK_AT_MOST)
            self._thread = None
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _run(self) -> None:
        own = threading.current_thread()
        while self._thread is own:
            parts: dict[str, Any] = {"examination": "it broke off; the log says why"}
            try:
                parts = self._examine()
            finally:
                with self._changed:
                    if self._thread is own:
                        self._parts, self._found, self._asked = parts, time.monotonic(), None
                        self._limit = _STUCK
                        self._changed.notify_all()
            with self._changed:
                self._changed.wait_for(lambda: self._asked is not None or self._thread is not own)


class Health:
    """The results of the three probes.

    Args:
        board: the service's board.
        options: its options.
        examine: examines the parts that readiness needs besides the board.
    """

    def __init__(
        self, board: Board, options: ServeOptions, examine: Callable[[], dict[str, Any]]
    ) -> None:
        self._board = board
        self._options = options
        self._examiner = Examiner(examine)
        self._last_turn = 0.0

    def warm_up(self) -> None:
        """Start the first examination, which loads the application, without a wait for it."""
        threading.Thread(target=self._examiner.latest, daemon=True).start()

    def close(self) -> None:
        """Stop examining."""
        self._examiner.close()

    def startup(self) -> Finding:
        """Report whether the port is open and a worker has loaded the application."""
        service = self._board.service()
        if service.phase != STARTED:
            state = service.note or "starts"
        else:
            loaded = any(worker.loaded for worker in self._board.workers())
            state = OK if loaded else "no worker has loaded the application yet"
        return Finding({"service": state}, {})

    def alive(self) -> Finding:
        """Report whether a hub is alive within the timeout; ok during the start. Never waits."""
        service = self._board.service()
        if service.phase != STARTED or not self._options.timeout:
            return Finding({"workers": OK}, {})
        now = time.monotonic()
        beats = [max(worker.beat, worker.born) for worker in self._board.workers()]
        self._last_turn = max(self._last_turn or now, *beats, 0.0)
        silent = now - self._last_turn
        state = OK if silent < self._options.timeout else f"no hub has turned for {silent:.0f} s"
        return Finding({"workers": state}, {})

    def ready(self) -> Finding:
        """Report whether the service should get requests now."""
        service, workers = self._board.service(), self._board.workers()
        turning = [w for w in workers if w.loaded and w.silent < self._longest_silence]
        accepting = [worker for worker in turning if not worker.draining]
        parts = {"service": self._state_of_service(), "workers": OK, "load": OK}
        if service.draining or (turning and not accepting):
            parts["service"] = "draining"
        elif not accepting:
            parts["workers"] = "none turns"
        else:
            parts["load"] = self._load(accepting)
        info = {
            "workers": {"wanted": service.wanted, "turning": len(turning)},
            "in_flight": sum(worker.in_flight for worker in workers),
            "waiters": sum(worker.waiters for worker in workers),
            "unsent": sum(worker.unsent for worker in workers),
        }
        return Finding(parts | self._examiner.latest(), {"numbers": info})

    @property
    def _longest_silence(self) -> float:
        return self._options.ready_max_lag + _PAUSE

    def _state_of_service(self) -> str:
        service = self._board.service()
        return OK if service.phase == STARTED else service.note or "starts"

    def _load(self, workers: list[Worker]) -> str:
        """Examine accepting workers: lowest lag, mean waiters and in flight, longest stall."""
        options, count = self._options, len(workers)
        for name, value, limit in (
            ("hub lag", min(worker.lag for worker in workers), options.ready_max_lag),
            ("waiters", sum(w.waiters for w in workers) / count, options.ready_max_waiters),
            ("in flight", sum(w.in_flight for w in workers) / count, options.ready_max_in_flight),
            # One stalled worker is enough: the kernel keeps giving it connections.
            ("stalled line", max(worker.stalled for worker in workers), options.ready_max_stall),
        ):
            if value >= limit:
                return f"{name}: {value:.3g}, the limit is {limit:g}"
        return OK
