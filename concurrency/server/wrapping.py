"""What is put around the application in a worker: limits, static files, whom to believe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from concurrency.deadlines import deadline
from concurrency.server.options import ServeOptions

__all__ = ["BodyLimit", "wrap"]

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_LINGER = 5.0  # seconds in which the rest of a body that was refused is read

_OF_PROXIES = ("HTTP_X_FORWARDED_", "HTTP_FORWARDED", "HTTP_X_REAL_IP")

_TOO_LARGE = b"The body of the request is larger than this server takes.\n"


class BodyTooLarge(OSError):
    """A body without a length went on for too long.

    An OSError, as everything that ends the reading of a body: Django makes of it an
    `UnreadablePostError`, and closes the request.
    """


class _Counted:
    """A body that may not be longer than a limit."""

    def __init__(self, body: Any, limit: int) -> None:
        self._body = body
        self._left = limit
        self.too_large = False

    def read(self, size: int = -1) -> bytes:
        return self._count(self._body.read(self._most(size)))

    def readline(self, size: int = -1) -> bytes:
        return self._count(self._body.readline(self._most(size)))

    def readlines(self, hint: int = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> Any:
        return iter(self.readline, b"")

    def _most(self, size: int | None) -> int:
        """One more than is left: that it exists is enough to know."""
        return self._left + 1 if size is None or size < 0 else min(size, self._left + 1)

    def _count(self, data: bytes) -> bytes:
        self._left -= len(data)
        if self._left < 0:
            self.too_large = True
            raise BodyTooLarge("the body is larger than max-body-size")
        return data


class BodyLimit:
    """Answers 413 to a body that is larger than a limit, without keeping any of it.

    Args:
        application: what is limited.
        limit: bytes.
    """

    def __init__(self, application: Application, limit: int) -> None:
        self._application = application
        self._limit = limit

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve one request."""
        length = environ.get("CONTENT_LENGTH") or ""
        if length.isdecimal() and int(length) > self._limit:
            return _refuse(environ["wsgi.input"], start_response)
        if length:
            return self._application(environ, start_response)
        return self._counting(environ, start_response)

    def _counting(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve a request whose body has no length; what is said of one too long is replaced."""
        everything = environ["wsgi.input"]
        environ["wsgi.input"] = body = _Counted(everything, self._limit)

        def start(*args: Any) -> Any:
            return None if body.too_large else start_response(*args)

        try:
            chunks = self._application(environ, start)
        except BodyTooLarge:
            return _refuse(everything, start_response)
        if not body.too_large:
            return chunks
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        return _refuse(everything, start_response)


def _refuse(body: Any, start_response: Callable[..., Any]) -> Iterator[bytes]:
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(_TOO_LARGE)))]
    # gunicorn gives a method of its response, the gate a function that knows it.
    response = getattr(start_response, "__self__", start_response)
    force_close = getattr(response, "force_close", None)
    if force_close is not None:
        force_close()
    start_response("413 Content Too Large", headers)
    yield _TOO_LARGE
    # To close with bytes unread is to reset the connection, and the client, which is
    # still sending, would never see the answer.
    with suppress(OSError), deadline(_LINGER):
        while body.read(65536):
            pass


class Forwarded:
    """Drops what only a proxy may say from requests that come from somebody else.

    gunicorn itself ignores it for the scheme, but hands it on to the application, where
    `SECURE_PROXY_SSL_HEADER` and the like would believe it. Who comes by a unix socket
    has no address, and is the proxy.

    Args:
        application: what is protected.
        allowed: addresses and networks of proxies, separated by commas.
        also: another name, as in the WSGI environment, that only a proxy may set.
    """

    def __init__(self, application: Application, allowed: str, *also: str) -> None:
        self._application = application
        self._names = (*_OF_PROXIES, *also)
        networks = [ip_network(part.strip(), strict=False) for part in allowed.split(",")]

        @lru_cache(maxsize=1024)
        def is_proxy(address: str) -> bool:
            if not address:
                return True
            found = ip_address(address)
            # A listener for both protocols shows IPv4 in the form of IPv6.
            found = getattr(found, "ipv4_mapped", None) or found
            return any(found in network for network in networks)

        self._is_proxy = is_proxy

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Serve one request."""
        if not self._is_proxy(environ.get("REMOTE_ADDR", "")):
            for name in [name for name in environ if name.startswith(self._names)]:
                del environ[name]
        return self._application(environ, start_response)


def wrap(application: Application, options: ServeOptions) -> Application:
    """Return the application with what the options ask for around it."""
    if options.static:
        application = _static(application)
    if options.media:
        application = _media(application)
    if options.forwarded_allow_ips != "*":
        application = Forwarded(application, options.forwarded_allow_ips, *_secure_header())
    if options.max_body_size:
        application = BodyLimit(application, options.max_body_size)
    return application


def _secure_header() -> tuple[str, ...]:
    """Return the name by which the project is told that a request was https, if it has one."""
    from django.conf import settings

    return settings.SECURE_PROXY_SSL_HEADER[:1] if settings.SECURE_PROXY_SSL_HEADER else ()


def _static(application: Application) -> Application:
    """Serve STATIC_URL: where DEBUG is on from the apps' folders, else what was collected."""
    from django.conf import settings
    from django.contrib.staticfiles import finders
    from whitenoise import WhiteNoise

    served = WhiteNoise(application, autorefresh=settings.DEBUG)
    if settings.DEBUG:
        for finder in finders.get_finders():
            for storage in getattr(finder, "storages", {}).values():
                served.add_files(storage.location, prefix=_path(settings.STATIC_URL))
    if settings.STATIC_ROOT:
        served.add_files(settings.STATIC_ROOT, prefix=_path(settings.STATIC_URL))
    return served  # type: ignore[no-any-return]


def _media(application: Application) -> Application:
    from django.conf import settings
    from whitenoise import WhiteNoise

    # Uploads appear while it runs, so it looks at each request; a web server is faster.
    served = WhiteNoise(application, autorefresh=True)
    Path(settings.MEDIA_ROOT).mkdir(parents=True, exist_ok=True)
    served.add_files(settings.MEDIA_ROOT, prefix=_path(settings.MEDIA_URL))
    return served  # type: ignore[no-any-return]


def _path(url: str) -> str:
    """Return the path of a URL, which may name a host."""
    return urlsplit(url).path
