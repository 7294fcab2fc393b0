"""Serving with gunicorn: start, drain, probes and metrics.

``GeventWorker`` is for ``gunicorn --worker-class concurrency.server.GeventWorker``.

Importing this package imports no other module; its exports are resolved at first use,
because the ops process, which is not patched, imports from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrency.server.worker.worker import GeventWorker

__all__ = ["GeventWorker"]


def __getattr__(name: str) -> Any:
    if name != "GeventWorker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # Importing the worker patches the process; importing this package must not.
    from concurrency.server.worker.worker import GeventWorker

    return GeventWorker
