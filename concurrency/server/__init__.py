"""Serving: what gunicorn needs to know to start, drain and stop well.

``GeventWorker`` is for ``gunicorn --worker-class concurrency.server.GeventWorker``.

Importing this package imports nothing else, and what is exported from it has to be
resolved when it is asked for: the ops process, which is not patched, imports from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrency.server.worker.worker import GeventWorker

__all__ = ["GeventWorker"]


def __getattr__(name: str) -> Any:
    if name != "GeventWorker":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    # It patches, which nobody wants who only imports this package.
    from concurrency.server.worker.worker import GeventWorker

    return GeventWorker
