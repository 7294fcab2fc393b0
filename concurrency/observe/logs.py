"""Every log record says which request it belongs to: ``request_id`` and ``trace_id``.

A formatter with ``%(request_id)s`` works for records of all loggers. Those that were made
before Django was set up have no such attribute: give the formatter a default.
"""

from __future__ import annotations

import logging
from typing import Any

from concurrency.observe.requests import current
from concurrency.text import printable

__all__ = ["NO_REQUEST", "install"]

_ACCESS_LOG = "gunicorn.access"

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
        if record.name == _ACCESS_LOG and not isinstance(record.args, tuple):
            record.args = _Printable(record.args)  # type: ignore[assignment]
        return record


class _Printable:
    """What gunicorn's access log shows of a request, without what could forge a line."""

    def __init__(self, atoms: Any) -> None:
        self._atoms = atoms

    def __getitem__(self, name: str) -> Any:
        value = self._atoms[name]
        return printable(value) if isinstance(value, str) else value


def _name_request(record: logging.LogRecord) -> bool:
    """Name the request in what Django says of its answer, after the request has ended here."""
    passing = getattr(getattr(record, "request", None), "concurrency_passing", None)
    if passing is not None:
        record.request_id, record.trace_id = passing.request_id, passing.trace.trace_id
    return True


def install() -> None:
    """Name the request in all records of this process from now on."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Factory):
        logging.setLogRecordFactory(_Factory(make))
        logging.getLogger("django.request").addFilter(_name_request)
