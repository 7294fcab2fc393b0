"""The requests that this process handles, and one log line when a request has ended.

This module owns the state of a request. Child greenlets inherit it, like all context
variables, and ``concurrency.http`` sends its ids with every call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, MutableMapping
from contextvars import ContextVar, Token
from typing import Any
from weakref import ref

from gevent import getcurrent

from concurrency import hooks
from concurrency.observe.ids import REQUEST_ID, TRACEPARENT, TRACESTATE, ids_of
from concurrency.text import printable

__all__ = ["Passing", "by_greenlet", "current", "enter", "leave", "register"]

logger = logging.getLogger("concurrency.request")


class Passing:
    """A request in progress.

    Args:
        what: method and path.
        method: GET and the like.
        environ: of WSGI.

    Attributes:
        what: method and path, for messages.
        request_id: from ``X-Request-ID``, or new.
        trace: from ``traceparent``, or new.
        method: GET and the like.
        route: the URL pattern that it matched; None until then, and if there is none.
        status: of the response; 0 until there is one.
        statements: number of SQL statements, including those of child greenlets.
        seconds: from its start to the end of its response; 0.0 before.
    """

    __slots__ = (
        "_started",
        "method",
        "request_id",
        "route",
        "seconds",
        "statements",
        "status",
        "trace",
        "what",
    )

    def __init__(self, what: str, method: str, environ: Mapping[str, Any]) -> None:
        self.what = what
        self.request_id, self.trace = ids_of(environ)
        self.method = printable(method)
        self.route: str | None = None
        self.status = 0
        self.statements = 0
        self.seconds = 0.0
        self._started = time.monotonic()

    def __str__(self) -> str:
        return f"{self.what} id {self.request_id}"

    def end(self) -> None:
        """Log that it has ended."""
        self.seconds = time.monotonic() - self._started
        if not logger.isEnabledFor(logging.INFO):
            return
        milliseconds = round(self.seconds * 1000, 1)
        fields = {
            "method": self.method,
            "route": self.route,
            "status": self.status,
            "milliseconds": milliseconds,
            "statements": self.statements,
        }
        logger.info(
            "%s %s %s %s ms, %d SQL",
            self.method,
            "-" if self.route is None else f"/{self.route}",
            self.status or "-",
            milliseconds,
            self.statements,
            extra=fields,
        )


#: The request that the current code works on.
current: ContextVar[Passing | None] = ContextVar("concurrency.request", default=None)

#: The request that each greenlet handles. Other native threads look here, as they cannot read
#: the context of a greenlet that runs. A plain dictionary of references, as each
#: entry is taken out where it was put in.
by_greenlet: dict[ref[Any], Passing] = {}


def enter(passing: Passing | None) -> Token[Passing | None]:
    """Make a request the current one of this greenlet; pass the result to ``leave``."""
    if passing is not None:
        by_greenlet[ref(getcurrent())] = passing
    return current.set(passing)


def leave(token: Token[Passing | None]) -> None:
    """Make the previous request, if any, the current one again."""
    outer = token.old_value
    if isinstance(outer, Passing):
        by_greenlet[ref(getcurrent())] = outer
    else:
        by_greenlet.pop(ref(getcurrent()), None)
    current.reset(token)


def _count_statement() -> None:
    passing = current.get()
    if passing is not None:
        passing.statements += 1


def _send_along(headers: MutableMapping[str, Any]) -> None:
    passing = current.get()
    if passing is None:
        return
    headers.setdefault(REQUEST_ID, passing.request_id)
    headers.setdefault(TRACEPARENT, str(passing.trace))
    if passing.trace.state:
        headers.setdefault(TRACESTATE, passing.trace.state)


def register() -> None:
    """Count statements, and name the request in calls to other services, from now on."""
    hooks.register(hooks.at_statement, _count_statement)
    hooks.register(hooks.outgoing, _send_along)
