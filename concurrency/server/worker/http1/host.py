"""``Host``: what a connection asks of the worker that it belongs to."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Protocol

from concurrency.server.worker.http1.body import Store
from concurrency.server.worker.http1.limits import Limits
from concurrency.server.worker.http1.refusals import Refusal
from concurrency.server.worker.http1.request import Request
from concurrency.server.worker.http1.rules import Rules
from concurrency.server.worker.unsent import Unsent

__all__ = ["Host"]


class Host(Protocol):
    """What a connection belongs to: who answers its requests, within which limits."""

    rules: Rules
    template: dict[str, Any]
    store: Store
    limits: Limits
    unsent: Unsent
    tls: ssl.SSLContext | None
    has_proxy: bool
    connections: Any

    def begun(
        self, data: bytes, peer: Any, receive: Callable[[], bytes]
    ) -> tuple[dict[str, Any], bytes]:
        """Return what precedes the first request, for the environment, and what is left."""

    def refuses_work(self) -> Refusal | None:
        """Return why a body is not read, if there is a reason."""

    def refused(self, connection: Any, refusal: Refusal) -> None:
        """Take note of a request that no application gets."""

    def answer(self, connection: Any, request: Request) -> None:
        """Have the application answer a request."""
