"""A test that forgot to share connections fails with what it has to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.slow

MANAGE = """
import concurrency.patch
import os, sys
os.environ["DJANGO_SETTINGS_MODULE"] = "settings_of_test"
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""

SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["concurrency", "django.contrib.contenttypes", "django.contrib.auth"]
DATABASES = {{
    "default": {{
        "ENGINE": "concurrency.db.backends.sqlite3",
        "NAME": "{folder}/database",
        "TEST": {{"NAME": "{folder}/test_database"}},
    }}
}}
CONCURRENCY = {{"FAN_OUT_IN_ATOMIC": "{policy}"}}
"""

TESTS = """
from django.contrib.auth.models import Group
from django.test import TestCase
from concurrency import TaskGroup, gather, joinall, map_each, spawn
from concurrency.testing import SharedConnectionsMixin

def in_group():
    with TaskGroup() as group:
        task = group.spawn(Group.objects.count)
    return [task.result()]

class Tests({bases}):
    def test_children_see_the_rows_of_the_test(self):
        Group.objects.create(name="a")
        self.assertEqual({expression}, [1])
"""

GATHER = "gather(Group.objects.count)"
MAP_EACH = "map_each(lambda _: Group.objects.count(), [1], limit=1)"
REMEDY = (
    "put concurrency.testing.SharedConnectionsMixin before TestCase",
    "-p concurrency.testing.plugin to addopts",
    "TransactionTestCase",
)


@pytest.mark.parametrize(
    ("runner", "bases", "policy", "expression", "code", "texts"),
    [
        ("manage.py", "TestCase", "warn", GATHER, 1, REMEDY),
        ("pytest", "TestCase", "warn", GATHER, 1, REMEDY),
        ("manage.py", "TestCase", "raise", GATHER, 1, REMEDY),
        ("manage.py", "TestCase", "warn", MAP_EACH, 1, REMEDY),
        ("manage.py", "TestCase", "warn", "in_group()", 1, REMEDY),
        ("manage.py", "TestCase", "warn", "joinall([spawn(Group.objects.count)])", 1, REMEDY),
        ("manage.py", "TestCase", "allow", GATHER, 1, ("AssertionError: Lists differ: [0]",)),
        ("manage.py", "SharedConnectionsMixin, TestCase", "raise", GATHER, 0, ("OK",)),
        ("pytest", "SharedConnectionsMixin, TestCase", "raise", GATHER, 0, ("1 passed",)),
    ],
)
def test_the_failure_names_the_remedy(tmp_path, runner, bases, policy, expression, code, texts):
    """With manage.py and with pytest, whatever starts the children, unless it was allowed."""
    (tmp_path / "manage.py").write_text(MANAGE)
    (tmp_path / "settings_of_test.py").write_text(SETTINGS.format(folder=tmp_path, policy=policy))
    (tmp_path / "tests.py").write_text(TESTS.format(bases=bases, expression=expression))
    command = ["manage.py", "test", "--noinput"]
    if runner == "pytest":
        plugins = ["concurrency.patch", "pytest_django", "no:randomly", "no:cacheprovider"]
        options = [part for plugin in plugins for part in ("-p", plugin)]
        command = ["-m", "pytest", *options, "--ds", "settings_of_test", "tests.py"]
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}", "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    output = done.stdout + done.stderr
    assert done.returncode == code, output
    for text in texts:
        assert text in " ".join(output.split()), output
