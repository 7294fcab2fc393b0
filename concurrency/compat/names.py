"""``Names``: what this package uses of a dependency without being promised it.

It looks at what a name is used for: that it exists, that it can be called in this way, that
objects of a class have it. A version number is never looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from types import CodeType
from typing import Any

__all__ = ["MissingNameError", "Names"]


class MissingNameError(ImportError):
    """A dependency lacks private names without which this package cannot be imported."""


class Names:
    """Private names of one dependency.

    Each of them is written in one of these forms:

    * ``module:Class.name``: it exists;
    * ``module:function(a, b, c=)``: it can be called with so many arguments, and with these
      keywords. A method counts ``self``;
    * ``module:Class()._name``: objects of the class have it, because the class or a class
      above it defines it, or a method of theirs mentions it.

    Args:
        distribution: what the dependency is called where packages are installed from;
            "Python" for the standard library.
        names: the names.
    """

    def __init__(self, distribution: str, *names: str) -> None:
        self.distribution = distribution
        self.names = names

    def missing(self) -> list[str]:
        """Return a sentence for each name that is not there, or not in its form."""
        return [
            f"{self.distribution} {self._version()} has no {name.replace(':', '.')}"
            for name in self.names
            if not _is_there(name)
        ]

    def require(self) -> None:
        """Raise if any name is missing; for what is bound when a module is imported.

        Raises:
            MissingNameError: it says which.
        """
        if missing := self.missing():
            raise MissingNameError(
                f"{'; '.join(missing)}: install a version of {self.distribution} that this "
                f"package was tested with"
            )

    def _version(self) -> str:
        if self.distribution == "Python":
            return ".".join(map(str, sys.version_info[:3]))
        from importlib.metadata import PackageNotFoundError, version

        try:
            return version(self.distribution)
        except PackageNotFoundError:
            return "(of an unknown version)"


def _is_there(name: str) -> bool:
    module, _, path = name.partition(":")
    try:
        if "()." in path:
            owner, _, attribute = path.partition("().")
            return _objects_have(_find(module, owner), attribute)
        if path.endswith(")"):
            path, _, arguments = path[:-1].partition("(")
            return _can_be_called(_find(module, path), arguments)
        _find(module, path)
    except (ImportError, AttributeError):
        return False
    return True


def _find(module: str, path: str) -> Any:
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _can_be_called(found: Any, arguments: str) -> bool:
    """Return whether something can be called with arguments; they are written as in a call."""
    import inspect  # not at the start of every process

    if not callable(found):
        return False
    words = [word for word in arguments.split(", ") if word]
    positional = [word for word in words if not word.endswith("=")]
    keywords = {word[:-1]: None for word in words if word.endswith("=")}
    try:
        inspect.signature(found).bind(*positional, **keywords)
    except TypeError:
        return False
    except ValueError:
        return True  # it is written in C, and does not say
    return True


def _objects_have(owner: Any, attribute: str) -> bool:
    if hasattr(owner, attribute):
        return True
    for base in owner.__mro__:
        if attribute in vars(base).get("__annotations__", {}):
            return True
        for value in vars(base).values():
            code = getattr(value, "__code__", None)
            if isinstance(code, CodeType) and attribute in _names_in(code):
                return True
    return False


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
