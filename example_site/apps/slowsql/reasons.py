"""What a client is told of a failure: enough to act on, and nothing of where things are.

Messages of drivers name hosts, ports, roles and databases. Those go to the log; the client reads
the kind of the error, and the server's own words only where they are about a statement.
"""

from __future__ import annotations

from typing import Any

from concurrency.errors import PoolTimeout

__all__ = ["reason"]

# SQLSTATEs that tell of an end of a statement: cancelled, or its session ended by the server.
ABOUT_A_STATEMENT = frozenset({"57014", "57P01", "57P02"})
IN_THE_LOG = "the log says why"


def reason(error: BaseException) -> str:
    """Return one line about an error of a database or of HTTP, for whoever asked."""
    return f"{type(error).__name__}: {_detail(error)}"


def _detail(error: BaseException) -> str:
    if isinstance(error, PoolTimeout):
        return f"no connection became free within {error.seconds:.2f} s; {IN_THE_LOG}"
    raised = error.__cause__  # the driver's, around which Django puts its own
    diagnostics: Any = getattr(raised, "diag", None)
    if getattr(diagnostics, "sqlstate", None) in ABOUT_A_STATEMENT:
        return str(diagnostics.message_primary)
    return IN_THE_LOG
