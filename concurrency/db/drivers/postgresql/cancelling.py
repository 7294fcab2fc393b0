"""Cancel requests to PostgreSQL that never block the hub, whatever the server does.

A server drops a request that arrives before it has begun with the statement, so a
request is repeated until the statement has ended.

psycopg2 has one request only, which blocks the interpreter. libpq 17 has one that is
waited for as a connection is; it is reached through ctypes. Requests of an older
libpq block, so they are made in native threads: a few for each server, because one
that is frozen keeps them until it is back, and others must not wait for that.
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
    """Have the statement of a connection stopped, and read what is left of it.

    When this returns no request is under way that could stop the next statement.

    Args:
        request: makes one request and waits for its end; called again until ``read`` is done.
        read: reads the connection until the server is done with the statement.
        again: seconds from a request to the next.

    Returns:
        What ``read`` raised, such as the error of a statement that was cancelled.

    Raises:
        TimeoutError: the budget for a kill is spent; a request may still be under way.
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

    When the time of the caller is over the request goes on: a frozen server that
    comes back would else work for nobody.

    Raises:
        Exception: what the request raised.
    """
    error = send(request).get()
    if error is not None:
        raise error


def send(request: Callable[[], object]) -> gevent.Greenlet[..., Exception | None]:
    """Make a request in a greenlet of its own, which returns the error if there is one."""
    return gevent.spawn(_error_of, functools.partial(_within_patience, request))


def _within_patience(request: Callable[[], object]) -> None:
    with gevent.Timeout(PATIENCE, TimeoutError(f"no answer within {PATIENCE:g} s")):
        request()


def request_for(pgconn: int | None, server: Hashable) -> Callable[[], None]:
    """Return what has a connection's statement stopped, also when it is closed meanwhile.

    Args:
        pgconn: address of libpq's connection.
        server: what tells its server from others.

    Raises:
        AttributeError: this build of psycopg2 does not let libpq be reached.
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
            # The descriptor may change from one step to the next.
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
    """Make a call that blocks, in one of the threads for its server, and wait for it."""
    threads = per_hub(f"{__name__}:threads", _Threads)
    error = threads[server].apply(_error_of, (call,))
    if error is not None:
        raise error


def _error_of(call: Callable[[], object]) -> Exception | None:
    """Make a call and return what it raised, which gevent would print."""
    try:
        call()
    except Exception as error:  # noqa: BLE001 - raised in the greenlet that waits
        return error
    return None


def _text(message: bytes) -> str:
    return message.decode(errors="replace").strip()
