"""What psycopg2 does not promise: the libpq that it is linked to.

It imports nothing of psycopg2 before somebody asks.
"""

from __future__ import annotations

import ctypes
import functools
from typing import Any

from concurrency.compat.names import Names

__all__ = ["NAMES", "libpq"]

NAMES = Names(
    "psycopg2-binary",
    "psycopg2:_psycopg.__file__",
    "psycopg2.extensions:connection.pgconn_ptr",
)


@functools.cache
def libpq() -> ctypes.CDLL:
    """Return the libpq that psycopg2 is linked to, with its functions that cancel statements.

    Raises:
        AttributeError: this build of psycopg2 does not let libpq be reached.
    """
    from psycopg2 import _psycopg

    library = ctypes.CDLL(_psycopg.__file__)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    functions: dict[str, tuple[Any, list[Any]]] = {
        "PQgetCancel": (pointer, [pointer]),
        "PQcancel": (number, [pointer, text, number]),
        "PQfreeCancel": (None, [pointer]),
    }
    if hasattr(library, "PQcancelCreate"):
        functions |= {
            "PQcancelCreate": (pointer, [pointer]),
            "PQcancelStart": (number, [pointer]),
            "PQcancelPoll": (number, [pointer]),
            "PQcancelSocket": (number, [pointer]),
            "PQcancelErrorMessage": (text, [pointer]),
            "PQcancelFinish": (None, [pointer]),
        }
    for name, (result, arguments) in functions.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library
