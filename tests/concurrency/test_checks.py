"""System checks: each says what is wrong, and the documentation lists them all."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections import namedtuple
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import psycopg_pool
import pytest
from django.core.checks import run_checks
from django.db import connections
from django.test import override_settings

from concurrency import checks
from concurrency.db.pool.options import PoolOptions
from concurrency.db.pool.replacements import replacement_in_pool
from concurrency.middleware import ConcurrencyMiddleware
from concurrency.patching import lateness
from concurrency.server import checks as serving
from concurrency.server.arbiter.survey import survey

ROOT = Path(__file__).resolve().parents[2]


def ids(messages):
    return [message.id for message in messages]


@pytest.fixture
def database():
    """Change settings of the default database for a test."""
    settings = connections.settings["default"]
    before = dict(settings)

    def change(**changes):
        settings.update(changes)

    yield change
    settings.clear()
    settings.update(before)


def test_a_sound_project_has_no_complaint():
    """The test settings themselves are clean, databases included."""
    assert run_checks(databases=["default"]) == []


@contextmanager
def fresh(alias):
    """Have the wrapper of an alias made from its settings as they are."""
    before = connections[alias]
    del connections[alias]
    try:
        yield
    finally:
        connections[alias] = before


EARLY = """
import sys, threading, types
sys.modules["early"] = early = types.ModuleType("early")
early.Lock = threading.Lock
"""
CHECKS = """
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["concurrency"])
django.setup()
from django.core.checks import run_checks
print([message.id for message in run_checks()])
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "found"),
    [
        ("import os; os.environ['CONCURRENCY_PATCH'] = '0'\nimport concurrency.patch", "W001"),
        ("# the import was forgotten", "W001"),
        (f"{EARLY}import gevent.monkey; gevent.monkey.patch_all()", "E001"),
    ],
)
def test_a_process_that_is_not_patched_in_time_is_told(start, found):
    """Turned off, forgotten, or done too late by somebody else: each is found, not suffered."""
    done = subprocess.run(
        [sys.executable, "-c", start + CHECKS], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == f"['concurrency.{found}']"


def test_a_module_that_came_too_early_is_named(monkeypatch):
    """E001 is for a process that somebody else patched late."""
    monkeypatch.setattr(lateness, "late_modules", lambda: [("early.module", "has bound a lock")])
    (message,) = checks.check_patch()
    assert message.id == "concurrency.E001"
    assert "early.module" in message.msg
    assert "early.module" in message.hint


def test_mysqlclient_is_refused(monkeypatch):
    """E002: it would block all greenlets."""
    monkeypatch.setitem(sys.modules, "MySQLdb", type(sys)("MySQLdb"))
    monkeypatch.setattr(connections["default"], "vendor", "mysql", raising=False)
    assert ids(checks.check_driver()) == ["concurrency.E002"]


@pytest.mark.parametrize("psycopg", ["is not installed", "was turned off"])
def test_psycopg2_without_its_callback_is_refused(monkeypatch, psycopg):
    """E003: so would psycopg2 as it comes."""
    from psycopg2 import extensions

    monkeypatch.delitem(sys.modules, "psycopg", raising=False)
    if psycopg == "was turned off":
        monkeypatch.setitem(sys.modules, "psycopg", None)
    before = extensions.get_wait_callback()
    extensions.set_wait_callback(None)
    try:
        assert ids(checks.check_driver()) == ["concurrency.E003"]
    finally:
        extensions.set_wait_callback(before)


def test_uvloop_is_refused(monkeypatch):
    """E006: a policy that makes loops which would stop all greenlets."""
    policy = type("EventLoopPolicy", (), {"__module__": "uvloop"})()
    monkeypatch.setattr("asyncio.events._event_loop_policy", policy)
    assert ids(checks.check_asyncio()) == ["concurrency.E006"]


def test_an_asgiref_that_is_not_known_is_questioned(monkeypatch):
    """W007: where asgiref could not be given greenlets."""
    monkeypatch.setattr("asgiref.sync.CurrentThreadExecutor", object)
    assert ids(checks.check_asyncio()) == ["concurrency.W007"]


def test_what_an_asgiref_lacks_is_named(monkeypatch):
    """W007: with the name that an upgrade has taken away."""
    monkeypatch.setattr("asgiref.sync.CurrentThreadExecutor", object)
    monkeypatch.delattr("asgiref.sync._restore_context")
    (message,) = checks.check_asyncio()
    assert message.msg.endswith("has no asgiref.sync._restore_context(context).")


def test_a_private_name_that_has_gone_is_named(monkeypatch):
    """E011: an upgrade of a dependency has taken it away."""
    assert checks.check_private_names() == []
    monkeypatch.delattr("gevent._hub_local.get_hub_if_exists")
    (message,) = checks.check_private_names()
    assert message.id == "concurrency.E011"
    assert re.match(r"gevent \S+ has no gevent\._hub_local\.get_hub_if_exists, ", message.msg)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ({"OFLOAD_THREADS": 3}, "'OFLOAD_THREADS'] is not an option"),
        ({"OFFLOAD_THREADS": "3"}, "must be a whole number, not '3'"),
        ({"OFFLOAD_THREADS": True}, "must be a whole number"),
        ({"OFFLOAD_THREADS": 0}, "must be at least 1"),
        ({"REQUEST_DEADLINE": "soon"}, "must be a number of seconds or None"),
        ({"REQUEST_DEADLINE": 0}, "must be more than 0"),
        ({"TRACK_LEASES": 1}, "must be True or False"),
        ({"FAN_OUT_IN_ATOMIC": "shout"}, "must be one of ('warn', 'raise', 'allow')"),
        ({"WORKERS": "4"}, "must be a whole number, not '4'"),
        ({"STATIC": "false"}, "must be True or False, not 'false'"),
        (["OFFLOAD_THREADS"], "must be a dictionary"),
    ],
)
def test_bad_keys_of_the_setting_are_named(value, part):
    """E004 names key and remedy."""
    with override_settings(CONCURRENCY=value):
        (message,) = checks.check_settings()
    assert message.id == "concurrency.E004"
    assert part in message.msg


@pytest.mark.parametrize(
    ("pool", "part"),
    [
        ({"max_sise": 3}, "'max_sise' is not an option; the options are max_size"),
        ({"max_size": 0}, "max_size must be at least 1, not 0"),
        ({"max_size": 2.5}, "max_size must be a whole number"),
        ({"timeout": "5"}, "timeout must be seconds, not '5'"),
        ({"min_size": 5, "max_size": 4}, "min_size is larger than max_size"),
        ({"lend_while_waiting": 1}, "must be True or False"),
        ("twenty", "must be a dictionary"),
    ],
)
def test_bad_pool_options_are_named(database, pool, part):
    """E005 names database, option and remedy."""
    database(OPTIONS={"pool": pool})
    (message,) = checks.check_databases()
    assert message.id == "concurrency.E005"
    assert message.msg.startswith("DATABASES['default']['OPTIONS']['pool']: ")
    assert part in message.msg


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"pool_max_sise": "3"}, "'max_sise' is not an option"),
        ({"pool_max_size": "many"}, "max_size must be a whole number, not 'many'"),
        ({"pool_max_size": "0"}, "max_size must be at least 1, not 0"),
        ({"pool_timeout": "nan"}, "timeout must be at least 0, not nan"),
        ({"pool_lend_while_waiting": "perhaps"}, "must be True or False, not 'perhaps'"),
        ({"pool": {"max_size": 2}, "pool_min_size": "3"}, "min_size is larger than max_size"),
    ],
)
def test_bad_pool_options_of_a_url_are_named(database, options, part):
    """E005 reads what a database URL has left among the options."""
    database(OPTIONS=options)
    (message,) = checks.check_databases()
    assert message.id == "concurrency.E005"
    assert part in message.msg


PSYCOPG = "concurrency.db.backends.postgresql"
SQLITE = "concurrency.db.backends.sqlite3"
MYSQL = "concurrency.db.backends.mysql"


@pytest.mark.parametrize(
    ("engine", "changes", "problem", "remedy"),
    [
        (
            PSYCOPG,
            {"OPTIONS": {"MAX_CONNS": 20}},
            "['OPTIONS']['MAX_CONNS'] is an option of django-db-geventpool.",
            "OPTIONS['pool'] = {'max_size': 20}",
        ),
        (
            PSYCOPG,
            {"OPTIONS": {"REUSE_CONNS": 10}},
            "['OPTIONS']['REUSE_CONNS'] is an option of django-db-geventpool.",
            "OPTIONS['pool'] = {'min_size': 10}",
        ),
        (
            PSYCOPG,
            {"OPTIONS": {}, "POOL_OPTIONS": {"POOL_SIZE": 10}},
            "['POOL_OPTIONS']['POOL_SIZE'] is an option of django-db-connection-pool.",
            "{'max_size': 10}",
        ),
        (
            PSYCOPG,
            {"OPTIONS": {}, "POOL_OPTIONS": {"MAX_OVERFLOW": 5}},
            "['POOL_OPTIONS']['MAX_OVERFLOW'] is an option",
            "OPTIONS['pool']['max_size']",
        ),
        (
            PSYCOPG,
            {"OPTIONS": {}, "POOL_OPTIONS": {"RECYCLE": 3600}},
            "['POOL_OPTIONS']['RECYCLE'] is an option",
            "{'max_lifetime': 3600}",
        ),
        (
            PSYCOPG,
            {"OPTIONS": {}, "POOL_OPTIONS": {"TIMEOUT": 3}},
            "['POOL_OPTIONS']['TIMEOUT'] is an option",
            "{'timeout': 3}",
        ),
        (
            PSYCOPG,
            {"OPTIONS": {}, "POOL_OPTIONS": {"PRE_PING": True}},
            "['POOL_OPTIONS']['PRE_PING'] is an option",
            "looks at each connection",
        ),
        (
            PSYCOPG,
            {"OPTIONS": {"aplication_name": "shop"}},
            "['OPTIONS']['aplication_name'] is no option of the driver",
            "correct its name",
        ),
        (
            MYSQL,
            {"OPTIONS": {"chrset": "utf8mb4"}},
            "['OPTIONS']['chrset'] is no option of the driver",
            "correct its name",
        ),
        (
            SQLITE,
            {"OPTIONS": {"MAX_SIZE": 3}},
            "['OPTIONS']['MAX_SIZE'] is no option of the driver",
            "options of the pool stand in OPTIONS['pool']",
        ),
    ],
)
def test_options_of_other_pools_and_of_nobody_are_named(database, engine, changes, problem, remedy):
    """E008 says what takes their place; without it every request would fail."""
    database(ENGINE=engine, **changes)
    with fresh("default"):
        (message,) = checks.check_databases()
    assert message.id == "concurrency.E008"
    assert message.msg.startswith(f"DATABASES['default']{problem}")
    assert remedy in message.hint


@pytest.mark.parametrize(
    ("engine", "options"),
    [
        (
            PSYCOPG,
            {
                "application_name": "shop",
                "sslmode": "prefer",
                "prepare_threshold": 3,
                "server_side_binding": True,
                "isolation_level": 4,
                "assume_role": "shop",
                "pool": {"max_size": 2},
                "pool_timeout": "3",
            },
        ),
        (
            MYSQL,
            {"charset": "utf8mb4", "isolation_level": "serializable", "init_command": "DO 1"},
        ),
        (SQLITE, {"timeout": 3, "transaction_mode": "EXCLUSIVE", "init_command": "PRAGMA x"}),
    ],
)
@pytest.mark.skipif("os.environ.get('TEST_DRIVER') == 'psycopg2'", reason="of psycopg 3")
def test_options_of_the_driver_and_of_django_are_fine(database, engine, options):
    """The driver is asked, and what Django takes out for itself it never sees."""
    database(ENGINE=engine, OPTIONS=options)
    with fresh("default"):
        assert checks.check_databases() == []


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("check", "looks at each connection"),
        ("close_returns", "close() gives the connection back"),
        ("configure", "connection_created"),
        ("connection_class", "class of this package"),
        ("conninfo", "own settings"),
        ("kwargs", "into OPTIONS"),
        ("name", "alias of its database"),
        ("num_workers", "opened at the same time"),
        ("open", "with the first query"),
        ("reconnect_failed", "connects again"),
        ("reconnect_timeout", "connects again"),
    ],
)
def test_options_of_djangos_own_pool_are_explained(database, name, remedy):
    """E005 says what takes their place, for each that psycopg_pool has and this pool has not."""
    database(OPTIONS={"pool": {name: 1}})
    (message,) = checks.check_databases()
    assert message.id == "concurrency.E005"
    assert message.msg.startswith(f"DATABASES['default']['OPTIONS']['pool']: {name!r} is not an")
    assert "psycopg_pool has it" in message.msg
    assert remedy in message.msg


def test_every_option_of_psycopg_pool_is_known():
    """A release that adds one is noticed here."""
    theirs = set(inspect.signature(psycopg_pool.ConnectionPool).parameters)
    ours = {field.name for field in fields(PoolOptions)} - {"lend_while_waiting"}
    assert {name for name in theirs - ours if not replacement_in_pool(name)} == set()


def test_a_pool_that_is_off_is_called_unbounded(database):
    """W008: other pools need 'pool': False, this one is turned off by it."""
    database(OPTIONS={"pool": False})
    (message,) = checks.check_databases()
    assert message.id == "concurrency.W008"
    assert "no limit" in message.msg
    (pool,) = survey()["pools"]
    assert pool["size"] is None


def test_a_pool_that_is_only_true_is_fine(database):
    """True means the defaults, as with Django's own pool."""
    database(OPTIONS={"pool": True})
    assert checks.check_databases() == []


def test_persistent_connections_of_a_pooled_database_are_questioned(database):
    """W003: CONN_MAX_AGE has no meaning there."""
    database(CONN_MAX_AGE=60)
    assert ids(checks.check_databases()) == ["concurrency.W003"]


def test_persistent_connections_without_a_pool_are_questioned():
    """W002: Django's own backend keeps one connection for each greenlet."""
    connections.settings["stock"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {},
        "CONN_MAX_AGE": None,
    }
    try:
        assert ids(checks.check_databases()) == ["concurrency.W002"]
    finally:
        del connections.settings["stock"]
        if hasattr(connections._connections, "stock"):
            del connections["stock"]


Version = namedtuple("Version", "major minor micro releaselevel serial")


@pytest.mark.parametrize(
    ("python", "gevent", "expected"),
    [
        ((3, 13, 5), "25.5.1", ["concurrency.W004"]),
        ((3, 13, 9), "25.5.1", ["concurrency.W004"]),
        ((3, 13, 4), "25.5.1", []),
        ((3, 13, 5), "25.8.1", []),
        ((3, 12, 2), "23.9.1", ["concurrency.W004"]),
        ((3, 11, 7), "23.9.1", []),
    ],
)
def test_pythons_that_break_gevent_are_known(monkeypatch, python, gevent, expected):
    """W004 names the pair."""
    monkeypatch.setattr(checks.sys, "version_info", Version(*python, "final", 0))
    installed = {"gevent": gevent, "gunicorn": "25.3.0"}
    monkeypatch.setattr(checks, "version", installed.__getitem__)
    assert ids(checks.check_versions()) == expected


def test_an_old_gunicorn_is_questioned(monkeypatch):
    """W005: it is not tested."""
    installed = {"gevent": "26.9.0", "gunicorn": "23.0.0"}
    monkeypatch.setattr(checks, "version", installed.__getitem__)
    assert ids(checks.check_versions()) == ["concurrency.W005"]


def test_pools_that_do_not_fit_into_the_server_are_counted(database, monkeypatch):
    """W006: pool size times workers, against what the server allows."""
    monkeypatch.setenv("WEB_CONCURRENCY", "4")
    database(OPTIONS={"pool": {"max_size": 100}})
    (message,) = checks.check_server_limit(databases=["default"])
    assert message.id == "concurrency.W006"
    assert "4 workers with pools of 100 need 400 connections" in message.msg
    monkeypatch.setenv("WEB_CONCURRENCY", "1")
    assert checks.check_server_limit(databases=["default"]) == []


@pytest.mark.parametrize(
    ("file", "variables", "expected"),
    [
        (None, {"WEB_CONCURRENCY": "3"}, 3),
        ("workers = 7\n", {}, 7),
        ("import concurrency.patch\nworkers = '7'\n", {}, 7),
        ("print(5)\nworkers = 7\n", {"WEB_CONCURRENCY": "3"}, 3),
        ("workers = 7\n", {"GUNICORN_CMD_ARGS": "--workers 9"}, 9),
        ("raise SystemExit\n", {"CONCURRENCY_WORKERS": "4"}, 4),
    ],
)
def test_workers_are_counted_as_serve_would_start_them(
    monkeypatch, tmp_path, file, variables, expected
):
    """By gunicorn.conf.py too, which the environment beats; a broken one is no fault here."""
    monkeypatch.chdir(tmp_path)
    for name in ("WEB_CONCURRENCY", "CONCURRENCY_WORKERS", "GUNICORN_CMD_ARGS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    if file is not None:
        (tmp_path / "gunicorn.conf.py").write_text(file)
    assert serving.count_workers() == expected


MIDDLEWARE = "concurrency.middleware.ConcurrencyMiddleware"
COMMON = "django.middleware.common.CommonMiddleware"


class Derived(ConcurrencyMiddleware):
    """A middleware of a project's own."""


@pytest.mark.parametrize(
    ("middleware", "part"),
    [
        ([], "is missing from MIDDLEWARE"),
        ([COMMON, "nobody.has.This"], "is missing from MIDDLEWARE"),
        ([COMMON, MIDDLEWARE], f"is not the first in MIDDLEWARE: {COMMON} runs outside"),
        ([MIDDLEWARE, COMMON], None),
        ([f"{__name__}.Derived", COMMON], None),
    ],
)
def test_a_middleware_that_is_missing_or_too_late_is_questioned(middleware, part):
    """W010: what it does has no effect, or only on a part of the request."""
    with override_settings(MIDDLEWARE=middleware):
        found = serving.check_middleware()
    assert ids(found) == ["concurrency.W010"] * (part is not None)
    assert all(part in message.msg for message in found)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (None, []),
        ("import concurrency.patch\nworker_class = 'gevent'\n", ["concurrency.I001"]),
        ("from concurrency.server.hooks import *\n", []),
    ],
)
def test_a_gunicorn_file_without_hooks_is_pointed_out(monkeypatch, tmp_path, file, expected):
    """I001: `serve` adds them, plain gunicorn does not."""
    monkeypatch.chdir(tmp_path)
    if file is not None:
        (tmp_path / "gunicorn.conf.py").write_text(file)
    assert ids(serving.check_gunicorn_file()) == expected


def test_what_is_off_for_want_of_a_package_is_named(monkeypatch):
    """E010 and I002 name the extra that is missing."""
    monkeypatch.setitem(sys.modules, "whitenoise", None)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with override_settings(CONCURRENCY={"STATIC": True}):
        error, info = serving.check_extras()
    assert (error.id, info.id) == ("concurrency.E010", "concurrency.I002")
    assert "static needs whitenoise: pip install 'django-gevent-concurrency[static]'" in error.msg
    assert "metrics: pip install 'django-gevent-concurrency[metrics]'" in info.hint
    with override_settings(CONCURRENCY={"NO_METRICS": True}):
        assert serving.check_extras() == []


def test_the_page_lists_every_check():
    """docs/checks.md and the code name the same identifiers."""
    pattern = re.compile(r"concurrency\.[EIW]\d{3}")
    files = (ROOT / "concurrency").rglob("checks.py")
    code = {found for file in files for found in pattern.findall(file.read_text())}
    page = set(pattern.findall((ROOT / "docs" / "checks.md").read_text()))
    assert code == page
