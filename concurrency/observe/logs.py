"""Every log record says which request it belongs to: ``request_id`` and ``trace_id``.

A formatter with ``%(request_id)s`` works for records of all loggers. Those that were made
before Django was set up have no such attribute: give the formatter a default.
"""

from __future__ import annotations

import logging
from typing import Any

from concurrency.observe.requests import current

__all__ = ["NO_REQUEST", "install"]

#: What the attributes are outside of requests.
NO_REQUEST = "-"


class _Factory:
    """Makes log records, by way of the factory that was there before."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **kwargs)
        passing = current.get()
        record.request_id = NO_REQUEST if passing is None else passing.request_id
        record.trace_id = NO_REQUEST if passing is None else passing.trace.trace_id
        return record


def install() -> None:
    """Name the request in all records of this process from now on."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Factory):
        logging.setLogRecordFactory(_Factory(make))
