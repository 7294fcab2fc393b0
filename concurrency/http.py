"""A ``requests`` session that many greenlets may share.

``requests.Session`` as it comes keeps ten connections, waits for ever, and hands
the cookies of one answer to every later request. This one is sized to a fan-out,
every wait of it is finite and ends with the running deadline, and it keeps no
cookies unless asked to. It knows nothing of Django.
"""

from __future__ import annotations

from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from gevent.monkey import get_original
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool, PoolManager
from urllib3.exceptions import EmptyPoolError
from urllib3.util import Retry, Timeout

from concurrency import hooks
from concurrency.compat.urllib3 import has_tunnel
from concurrency.deadlines import remaining

__all__ = ["TIMEOUT_HEADER", "Session"]

#: Tells a server how many milliseconds its caller will wait.
TIMEOUT_HEADER = "X-Request-Timeout-Ms"

# Added to what is left of a deadline, so that the deadline itself is what ends a
# wait; the socket's own limit is for threads, into which nothing can be thrown.
_AFTER_DEADLINE = 0.1

# Methods that a server may be asked twice (RFC 9110, 9.2.2), and answers that ask for it.
_REPEATABLE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
_PASSING_ERRORS = frozenset({502, 503, 504})

_NativeLocal: Any = get_original("threading", "local")


class Session(requests.Session):
    """A ``requests.Session`` for many greenlets at once.

    Args:
        max_connections: connections to one host, at least 1; a call that finds
            all of them in use waits. A thread of ``offload`` has its own.
        connect_timeout: seconds to connect. The default is just above the time
            after which TCP repeats its first packet, three seconds.
        read_timeout: seconds to wait for the next bytes of an answer.
        pool_timeout: seconds to wait for one of the connections.
        retries: how often a request is repeated when it could not be sent or was
            answered 502, 503 or 504; only with methods that may be repeated.
        keep_cookies: whether cookies of answers are sent with later requests.
        send_deadline: whether a server is told how much time is left, in the
            header ``X-Request-Timeout-Ms``; ``ConcurrencyMiddleware`` obeys it.
        send_ids: whether a server is told for which request it is called, in the
            headers ``X-Request-ID`` and ``traceparent``.

    The running deadline shortens all of these. A ``timeout`` that is given with a
    call replaces those of connecting and reading.

    A server may close a connection that was kept at the very moment when it is used
    again. That is no error of the caller: a request that may be repeated is sent once
    more, on a new connection, also without ``retries``.

    Raises:
        DeadlineExceeded: by the ``with deadline(...)`` around a call.
        requests.ConnectTimeout: no connection was made, or none was free, in time.
        requests.ReadTimeout: the answer did not come in time.
    """

    def __init__(
        self,
        *,
        max_connections: int = 100,
        connect_timeout: float = 3.05,
        read_timeout: float = 30.0,
        pool_timeout: float = 30.0,
        retries: int = 0,
        keep_cookies: bool = False,
        send_deadline: bool = True,
        send_ids: bool = True,
    ) -> None:
        super().__init__()
        if max_connections < 1:
            raise ValueError(f"max_connections must be at least 1, not {max_connections}")
        self.timeout = (connect_timeout, read_timeout)
        self.send_deadline = send_deadline
        self.send_ids = send_ids
        adapter = _Adapter(max_connections, pool_timeout, retries)
        self.mount("http://", adapter)
        self.mount("https://", adapter)
        if not keep_cookies:
            self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send a prepared request; every way of calling the session ends here."""
        timeout = kwargs.get("timeout")
        kwargs["timeout"] = _limited(self.timeout if timeout is None else timeout)
        if self.send_ids:
            for add in hooks.outgoing:
                add(request.headers)
        if self.send_deadline and (left := remaining()) is not None:
            request.headers[TIMEOUT_HEADER] = _in_milliseconds(left)
        return super().send(request, **kwargs)


def _limited(timeout: Any) -> Any:
    """Shorten a timeout of requests to what is left of the running deadline."""
    left = remaining()
    if left is None:
        return timeout
    left += _AFTER_DEADLINE
    if isinstance(timeout, tuple):
        return tuple(left if value is None else min(value, left) for value in timeout)
    return left if timeout is None else min(timeout, left)


def _in_milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


class _Adapter(HTTPAdapter, _NativeLocal):  # type: ignore[misc]
    """Connections that are bounded for each host, with a finite wait for one.

    Made anew in each native thread: a socket belongs to the hub of the thread that made it.
    """

    def __init__(self, max_connections: int, pool_timeout: float, retries: int) -> None:
        self._max_connections = max_connections
        self._pool_timeout = pool_timeout
        policy = Retry(
            total=retries,
            allowed_methods=_REPEATABLE_METHODS,
            status_forcelist=_PASSING_ERRORS,
            backoff_factor=0.1,
            backoff_jitter=0.1,
            raise_on_status=False,
        )
        super().__init__(
            pool_connections=max_connections,
            pool_maxsize=max_connections,
            pool_block=True,
            max_retries=policy if retries else 0,
        )

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        manager: PoolManager = self.poolmanager
        limit = self._pool_timeout
        manager.pool_classes_by_scheme = {
            "http": _kept(HTTPConnectionPool, limit),
            "https": _kept(HTTPSConnectionPool, limit),
        }

    def close(self) -> None:
        """Close the connections that are not in use; the others when they are given back.

        urllib3 leaves that to the garbage collector, and so would let a pool live for as
        long as the traceback of one of its errors.
        """
        managers = [self.poolmanager, *self.proxy_manager.values()]
        keyed = [(manager.pools, manager.pools.keys()) for manager in managers]
        pools = [container[key] for container, keys in keyed for key in keys]
        super().close()
        for pool in pools:
            pool.close()

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().send(request, *args, **kwargs)
        except EmptyPoolError as error:
            raise requests.ConnectTimeout(
                f"no connection was free in time: all {self._max_connections} to "
                f"{urlsplit(request.url).hostname!r} are in use; raise max_connections "
                f"or pool_timeout",
                request=request,
            ) from error


def _kept(base: type[HTTPConnectionPool], limit: float) -> type[HTTPConnectionPool]:
    """Return a class of pools that keep connections, wait for one for a finite time,
    and send again what met one that its server was just closing.
    """

    class Kept(base):  # type: ignore[misc, valid-type]
        def _get_conn(self, timeout: float | None = None) -> Any:
            return super()._get_conn(_limited(limit if timeout is None else timeout))

        def _make_request(self, conn: Any, method: str, url: str, **kwargs: Any) -> Any:
            was_open = conn.sock is not None
            try:
                return super()._make_request(conn, method, url, **kwargs)
            except ConnectionError:
                if not (was_open and _is_repeatable(conn, method, kwargs["body"])):
                    raise
            conn.close()  # so that it is opened anew
            _update(kwargs)
            return super()._make_request(conn, method, url, **kwargs)

    Kept.__name__ = base.__name__  # it is part of urllib3's messages

    return Kept


def _is_repeatable(connection: Any, method: str, body: Any) -> bool:
    """Return whether a request may be sent again, and can be, on the same connection."""
    # A file or a generator has been read; a tunnel is made where connections are taken.
    can_be = body is None or isinstance(body, bytes | str)
    return can_be and method in _REPEATABLE_METHODS and not has_tunnel(connection)


def _update(request: dict[str, Any]) -> None:
    """Bring the arguments of a request that is repeated in line with the time that is left."""
    left = remaining()
    if left is None:
        return
    timeout: Timeout = request["timeout"]
    connect, read = _limited((timeout.connect_timeout, timeout.read_timeout))
    request["timeout"] = Timeout(connect=connect, read=read)
    if TIMEOUT_HEADER in request["headers"]:
        request["headers"][TIMEOUT_HEADER] = _in_milliseconds(left)
