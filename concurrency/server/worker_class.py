"""Which of gunicorn's worker classes serve greenlets, and what each of them lacks.

Imports gunicorn's worker classes, so it belongs into a patched process.
"""

from __future__ import annotations

import inspect
from typing import Any

from gunicorn.util import load_class

from concurrency.patching.lateness import is_patched

__all__ = ["DEFAULT", "LACKING", "has_everything", "problem"]

DEFAULT = "concurrency.server.GeventWorker"

#: What gunicorn's own gevent worker does not do.
LACKING = "load shedding, prompt drain, time limits for slow clients"


def problem(found: Any) -> str | None:
    """Return why a worker class cannot serve, or None.

    Args:
        found: a class, or its name as gunicorn takes it.
    """
    try:
        loaded = load_class(found)
    except (RuntimeError, AttributeError) as error:
        # gunicorn's own text has the traceback in it.
        cause = error.__context__ if isinstance(error, RuntimeError) else error
        return f"worker class {found!r} cannot be imported: {type(cause).__name__}: {cause}"
    if is_patched() and not _serves_greenlets(loaded):
        return (
            f"worker class {name_of(found)!r} does not serve greenlets: in a patched process "
            f"requests would wait for each other"
        )
    return None


def name_of(found: Any) -> str:
    """Return the name of a worker class that is given as a class or by its name."""
    return f"{found.__module__}.{found.__qualname__}" if inspect.isclass(found) else str(found)


def has_everything(loaded: type) -> bool:
    """Return whether a loaded class is this package's, or derived from it."""
    return issubclass(loaded, load_class(DEFAULT))


def _serves_greenlets(loaded: Any) -> bool:
    from gunicorn.workers.ggevent import GeventWorker

    return inspect.isclass(loaded) and issubclass(loaded, GeventWorker)
