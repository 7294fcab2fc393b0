"""The process's limit of open files: each client and each connection is one."""

from __future__ import annotations

import contextlib
import sys


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, as far as the system lets it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS calls the hard one infinite and refuses it for the soft one.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
