"""No module of the library but those of ``compat`` uses a private name of a dependency.

Attributes are ruff's matter (SLF001); this is about names in imports and in strings, and
about what classes of ours inherit.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from concurrency.compat import survey
from concurrency.compat.names import Names

PRIVATE = re.compile(r"_[a-z]\w*")

LIBRARY = Path(__file__).resolve().parents[3] / "concurrency"

# Functions that take the name of an attribute.
LOOK_UP = {"attrgetter", "delattr", "get_original", "getattr", "hasattr", "setattr"}

# Documented, in spite of their names.
DOCUMENTED = {"_thread", "_is_gil_enabled"}

# Where the bases of our classes come from, by the module that has their names.
HOMES = {"_gevent_cgreenlet": "gevent"}


def is_private(dotted: str) -> bool:
    """Return whether a part of a dotted name is private."""
    return any(PRIVATE.fullmatch(part) for part in dotted.split(".") if part not in DOCUMENTED)


def private_names(tree: ast.AST) -> Iterator[str]:
    """Yield the private names that a file imports of others, or looks up by a string."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (name for name in names if is_private(name))
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name for name in names if is_private(name))
        elif isinstance(node, ast.Call):
            yield from _looked_up(node)


def _looked_up(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else None
    name = function.id if isinstance(function, ast.Name) else name
    is_own = bool(call.args) and ast.unparse(call.args[0]) in {"self", "cls"}
    if name in LOOK_UP and not is_own:
        for argument in call.args:
            value = argument.value if isinstance(argument, ast.Constant) else None
            if isinstance(value, str) and is_private(value):
                yield value


def outside_of_compat() -> list[Path]:
    """Return the library's files but those of ``compat``."""
    return [path for path in LIBRARY.rglob("*.py") if (LIBRARY / "compat") not in path.parents]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("from gevent._hub_local import get_hub", ["gevent._hub_local.get_hub"]),
        ("from psycopg2 import _psycopg", ["psycopg2._psycopg"]),
        ("import importlib._bootstrap", ["importlib._bootstrap"]),
        ("import _thread", []),
        ('getattr(thread, "_target", None)', ["_target"]),
        ('operator.attrgetter("host", "_prepared.threshold")', ["_prepared.threshold"]),
        ('getattr(self, "_own")', []),
        ('getattr(thread, "__name__")', []),
    ],
)
def test_private_names_are_found(code: str, expected: list[str]) -> None:
    """What the next test looks for, it would find."""
    assert list(private_names(ast.parse(code))) == expected


@pytest.mark.slow
def test_none_is_used_outside_of_compat() -> None:
    """Imports and look-ups by name are of what dependencies promise."""
    found = {
        str(path.relative_to(LIBRARY)): names
        for path in outside_of_compat()
        if (names := list(private_names(ast.parse(path.read_text(encoding="utf-8")))))
    }
    assert not found


def home_of(kind: str) -> str:
    """Return the module of ``compat`` that has the names of a class."""
    for part in kind.split("."):
        if part in HOMES:
            return HOMES[part]
    package = kind.partition(".")[0]
    return package if package in survey.DEPENDENCIES else "python"


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_what_our_classes_override_is_looked_for() -> None:
    """A private name that a class of ours overrides or uses in itself stands in ``NAMES``."""
    program = [sys.executable, "-m", "tests.concurrency.compat.inherited"]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    common = json.loads(done.stdout)
    assert len(common) > 40  # it finds them
    for kind, name, users in common:
        home = home_of(kind)
        homes = [home, "django_postgresql"] if home == "django" else [home]
        known: list[Names] = [import_module(f"concurrency.compat.{one}").NAMES for one in homes]
        entries = [entry.partition("(self")[0] for one in known for entry in one.names]
        assert any(entry.endswith(f".{name}") for entry in entries), (
            f"compat.{home} does not list {kind}.{name}, which {users} use"
        )
