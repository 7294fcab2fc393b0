"""What is put around the application in a worker: static files, and whom to believe."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gunicorn.util import unquote_to_wsgi_str

from concurrency.server.options import ServeOptions

__all__ = ["Forwarded", "wrap"]

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_OF_PROXIES = (
    "HTTP_X_FORWARDED_",
    "HTTP_FORWARDED",
    "HTTP_X_REAL_IP",
    "HTTP_SCRIPT_NAME",
    "HTTP_PATH_INFO",
)


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
            if "HTTP_SCRIPT_NAME" in environ:
                _restore_path(environ)
            for name in [name for name in environ if name.startswith(self._names)]:
                del environ[name]
        return self._application(environ, start_response)


def _restore_path(environ: dict[str, Any]) -> None:
    """Undo that gunicorn has taken the prefix of a header `SCRIPT_NAME` off the path."""
    prefix = os.environ.get("SCRIPT_NAME", "")
    path = unquote_to_wsgi_str(environ["SCRIPT_NAME"]) + environ["PATH_INFO"]
    environ["SCRIPT_NAME"], environ["PATH_INFO"] = prefix, path.removeprefix(prefix)


def wrap(application: Application, options: ServeOptions) -> Application:
    """Return the application with what the options ask for around it."""
    if options.static:
        application = _static(application)
    if options.media:
        application = _media(application)
    if options.forwarded_allow_ips != "*":
        application = Forwarded(application, options.forwarded_allow_ips, *_secure_header())
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
