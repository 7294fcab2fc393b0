"""Whatever watches the queries of a greenlet sees those of its children, in tests."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from contextlib import contextmanager

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from concurrency import TaskGroup, gather, joinall, map_each, offload, spawn
from tests.concurrency.db.conftest import query
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb", "sqlite")


def in_group():
    with TaskGroup() as group:
        group.spawn(query)
        group.spawn(query)


def ours(captured):
    """Return how many queries are the test's; to set a session up takes some on MariaDB."""
    return [each["sql"] for each in captured.captured_queries].count("SELECT 1")


WAYS = {
    "gather": lambda: gather(query, query),
    "map_each": lambda: map_each(lambda _: query(), range(2), limit=1),
    "TaskGroup": in_group,
    "spawn": lambda: joinall([spawn(query), spawn(query)]),
    "offload": lambda: (offload(query), offload(query)),
    "grandchildren": lambda: gather(lambda: gather(query, query)),
}


@contextmanager
def noting(seen):
    def note(execute, sql, params, many, context):
        seen.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(note):
        yield


@pytest.mark.parametrize("way", WAYS)
def test_captured_queries_have_those_of_children(pool, target, way):
    """As assertNumQueries counts them, and connection.queries lists them."""
    with CaptureQueriesContext(connection) as captured:
        query()
        WAYS[way]()
    assert ours(captured) == 3
    WAYS[way]()
    assert ours(captured) == 3


@pytest.mark.parametrize("way", WAYS)
def test_an_execute_wrapper_sees_the_statements_of_children(pool, target, way):
    """Also where its greenlet has executed none, and only inside of its block."""
    seen = []
    with noting(seen):
        WAYS[way]()
    assert seen.count("SELECT 1") == 2
    WAYS[way]()
    assert seen.count("SELECT 1") == 2


def test_what_a_child_watches_is_its_own(pool, target):
    """A sibling's statements are not among its own; its parent sees all of them."""
    outer, counts = [], []

    def watch():
        seen = []
        with noting(seen), CaptureQueriesContext(connection) as captured:
            query()
            gather(query)
            query()
        counts.append((seen.count("SELECT 1"), ours(captured)))

    with noting(outer):
        gather(watch, watch)
    assert counts == [(3, 3), (3, 3)]
    assert outer.count("SELECT 1") == 6
    assert not connection.execute_wrappers


def test_wrappers_of_a_parent_are_outside_of_those_of_a_child(pool, target):
    """As if the child's block stood inside of the parent's."""
    order = []

    def named(name):
        def wrapper(execute, *args):
            order.append(name)
            return execute(*args)

        return connection.execute_wrapper(wrapper)

    def child():
        with named("child"), named("inner child"):
            query()

    with named("parent"):
        gather(child)
    assert order[-3:] == ["parent", "child", "inner child"]


def test_nothing_is_kept_alive(pool, target):
    """A child's wrapper is gone when the child is, and its log with it."""
    query()
    logs = []

    def child():
        query()
        logs.append(weakref.ref(connections["default"].queries_log))

    gather(child)
    until(lambda: gc.collect() >= 0 and logs[0]() is None, "the log is gone")


OUTSIDE_OF_TESTS = """
import concurrency.patch
from django.conf import settings
settings.configure(
    DEBUG={debug},
    INSTALLED_APPS=["concurrency"],
    DATABASES={{"default": {{"ENGINE": "concurrency.db.backends.sqlite3", "NAME": ":memory:"}}}},
)
import django
django.setup()
from django.db import connection
from concurrency import gather

def query():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

seen = []
def note(execute, *args):
    seen.append(1)
    return execute(*args)

with connection.execute_wrapper(note):
    gather(query, query)
print(len(seen), len(connection.queries))
"""


@pytest.mark.slow
@pytest.mark.targets("sqlite")
@pytest.mark.parametrize(("debug", "expected"), [(True, "2 2"), (False, "0 0")])
def test_it_is_so_with_debug_and_not_in_production(target, debug, expected):
    """A wrapper of production code is about its own greenlet, as it may keep what is no other's."""
    code = OUTSIDE_OF_TESTS.format(debug=debug)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == expected.split()


@pytest.mark.targets("postgresql")
def test_the_debug_toolbar_sees_the_statements_of_children(pool, target):
    """Its SQL panel records them beside those of the view."""
    from django.apps import apps

    apps_before = apps.is_installed("debug_toolbar")
    assert not apps_before
    code = TOOLBAR.format(settings=target.settings)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["3"], done.stderr


TOOLBAR = """
import concurrency.patch
from django.conf import settings
settings.configure(
    DEBUG=True,
    SECRET_KEY="x",
    ROOT_URLCONF="debug_toolbar.urls",
    INSTALLED_APPS=["concurrency", "django.contrib.staticfiles", "debug_toolbar"],
    STATIC_URL="/static/",
    DATABASES={{"default": {settings!r}}},
)
import django
django.setup()
from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from debug_toolbar.toolbar import DebugToolbar
from debug_toolbar.panels.sql import SQLPanel
from concurrency import gather

def query():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")

def view(request):
    query()
    gather(query, query)
    return HttpResponse()

request = RequestFactory().get("/")
toolbar = DebugToolbar(request, view)
panel = toolbar.get_panel_by_id("SQLPanel")
panel.enable_instrumentation()
panel.process_request(request)
panel.disable_instrumentation()
print(len(panel._queries))
"""
