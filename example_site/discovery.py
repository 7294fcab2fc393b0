"""Where the other services are, and the addresses of what they serve.

A base URL comes from the settings, which have it from the environment
(``SERVICE_URL_WELCOME``) or know the port for development. Does not depend on how an
address is asked.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from django.conf import settings

__all__ = ["UnknownService", "UnreachablePath", "base_url", "url"]

# What HTTP clients take away or follow, so it would lead to another address than was meant.
_DOTS = frozenset({"", ".", ".."})


class UnknownService(LookupError):
    """There is no service of that name."""


class UnreachablePath(ValueError):
    """A part of a path is empty or dots, which no address can say."""


def base_url(service: str) -> str:
    """Return the address of a service, without a slash at the end.

    Raises:
        UnknownService: there is none of that name.
    """
    try:
        found: str = settings.SERVICE_URLS[service]
    except KeyError:
        known = ", ".join(sorted(settings.SERVICE_URLS))
        raise UnknownService(f"there is no service {service!r}; there are {known}") from None
    return found.rstrip("/")


def url(service: str, *path: str, **query: str) -> str:
    """Return the address of a resource: ``url("welcome", "greet", "tod", "18:03:09")``.

    Args:
        service: the name of the service.
        path: the parts of the path; each is escaped, so a slash in one stays in it.
        query: the parameters, which are escaped as well.

    Raises:
        UnknownService: there is no such service.
        UnreachablePath: a part is empty, ``.`` or ``..``.
    """
    for part in path:
        if part in _DOTS:
            raise UnreachablePath(f"{part!r} cannot be a part of a path")
    # What is no text, half of a surrogate pair, is replaced: nothing has such a name.
    parts = "".join(f"/{quote(part, safe='', errors='replace')}" for part in path)
    parameters = f"?{urlencode(query, errors='replace')}" if query else ""
    return f"{base_url(service)}{parts}/{parameters}"
