"""Names that may be missing, in each of the forms in which they are written."""

from __future__ import annotations

import pytest

from concurrency.compat.names import MissingNameError, Names


class Base:
    """A class of a dependency."""

    annotated: int

    def __init__(self) -> None:
        self.set_by_method = 1

    def method(self, one: int, *, two: int = 0) -> None:
        """Do nothing."""


class Derived(Base):
    """Has what its base has."""


@pytest.mark.parametrize(
    "name",
    [
        "Base.method",
        "Derived.method(self, one)",
        "Derived.method(self, one, two=)",
        "Derived().set_by_method",
        "Derived().annotated",
        "Derived().method",
    ],
)
def test_what_is_there_is_not_missing(name: str) -> None:
    """A name that can be used as it is written is not reported."""
    assert Names("pytest", f"{__name__}:{name}").missing() == []


@pytest.mark.parametrize(
    "name",
    [
        "Gone.method",
        "Base.gone",
        "Derived.method(self)",
        "Derived.method(self, one, three)",
        "Derived.method(self, one, three=)",
        "Base.annotated",
        "Derived().gone",
        "Gone().gone",
        "__name__()",
    ],
)
def test_what_is_not_there_is_named_with_its_dependency(name: str) -> None:
    """A name that cannot be used as it is written is reported, with distribution and version."""
    (line,) = Names("pytest", f"{__name__}:{name}").missing()
    assert line == f"pytest {pytest.__version__} has no {__name__}.{name}"


def test_a_module_that_has_gone_is_a_name_that_has_gone() -> None:
    """A module that cannot be imported is reported like a name."""
    (line,) = Names("Python", "asyncio.gone:name").missing()
    assert line.endswith(" has no asyncio.gone.name")


def test_what_is_needed_to_import_raises_with_all_names() -> None:
    """An import that needs what is missing says everything that is, and what to do."""
    with pytest.raises(MissingNameError) as raised:
        Names("nowhere", "sys:one", "sys:path", "sys:two").require()
    text = str(raised.value)
    assert "nowhere (of an unknown version) has no sys.one; nowhere" in text
    assert "sys.two: install a version of nowhere" in text
    assert "sys.path" not in text
