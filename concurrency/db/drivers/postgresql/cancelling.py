"""Cancel requests to PostgreSQL that never block the hub, in any state of the server.

The server drops a cancel request that arrives before it has started the statement, so
the request is repeated until the statement has ended.

psycopg2 offers only a request that blocks the interpreter. libpq 17 has a non-blocking one,
called here through ctypes. An older libpq blocks, so its requests run in native threads: a
few for each server, because a frozen server keeps its threads until it is back, and
requests to other servers must not wait for that.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import weakref
from collections.abc import Callable, Hashable
from typing import Any

import gevent
from gevent.event import Event
from gevent.threadpool import ThreadPool

from concurrency.compat import psycopg2 as compat
from concurrency.db.drivers.driver import KILL_BUDGET, PATIENCE
from concurrency.db.drivers.waiter import READ, WRITE, SocketWaiter
from concurrency.hub.per_hub import per_hub

logger = logging.getLogger("concurrency.db")

#: Seconds from a request to the next for the same statement.
AGAIN = 0.25

_THREADS_FOR_EACH_SERVER = 2

# PostgresPollingStatusType
_FAILED, _READING, _WRITING, _OK = range(4)


def stop(
    request: Callable[[], object], read: Callable[[], object], again: float = AGAIN
) -> Exception | None:
    """Cancel the statement of a connection, and read the rest of its result.

    When this returns, no request is in progress that could cancel the next statement.

    Args:
        request: makes one request and waits for its end; repeated until ``read`` is done.
        read: reads the connection until the server is done with the statement.
        again: seconds from one request to the next.

    Returns:
        What ``read`` raised, for example the error of a cancelled statement.

    Raises:
        TimeoutError: ``KILL_BUDGET`` is spent; a request may still be in progress.
    """
    ended = Event()
    canceller = gevent.spawn(_repeat, request, again, ended)
    try:
        with gevent.Timeout(KILL_BUDGET) as limit:
            error = _error_of(read)
            ended.set()
            canceller.join()
            return error
    except gevent.Timeout as expired:
        if expired is not limit:
            raise
        raise TimeoutError("the server does not answer") from None
    finally:
        canceller.kill()


def _repeat(request: Callable[[], object], again: float, ended: Event) -> None:
    while not ended.is_set():
        error = _error_of(request)
        if error is not None:
            logger.debug("a statement could not be cancelled: %s", error)
        ended.wait(again)


def patiently(request: Callable[[], object]) -> None:
    """Make a request and wait for it.

    The request goes on after the caller's time is up: a frozen server that comes back
    would otherwise keep working for nobody.

    Raises:
        Exception: what the request raised.
    """
    error = send(request).get()
    if error is not None:
        raise error


def send(request: Callable[[], object]) -> gevent.Greenlet[..., Exception | None]:
    """Make a request in a greenlet of its own, which returns the error or None."""
    return gevent.spawn(_error_of, functools.partial(_within_patience, request))


def _within_patience(request: Callable[[], object]) -> None:
    with gevent.Timeout(PATIENCE, TimeoutError(f"no answer within {PATIENCE:g} s")):
        request()


def request_for(pgconn: int | None, server: Hashable) -> Callable[[], None]:
    """Return a function that cancels a connection's statement, even after it is closed.

    Args:
        pgconn: address of libpq's connection.
        server: identifies the server of the connection.

    Raises:
        AttributeError: this build of psycopg2 gives no access to libpq.
    """
    libpq = compat.libpq()
    if hasattr(libpq, "PQcancelCreate"):
        return _Request(libpq, pgconn)
    return functools.partial(in_thread, server, _BlockingRequest(libpq, pgconn))


class _Request:
    """A request of libpq 17, which waits on the hub."""

    def __init__(self, libpq: ctypes.CDLL, pgconn: int | None) -> None:
        self._libpq = libpq
        self._request = libpq.PQcancelCreate(pgconn)
        weakref.finalize(self, libpq.PQcancelFinish, self._request)

    def __call__(self) -> None:
        libpq, request = self._libpq, self._request
        state = _WRITING if libpq.PQcancelStart(request) else _FAILED
        while state != _OK:
            if state == _FAILED:
                raise OSError(_text(libpq.PQcancelErrorMessage(request)))
            # The descriptor can change from one step to the next.
            waiter = SocketWaiter(libpq.PQcancelSocket(request))
            try:
                waiter.wait(READ if state == _READING else WRITE)
            finally:
                waiter.close()
            state = libpq.PQcancelPoll(request)


class _BlockingRequest:
    """A request of an older libpq."""

    def __init__(self, libpq: ctypes.CDLL, pgconn: int | None) -> None:
        self._libpq = libpq
        self._request = libpq.PQgetCancel(pgconn)
        weakref.finalize(self, libpq.PQfreeCancel, self._request)

    def __call__(self) -> None:
        message = ctypes.create_string_buffer(256)
        if not self._libpq.PQcancel(self._request, message, len(message)):
            raise OSError(_text(message.value))


class _Threads(dict[Hashable, ThreadPool]):
    """The threads of one hub, by server."""

    def __init__(self, hub: Any) -> None:
        super().__init__()
        self._hub = hub

    def __missing__(self, server: Hashable) -> ThreadPool:
        threads = self[server] = ThreadPool(_THREADS_FOR_EACH_SERVER, hub=self._hub)
        return threads


def in_thread(server: Hashable, call: Callable[[], object]) -> None:
    """Make a blocking call in one of the threads for its server, and wait for it."""
    threads = per_hub(f"{__name__}:threads", _Threads)
    error = threads[server].apply(_error_of, (call,))
    if error is not None:
        raise error


def _error_of(call: Callable[[], object]) -> Exception | None:
    """Make a call and return its error, which gevent would otherwise print."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - raised in the greenlet that waits
        return error
    return None


def _text(message: bytes) -> str:
    return message.decode(errors="replace").strip()
