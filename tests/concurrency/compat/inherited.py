"""Which private names the library's classes have in common with classes of dependencies.

A program, because it imports everything: it prints a list of ``[class, name, who of ours]``.
"""

from __future__ import annotations

import concurrency.patch  # isort: split

import ast
import inspect
import json
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib import import_module

from concurrency.compat.__main__ import configure_django

PRIVATE = re.compile(r"_[a-z]\w*")


def modules() -> Iterator[str]:
    """Yield the names of the library's modules that can be imported anywhere."""
    for module in pkgutil.walk_packages(concurrency.__path__, "concurrency."):
        if not module.name.endswith("__main__"):
            yield module.name


def classes() -> Iterator[type]:
    """Yield the library's classes."""
    for name in modules():
        for found in vars(import_module(name)).values():
            if inspect.isclass(found) and found.__module__ == name:
                yield found


def is_ours(kind: type) -> bool:
    """Return whether a class is the library's."""
    return kind.__module__.partition(".")[0] == "concurrency"


@cache
def body(kind: type) -> ast.AST:
    """Return a class as a syntax tree; an empty one where there is no source."""
    try:
        return ast.parse(textwrap.dedent(inspect.getsource(kind)))
    except (OSError, TypeError):
        return ast.Module([], [])


@cache
def mentioned(kind: type) -> frozenset[str]:
    """Return the private names that a class defines, or looks up in itself."""
    found = {name for name in vars(kind) if PRIVATE.fullmatch(name)}
    for node in ast.walk(body(kind)):
        if isinstance(node, ast.Attribute) and PRIVATE.fullmatch(node.attr):
            owner = node.value
            is_super = isinstance(owner, ast.Call) and ast.unparse(owner.func) == "super"
            if is_super or (isinstance(owner, ast.Name) and owner.id in {"self", "cls"}):
                found.add(node.attr)
    return frozenset(found)


@cache
def given(kind: type) -> frozenset[str]:
    """Return the private names that a class gives to its objects."""
    found = {name for name in vars(kind) if PRIVATE.fullmatch(name)}
    for node in ast.walk(body(kind)):
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if is_set and isinstance(node.value, ast.Name) and node.value.id == "self":
            found.add(node.attr)
    return frozenset(name for name in found if PRIVATE.fullmatch(name))


def in_common() -> dict[tuple[str, str], set[str]]:
    """Return, by the class of a dependency and a private name of it, who of ours mentions it."""
    found: dict[tuple[str, str], set[str]] = {}
    for kind in classes():
        ours = [base for base in kind.__mro__ if is_ours(base)]
        for foreign in kind.__mro__:
            if is_ours(foreign) or foreign.__module__ in {"builtins", "typing", "abc", "enum"}:
                continue
            for one in ours:
                for name in (mentioned(one) & given(foreign)) - {"_abc_impl"}:
                    key = f"{foreign.__module__}.{foreign.__qualname__}", name
                    found.setdefault(key, set()).add(f"{one.__module__}.{one.__qualname__}")
    return found


if __name__ == "__main__":
    configure_django()
    print(json.dumps([[*key, sorted(users)] for key, users in in_common().items()]))  # noqa: T201
