"""``Gate``: a WSGI application in front of another, which lets requests in one by one.

Every request waits in one line, also that of a client that always has its next one ready,
so nobody starves. Whoever waits too long is answered 503. Owns the line and the requests
in flight; knows nothing of sockets, so it serves the stock worker as well as ours.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from gevent import getcurrent
from gevent.hub import Waiter, get_hub

from concurrency import hooks
from concurrency.hub.callbacks import outside_hub
from concurrency.observe.ids import REQUEST_ID, request_id
from concurrency.server.worker.answers import ending, is_complete
from concurrency.server.worker.drain import Drain
from concurrency.server.worker.overload import Overload
from concurrency.text import printable

__all__ = ["Gate", "InFlight"]

logger = logging.getLogger("concurrency.server")

# Seconds of new work in one turn of the hub; then sockets are looked at.
_SLICE = 0.005

# Seconds between two looks at a line that nobody leaves, at least.
_AGAIN = 0.01

_REFUSAL = b"The server has more to do than it can. Try again in a moment.\n"


class InFlight(NamedTuple):
    """A request that has been let in."""

    method: str
    path: str
    since: float


class _Place:
    """A place in the line."""

    __slots__ = ("left", "since", "waiter")

    def __init__(self) -> None:
        self.waiter: Waiter[bool] = Waiter()
        self.since = time.monotonic()
        self.left = False


class Gate:
    """Let requests in to an application, in the order in which they came.

    A burst is let in as it is. When nobody has had a short wait for ``shed_after``
    seconds, that is an overload: then who has waited for longer than six requests take,
    for 40 to 60 milliseconds, is answered 503 with ``Retry-After``, and the others are
    served about as fast as ever.

    Args:
        application: the application.
        drain: when it has begun, answers say that the connection will be closed.
        limit: requests in flight at the same time; None: no limit.
        shed_after: seconds for which all waits may be long; None: nobody is turned away.

    Attributes:
        shed: how many were turned away since the worker started.
    """

    def __init__(
        self,
        application: Callable[..., Iterable[bytes]],
        drain: Drain,
        *,
        limit: int | None = None,
        shed_after: float | None = None,
    ) -> None:
        self._application = application
        self._drain = drain
        self._limit = limit
        self._line: deque[_Place] = deque()
        self._running: dict[Any, InFlight] = {}
        self._let_in = 0
        self._is_scheduled = False
        self._timer: Any = None
        self._moved = 0.0
        self._overload = None if shed_after is None else Overload(shed_after)
        # What the work of one request takes until it waits for the first time; seconds.
        self._cost = 0.0
        self.shed = 0

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        start = self._telling(start_response)
        if not self._enter():
            return _refuse(environ, start)
        greenlet = getcurrent()
        self._running[greenlet] = InFlight(
            environ["REQUEST_METHOD"], printable(environ["PATH_INFO"]), time.monotonic()
        )
        leave = partial(self._leave, greenlet)
        when_taken = getattr(environ.get("gunicorn.socket"), "on_take", None)
        if when_taken is not None:
            when_taken(leave)  # it is no request any more
        try:
            chunks = self._application(environ, start)
        except BaseException:
            leave()
            raise
        if not is_complete(environ, chunks):
            return ending(environ, chunks, leave)
        # How long it takes to send is a matter of the client, for which nobody has to wait.
        hooks.run(hooks.at_end)
        leave()
        return chunks

    def in_flight(self) -> dict[Any, InFlight]:
        """Return the requests that are being worked on, by their greenlets."""
        return dict(self._running)

    def waiting(self) -> int:
        """Return how many wait in the line."""
        return len(self._line)

    def stalled(self) -> float:
        """Return for how many seconds the line has not moved; 0.0 while nobody is in it."""
        if not self._line:
            return 0.0
        return time.monotonic() - max(self._moved, self._line[0].since)

    def sheds(self) -> bool:
        """Return whether a request that came now would be turned away."""
        return self._overload is not None and self._overload.is_on and self.stalled() > 0.0

    def _telling(self, start_response: Callable[..., Any]) -> Callable[..., Any]:
        """Have an answer say that the connection ends, if it begins while the worker ends."""
        # gunicorn decides that when it sends the head, not when the request comes.
        response = getattr(start_response, "__self__", None)
        force_close = getattr(response, "force_close", None)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            if self._drain.begun is not None and force_close is not None:
                force_close()
            return start_response(status, headers, exc_info)

        # For those behind, who may want the end of the connection too.
        start.force_close = force_close  # type: ignore[attr-defined]
        return start

    # The line

    def _enter(self) -> bool:
        """Wait for one's turn; return whether it came."""
        place = _Place()
        self._line.append(place)
        self._schedule()
        try:
            return bool(place.waiter.get())
        except BaseException:
            place.left = True
            raise

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            get_hub().loop.run_callback(self._turn)

    def _turn(self) -> None:
        """Let in what may come in, for a while; runs in the hub."""
        pause: float | None = 0.0
        try:
            pause = self._let_some_in()
        finally:
            # Whatever was raised: who has a place in the line must not wait for ever.
            self._is_scheduled = bool(self._line) and pause == 0.0
            if self._line and pause is not None:
                # A callback would come before the hub has looked at the sockets.
                self._again_in(pause)

    def _let_some_in(self) -> float | None:
        """Return in how many seconds to go on; None: when somebody leaves."""
        started = now = time.monotonic()
        while self._line and now - started < _SLICE:
            place = self._line[0]
            patience = self._patience(now - place.since, now)
            if place.left:
                self._line.popleft()
            elif now - place.since > patience:
                self._line.popleft()
                self.shed += 1
                self._moved = now
                place.waiter.switch(False)
            elif self._is_full():
                if self._overload is None:
                    return None
                until = place.since + min(patience, self._overload.after)
                return max(_AGAIN, until - now)
            else:
                self._line.popleft()
                self._let_in += 1
                self._moved = now
                place.waiter.switch(True)
                self._cost += (time.monotonic() - now - self._cost) / 16
            now = time.monotonic()
        if not self._line and self._overload is not None:
            self._overload.line_is_empty()
        return 0.0

    def _patience(self, waited: float, now: float) -> float:
        """Return how long the first in the line may have waited, in seconds."""
        if self._overload is None:
            return math.inf
        was = self._overload.is_on
        patience = self._overload.patience(waited, now, math.inf if self._is_full() else self._cost)
        if self._overload.is_on and not was:
            outside_hub(
                logger.warning,
                "overloaded: for %.1f s all requests have waited for %.0f ms and more; "
                "%d are in flight and %d wait, the latest are answered 503",
                self._overload.after,
                patience * 1000,
                self._let_in,
                len(self._line),
            )
        elif was and not self._overload.is_on:
            text = "no longer overloaded; %d requests were turned away"
            outside_hub(logger.warning, text, self.shed)
        return patience

    def _is_full(self) -> bool:
        return self._limit is not None and self._let_in >= self._limit

    def _again_in(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.close()
        self._timer = get_hub().loop.timer(seconds)
        self._timer.start(self._turn)

    # Leaving

    def _leave(self, greenlet: Any) -> None:
        if self._running.pop(greenlet, None) is not None:
            self._let_in -= 1
            if self._line:
                self._schedule()


def _refuse(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    headers = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(_REFUSAL))),
        ("Retry-After", "1"),
        ("Cache-Control", "no-store"),
        (REQUEST_ID, request_id(environ.get("HTTP_X_REQUEST_ID"))),
    ]
    start_response("503 Service Unavailable", headers)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [_REFUSAL]
