"""The private names of all dependencies: there today, and named when they are not."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module

import pytest

from concurrency.compat import survey
from concurrency.compat.names import Names

# An app with models and checks of its own is looked at in a process of its own.
MODULES = sorted(survey.DEPENDENCIES.keys() - {"debug_toolbar"})

# One name of each dependency, to be taken away.
BROKEN = {
    "asgiref": "asgiref.sync.SyncToAsync.threadlocal",
    "asyncio": "asyncio._get_running_loop",
    "django": "django.db.backends.utils.CursorWrapper._executemany",
    "django_postgresql": ("django.db.backends.postgresql.base.DatabaseWrapper._configure_timezone"),
    "multiprocessing": "multiprocessing.synchronize.SemLock._make_methods",
    "python": "threading._SHUTTING_DOWN",
    "gunicorn": "gunicorn.http.message.Request._handle_proxy_protocol",
    "prometheus_client": "prometheus_client.values.MultiProcessValue",
    "psycopg": "psycopg._preparing.PrepareManager.clear",
    "psycopg2": "psycopg2._psycopg",
    "pymysql": "pymysql.connections.Connection._execute_command",
    "urllib3": "urllib3.connectionpool.HTTPConnectionPool._get_conn",
    "gevent": "gevent._hub_local.get_hub_if_exists",
}


def test_each_dependency_is_broken_once() -> None:
    """The table of this test has a name of each."""
    assert sorted(BROKEN) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_all_names_are_there(module: str) -> None:
    """With the versions that are installed, nothing is missing."""
    assert survey.missing_of(module) == []


@pytest.mark.parametrize("module", MODULES)
def test_a_name_that_has_gone_is_reported(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A dependency that lacks one name is reported by that name, and by nothing else."""
    name = BROKEN[module]
    names: Names = import_module(f"concurrency.compat.{module}").NAMES
    monkeypatch.delattr(name)
    (line,) = survey.missing_of(module)
    assert line.startswith(f"{names.distribution} ")
    assert f" has no {name}" in line


@pytest.mark.slow
def test_the_package_imports_nothing() -> None:
    """No dependency is imported before somebody asks for its module."""
    code = "import sys; import concurrency, concurrency.compat.survey; print(*sys.modules)"
    # coverage imports some of them itself.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    shown = {name.partition(".")[0] for name in survey.DEPENDENCIES.values()}
    assert not (shown - {"sys"}) & set(done.stdout.split())


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_the_command_looks_at_all_dependencies() -> None:
    """`python -m concurrency.compat` ends well where nothing is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "concurrency.compat"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(name in done.stdout for name in survey.DEPENDENCIES)


TOOLBAR = """
from concurrency.compat.__main__ import configure_django
configure_django()
from debug_toolbar.panels.sql import tracking
del tracking.wrap_cursor
from concurrency.compat import survey
print(*survey.missing("asgiref"))
"""


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_a_toolbar_without_a_name_is_reported() -> None:
    """django-debug-toolbar is looked at where it is in use."""
    done = subprocess.run(
        [sys.executable, "-c", TOOLBAR], capture_output=True, text=True, check=False
    )
    name = "debug_toolbar.panels.sql.tracking.wrap_cursor(connection)"
    assert re.fullmatch(rf"django-debug-toolbar \S+ has no {re.escape(name)}\n", done.stdout)
