"""A database of SQLite in a file of the test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.backends.signals import connection_created

from concurrency.db import pool_statistics
from concurrency.db.pool import registry
from tests.concurrency.db.drivers.sqlite.lite import ALIAS, ENGINE, Make, close, query, statistics
from tests.helpers import until


@pytest.fixture
def lite(tmp_path: Path) -> Iterator[Make]:
    """A database in a file, with a table ``t(x)``; call it to have another one instead."""

    def make(name: str = str(tmp_path / "lite.sqlite3"), **options: Any) -> None:
        forget()
        pool = {"max_size": options.pop("max_size", 20), "timeout": options.pop("wait", 5.0)}
        given = {"ENGINE": ENGINE, "NAME": name, "OPTIONS": {**options, "pool": pool}}
        made = connections.configure_settings({"default": {"ENGINE": ENGINE}, ALIAS: given})
        connections.settings[ALIAS] = made[ALIAS]
        query("CREATE TABLE IF NOT EXISTS t (x integer)")

    def forget() -> None:
        if connections.settings.pop(ALIAS, None) is not None:
            close_and_forget()

    def close_and_forget() -> None:
        wrapper = getattr(connections._connections, ALIAS, None)
        if wrapper is not None:
            wrapper.close()
            delattr(connections._connections, ALIAS)
        if ALIAS in pool_statistics():
            until(lambda: statistics().in_use + statistics().discarding == 0, "given back")
        registry.forget(ALIAS)

    make()
    yield make
    forget()


@pytest.fixture
def function(lite: Make) -> Iterator[Callable[..., None]]:
    """Register functions of Python with the connections, which run in native threads."""
    functions: dict[str, Callable[..., Any]] = {}

    def register(connection: Any, **_signal: Any) -> None:
        if connection.alias == ALIAS:
            for name, call in functions.items():
                connection.connection.create_function(name, -1, call)

    def add(call: Callable[..., Any]) -> None:
        functions[call.__name__] = call
        close()
        registry.forget(ALIAS)

    connection_created.connect(register)
    yield add
    connection_created.disconnect(register)
