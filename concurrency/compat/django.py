"""What Django does not promise. It imports nothing of Django, which may not be there yet."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any

from concurrency.compat.names import Names

__all__ = [
    "NAMES",
    "atomic_exemptions",
    "call_at_end",
    "inert_lazy_objects",
    "is_of_test_case",
    "is_testing",
    "options_of_cache",
    "set_options_of_cache",
    "set_storage",
    "storage",
    "values_in_storage",
]

_BASE = "django.db.backends.base.base:BaseDatabaseWrapper"
_CREATION = "django.db.backends.base.creation:BaseDatabaseCreation"

NAMES = Names(
    "Django",
    "django.core.cache.backends.redis:RedisCache()._options",
    "django.core.handlers.base:BaseHandler.make_view_atomic(self, view)",
    "django.db.backends.utils:CursorWrapper._execute(self, sql, params)",
    "django.db.backends.utils:CursorWrapper._executemany(self, sql, param_list)",
    "django.db.transaction:Atomic()._from_testcase",
    "django.db.transaction:_non_atomic_requests",
    "django.http.response:HttpResponseBase()._resource_closers",
    "django.utils.connection:BaseConnectionHandler()._connections",
    "django.utils.functional:LazyObject()._wrapped",
    "django.utils.functional:empty",
    # What the wrappers of databases override, or look at in themselves.
    f"{_BASE}._close(self)",
    f"{_BASE}._commit(self)",
    f"{_BASE}._rollback(self)",
    f"{_BASE}._set_autocommit(self, autocommit)",
    f"{_BASE}()._thread_ident",
    f"{_CREATION}._clone_test_db(self, suffix, verbosity, keepdb)",
    f"{_CREATION}._create_test_db(self, verbosity, autoclobber, keepdb)",
    f"{_CREATION}._destroy_test_db(self, test_database_name, verbosity)",
    "django.db.backends.sqlite3.base:DatabaseWrapper._start_transaction_under_autocommit(self)",
)


# Of handlers: `django.db.connections`, `django.core.cache.caches`


#: Where a handler keeps what it has made, by alias as attributes.
storage: Callable[[Any], Any] = attrgetter("_connections")


def set_storage(handler: Any, storage: Any) -> None:
    """Have a handler keep elsewhere what it makes."""
    handler._connections = storage


def values_in_storage(handler: Any) -> list[Any]:
    """Return what the storage of a handler consists of, without asking the storage."""
    return list(object.__getattribute__(handler._connections, "__dict__").values())


def options_of_cache(backend: Any) -> dict[str, Any]:
    """Return the options of a cache in Redis, for its clients."""
    options: dict[str, Any] = backend._options
    return options


def set_options_of_cache(backend: Any, options: dict[str, Any]) -> None:
    """Replace the options of a cache in Redis that has made no client yet."""
    backend._options = options


# Of requests


def call_at_end(response: Any, call: Callable[[], object]) -> None:
    """Have something called when a response is closed."""
    response._resource_closers.append(call)


def atomic_exemptions(view: Any) -> set[str]:
    """Return for which aliases a view wants no transaction, by ``non_atomic_requests``."""
    aliases: set[str] = getattr(view, "_non_atomic_requests", set())
    return aliases


# Of tests

#: Whether an ``atomic`` block is that of a ``TestCase`` around a test.
is_of_test_case: Callable[[Any], bool] = attrgetter("_from_testcase")


def is_testing() -> bool:
    """Return whether Django's test runner has set the process up."""
    utils = sys.modules.get("django.test.utils")
    state = getattr(utils, "_TestState", None)
    return hasattr(state, "saved_data")


# Of lazy objects


@contextmanager
def inert_lazy_objects() -> Iterator[None]:
    """Keep who asks each object for its class from evaluating Django's settings.

    An unevaluated ``LazySettings`` answers by loading the settings, which may not be
    configured yet.
    """
    functional = sys.modules.get("django.utils.functional")
    if functional is None:
        yield
        return
    states = [
        object.__getattribute__(candidate, "__dict__")
        for candidate in gc.get_objects()
        if functional.LazyObject in type(candidate).__mro__
    ]
    unevaluated = [state for state in states if state.get("_wrapped") is functional.empty]
    for state in unevaluated:
        state["_wrapped"] = None
    try:
        yield
    finally:
        for state in unevaluated:
            state["_wrapped"] = functional.empty
