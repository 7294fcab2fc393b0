"""Finds out whether a patch came in time or too late.

``sys.modules`` proves nothing: gunicorn imports ``ssl`` before any configuration file
runs, and that is harmless. A patch is late if a module already *holds* an unpatched
object: a lock, a thread-local, a socket class, a wait function. This module searches for
such objects, and repairs the references that can be repaired. It does not import Django,
and importing it changes nothing.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NamedTuple

from gevent import monkey

from concurrency.compat import python, urllib3
from concurrency.compat.django import values_in_storage

# Test runners, tracers and debuggers keep native threads and clocks on purpose.
_TOOLS = frozenset(
    {
        "pytest",
        "_pytest",
        "pluggy",
        "coverage",
        "xdist",
        "execnet",
        "debugpy",
        "pydevd",
        "_pydevd_bundle",
        "_pydev_bundle",
        "_pydev_imps",
    }
)

# Modules that need native primitives, or that gevent handles itself.
_EXEMPT = (
    frozenset(sys.stdlib_module_names)
    | {"gevent", "greenlet", "zope", "_cffi_backend", "concurrency"}
    | _TOOLS
)

# Commands that run code before the first line of a program, by a module that reveals them.
_LAUNCHERS = {
    "opentelemetry.instrumentation.auto_instrumentation": "opentelemetry-instrument",
    "ddtrace.bootstrap.sitecustomize": "ddtrace-run",
    "newrelic.bootstrap": "newrelic-admin run-program",
}

# Imported by nearly everything and fully repairable, see repair().
_REPAIRABLE = frozenset({"urllib3", "socks"})

# The first has a check of its own. The second creates reentrant locks, which all greenlets
# of a thread can hold at once, and is imported before Celery's patch for gevent workers.
_NOT_JUDGED = frozenset({"psycopg.waiting", "kombu.utils.objects"})

_BOUND_NAMES = {
    "socket": ("socket", "create_connection", "socketpair", "fromfd", "getaddrinfo"),
    "ssl": ("SSLSocket",),
    "threading": ("Lock", "RLock", "local"),
    "_thread": ("start_new_thread",),
    "select": ("select", "poll", "epoll"),
}


class Native(NamedTuple):
    """The unpatched objects of this process, to search for."""

    by_id: dict[int, str]
    instances: tuple[type, ...]
    bases: tuple[type, ...]
    local: type
    ssl_context: type

    @classmethod
    def collect(cls) -> Native:
        """Return the originals, whether or not the process is already patched."""

        def original(module: str, name: str) -> Any:
            __import__(module)
            return monkey.get_original(module, name)

        by_id = {
            id(original(module, name)): f"{module}.{name}"
            for module, names in _BOUND_NAMES.items()
            for name in names
            if hasattr(sys.modules.get(module) or __import__(module), name)
        }
        local, socket = original("threading", "local"), original("socket", "socket")
        lock = type(original("_thread", "allocate_lock")())
        return cls(
            by_id, (lock, local, socket), (local, socket), local, original("ssl", "SSLContext")
        )


def is_patched() -> bool:
    """Return whether sockets, threads and locks of this process are cooperative."""
    return all(monkey.is_module_patched(name) for name in ("socket", "threading", "select"))


def late_modules() -> list[tuple[str, str]]:
    """Return ``(module, what it holds)`` for modules imported before a foreign patch.

    If ``concurrency.patch`` was imported, it has already searched and reported.
    """
    if not is_patched() or "concurrency.patch" in sys.modules:
        return []
    return find(Native.collect())


def find(native: Native) -> list[tuple[str, str]]:
    """Return ``(module, what it holds)`` for every module imported before the patch.

    Args:
        native: the unpatched objects to look for.
    """
    return [*_find_threads(), *_find_known(native), *_find_bound(native)]


def _find_threads() -> Iterator[tuple[str, str]]:
    """Look for native threads, whose locks and imports a later patch would split."""
    if is_patched():
        return  # they are greenlets
    launcher = next((name for shown, name in _LAUNCHERS.items() if shown in sys.modules), None)
    for thread in threading.enumerate():
        module = _module_of(thread)
        if thread is not threading.main_thread() and module.partition(".")[0] not in _TOOLS:
            by = f" (by {launcher}, see docs/threads.md)" if launcher else ""
            yield module, f"has started the native thread {thread.name!r}{by}"


def _module_of(thread: threading.Thread) -> str:
    """Return the module whose code a thread runs."""
    target = python.target_of(thread)
    return str(getattr(target, "__module__", None) or type(thread).__module__)


def _find_known(native: Native) -> Iterator[tuple[str, str]]:
    """Check the two places where a late patch goes unnoticed and does the most harm."""
    database = sys.modules.get("django.db")
    connections = getattr(database, "connections", None)
    stored = () if connections is None else values_in_storage(connections)
    if any(type(value) is native.local for value in stored):
        yield (
            "django.db",
            "keeps its connections in a native thread-local, so that all greenlets "
            "would share them",
        )
    waiting = sys.modules.get("psycopg.waiting")
    blocking = getattr(waiting, "wait_c", None)
    if blocking is not None and getattr(waiting, "wait", None) is blocking:
        yield "psycopg", "has chosen its blocking wait function"


def _find_bound(native: Native) -> Iterator[tuple[str, str]]:
    for module in _candidates():
        for name, value in list(vars(module).items()):
            if what := _describe(name, value, module.__name__, native):
                yield module.__name__, what
                break  # one fact is enough to report a module


def _describe(name: str, value: object, module: str, native: Native) -> str | None:
    # type() and never isinstance(), which makes lazy objects evaluate themselves.
    kind = type(value)
    if id(value) in native.by_id:
        return f"has bound the unpatched {native.by_id[id(value)]} as {name}"
    if kind in native.instances:
        return f"has made an unpatched {kind.__name__} as {name}"
    if issubclass(kind, type):
        bases = value.__mro__[1:]  # type: ignore[attr-defined]
        if any(base in bases for base in native.bases) and value.__module__ == module:
            return f"has derived {name} from an unpatched class"
    return None


def _candidates() -> Iterator[ModuleType]:
    for name, module in list(sys.modules.items()):
        root = name.partition(".")[0]
        # Aliases such as requests.packages.urllib3 are checked under their own name.
        if type(module) is not ModuleType or module.__name__ != name:
            continue
        if root not in _EXEMPT | _REPAIRABLE and name not in _NOT_JUDGED:
            yield module


def main_owner() -> int:
    """Return the caller's owner number in locks: its thread's, or its greenlet's if patched."""
    return threading.get_ident()


def repair_owners(before: int) -> None:
    """Set the owner of locks that the caller took before the patch to its current number.

    gevent does so if there is one thread. The running import holds such a lock.
    """
    python.pass_on_locks(before, main_owner())


def repair(native: Native) -> None:
    """Replace the unpatched objects that early imports have bound, where that is possible.

    urllib3 resolves all of its names at use, so replacing them with the patched ones is
    complete. A module that has bound ``ssl.SSLContext`` uses it only as a factory, and
    creates no contexts at import: the same holds.
    """
    import ssl

    if ssl.SSLContext is native.ssl_context:
        return  # nothing is patched
    for name, module in list(sys.modules.items()):
        if type(module) is not ModuleType:
            continue
        for key, value in list(vars(module).items()):
            if value is native.ssl_context and name != "ssl" and not name.startswith("gevent"):
                setattr(module, key, ssl.SSLContext)
    _repair_urllib3()
    _repair_asgiref()


def _repair_urllib3() -> None:
    urllib3.use_patched()
    # PySocks derives its socket class from the current one; urllib3 looks it up at each use.
    if (socks := sys.modules.get("socks")) is not None:
        importlib.reload(socks)


def _repair_asgiref() -> None:
    """Replace the executor whose native queue would block the hub for ever."""
    if "asgiref.sync" not in sys.modules:
        return
    from concurrent.futures import ThreadPoolExecutor

    from concurrency.compat import asgiref

    executor = asgiref.single_thread()
    if executor is not None and not python.has_threads(executor):
        asgiref.replace_single_thread(ThreadPoolExecutor(max_workers=1))
