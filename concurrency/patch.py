"""Importing this module makes the process cooperative.

It must be the first import of every entry point::

    import concurrency.patch

It patches the standard library, then the installed database drivers. Importing it again
does nothing. If a module that cannot be repaired was imported before,
``LatePatchError`` names it and nothing is patched.

Two environment variables leave the process unpatched, for code that uses processes in a
way that does not work in a patched one (docs/threads.md):

* ``CONCURRENCY_PATCH=0``: for any program;
* ``CONCURRENCY_UNPATCHED_COMMANDS=a,b``: for the management commands ``a`` and ``b``.

A patched process waits for thousands of sockets at a time, and the usual soft limit of
open files is 1,024. So the patch raises it to the hard limit, and child processes inherit
it. ``CONCURRENCY_RAISE_FILE_LIMIT=0`` leaves it alone, for C code that calls ``select()``
and fails with descriptors above 1,023 (Python's ``select`` is gevent's here, and works).

``CONCURRENCY_ALLOW_LATE=x,y`` tolerates that the top-level packages ``x`` and ``y`` were
imported first, for tracers that start before everything else.
"""

from __future__ import annotations

import os
import sys
import warnings
from importlib.util import find_spec
from pathlib import PurePath

from gevent import monkey
from gevent.monkey import MonkeyPatchWarning

from concurrency.compat.django import inert_lazy_objects
from concurrency.errors import LatePatchError
from concurrency.patching import files, lateness, mysqldb
from concurrency.patching.lateness import is_patched, late_modules
from concurrency.values import truth_of

__all__ = ["is_patched", "late_modules"]

_MANAGEMENT_SCRIPTS = frozenset({"manage.py", "django-admin", "django-admin.py"})


def _wanted() -> bool:
    is_on = _flag("CONCURRENCY_PATCH")
    return is_on and _management_command() not in _names("CONCURRENCY_UNPATCHED_COMMANDS")


def _flag(variable: str) -> bool:
    """Return whether an environment variable is not turned off."""
    value = os.environ.get(variable, "").strip()
    truth = truth_of(value or "1")
    if truth is None:
        raise ValueError(f"{variable}={value!r} in the environment: write 0 or 1")
    return truth


def _names(variable: str) -> set[str]:
    return {name.strip() for name in os.environ.get(variable, "").split(",") if name.strip()}


def _management_command() -> str | None:
    """Return the management command that this process runs, or None."""
    script = PurePath(sys.argv[0]) if sys.argv else PurePath()
    as_module = script.name == "__main__.py" and script.parent.name in ("django", "concurrency")
    if not as_module and script.name not in _MANAGEMENT_SCRIPTS:
        return None
    return next((word for word in sys.argv[1:] if not word.startswith("-")), None)


def _tolerated(findings: list[tuple[str, str]]) -> list[tuple[str, str]]:
    allowed = _names("CONCURRENCY_ALLOW_LATE")
    return [finding for finding in findings if finding[0].partition(".")[0] not in allowed]


def _patch() -> None:
    # A foreign patch (locust, gunicorn) serves as well as ours if it came in time.
    late = _tolerated(lateness.find(_native))
    if late:
        raise LatePatchError(late)
    if not is_patched():
        with inert_lazy_objects(), warnings.catch_warnings():
            # gevent warns about modules that have bound SSLContext; repair() fixes them.
            warnings.simplefilter("ignore", MonkeyPatchWarning)
            owner = lateness.main_owner()
            monkey.patch_all()
            lateness.repair_owners(owner)
    _share_primitives()
    lateness.repair(_native)
    _patch_drivers()
    if _flag("CONCURRENCY_RAISE_FILE_LIMIT"):
        files.raise_limit()
    _patch_asyncio()


def _share_primitives() -> None:
    # It imports modules that must find patched threads.
    from concurrency.patching import libraries, log_handlers, processes, sharing, subprocesses

    sharing.install()
    log_handlers.install()
    processes.install()
    subprocesses.install()
    libraries.install()


def _patch_drivers() -> None:
    if find_spec("psycopg2") is not None and find_spec("psycogreen") is not None:
        from psycogreen.gevent import patch_psycopg

        patch_psycopg()
    if find_spec("pymysql") is not None:
        mysqldb.install()


def _patch_asyncio() -> None:
    # These import asyncio and asgiref, which must find patched threads and sockets.
    from concurrency import aio
    from concurrency.aio import marker

    marker.install()
    aio.install()


_native = lateness.Native.collect()
if _wanted():
    _patch()
