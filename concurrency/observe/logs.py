"""Gives every log record ``request_id`` and ``trace_id``.

A formatter with ``%(request_id)s`` works for records of all loggers. Records made before
Django was set up lack the attribute: give the formatter a default.
"""

from __future__ import annotations

import logging
from typing import Any

from concurrency.observe.requests import current
from concurrency.text import printable

__all__ = ["NO_REQUEST", "install"]

_ACCESS_LOG = "gunicorn.access"

#: The value of both attributes outside of requests.
NO_REQUEST = "-"


class _Factory:
    """Makes log records with the previous factory, and adds the ids."""

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
    """The values of gunicorn's access log, without characters that could forge a line."""

    def __init__(self, atoms: Any) -> None:
        self._atoms = atoms

    def __getitem__(self, name: str) -> Any:
        value = self._atoms[name]
        return printable(value) if isinstance(value, str) else value


def _name_request(record: logging.LogRecord) -> bool:
    """Add the ids to Django's record about a response, which comes after the request has ended."""
    passing = getattr(getattr(record, "request", None), "concurrency_passing", None)
    if passing is not None:
        record.request_id, record.trace_id = passing.request_id, passing.trace.trace_id
    return True


def install() -> None:
    """Add the ids to all records of this process from now on."""
    make = logging.getLogRecordFactory()
    if not isinstance(make, _Factory):
        logging.setLogRecordFactory(_Factory(make))
        logging.getLogger("django.request").addFilter(_name_request)
