"""`--debugger`: a worker that listens for debugpy, on this machine alone."""

from __future__ import annotations

import logging
import os

from concurrency.server.options import ServeOptions

__all__ = ["listen"]

logger = logging.getLogger("concurrency.server")


def listen(options: ServeOptions) -> None:
    """Listen for a debugger, if the options want one; called in the worker.

    Raises:
        ModuleNotFoundError: debugpy is not installed.
    """
    if not options.debugger:
        return
    # debugpy asks for it when it is imported.
    os.environ["GEVENT_SUPPORT"] = "True"
    import debugpy

    debugpy.listen(("127.0.0.1", options.debugger_port))
    logger.warning("a debugger may attach on 127.0.0.1:%s", options.debugger_port)
