"""Log handlers with a socket, which belongs to the hub that waits for it."""

from __future__ import annotations

import functools
import logging
from logging.handlers import SocketHandler, SysLogHandler
from typing import Any

from concurrency.patching.main_thread import in_main_thread


def install() -> None:
    """Make them send in the main thread, from now on; idempotent."""
    for kind in (SocketHandler, SysLogHandler):
        if not hasattr(kind.emit, "__wrapped__"):
            _send_in_main_thread(kind)


def _send_in_main_thread(kind: Any) -> None:
    emit = kind.emit

    @functools.wraps(emit)
    def emit_in_main_thread(self: Any, record: logging.LogRecord) -> None:
        in_main_thread(emit, self, record)

    kind.emit = emit_in_main_thread
