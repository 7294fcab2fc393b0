"""Observation only: metrics, request ids, logs, the hub monitor."""

from __future__ import annotations

from typing import Any

__all__ = ["logging_config"]


def logging_config(level: str = "INFO") -> dict[str, Any]:
    """Return a value for ``LOGGING``: one line on standard output for each record.

    Each has time, level, request id and logger. Django's own records use the same handler,
    so nothing is printed twice and no mail is sent to ``ADMINS``.

    Args:
        level: the lowest level that is shown; "DEBUG" also shows what the pools do.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": "logging.Formatter",
                "fmt": "%(asctime)s %(levelname)s [%(request_id)s] %(name)s: %(message)s",
                "defaults": {"request_id": "-"},
            },
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": "ext://sys.stdout",
                "formatter": "line",
            },
        },
        "root": {"handlers": ["stdout"], "level": level},
        "loggers": {"django": {"handlers": [], "level": "INFO", "propagate": True}},
    }
