"""Hooks are registered in one place, once, and run in order."""

from __future__ import annotations

import subprocess
import sys

import pytest

from concurrency import hooks

LISTS = ["before_wait", "at_rest", "at_end", "at_statement", "outgoing"]


def test_a_hook_is_registered_once_and_runs_in_order():
    """Registering again changes nothing."""
    seen = []
    mine = []

    def first():
        seen.append(1)

    def second():
        seen.append(2)

    hooks.register(mine, first)
    hooks.register(mine, first, second)
    hooks.run(mine)
    assert seen == [1, 2]


COUNT = """
import concurrency.patch
from django.conf import settings
settings.configure(INSTALLED_APPS={apps}, DATABASES={{"default": {{
    "ENGINE": "concurrency.db.backends.sqlite3", "NAME": ":memory:"}}}})
import concurrency.db.backends.sqlite3.base, concurrency.middleware, django
from concurrency import hooks
count = lambda: [len(getattr(hooks, name)) for name in {lists}]
print(*count())
django.setup()
print(*count())
from django.db import connection
connection.ensure_connection()
print(*count())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("apps", "after_setup", "after_query"),
    [
        (["concurrency"], "1 1 1 1 1", "1 1 1 1 1"),
        ([], "0 0 0 0 0", "1 1 1 0 0"),
    ],
)
def test_the_app_registers_all_hooks_and_an_import_none(apps, after_setup, after_query):
    """Without the app a database registers its own when it makes its pool."""
    code = COUNT.format(apps=apps, lists=LISTS)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["0 0 0 0 0", after_setup, after_query], done.stderr
