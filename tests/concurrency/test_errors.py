"""The exceptions: their tree is drawn in the docstring, and is what is there."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from django.db import InterfaceError, OperationalError

from concurrency import errors


def test_the_tree_in_the_docstring_is_the_real_one():
    """Every exception is drawn, exported, and nothing else is."""
    drawn = set(re.findall(r"^\W*([A-Z]\w+)(?= *(?:\(also|$))", errors.__doc__, re.MULTILINE))
    assert drawn == set(errors.__all__)
    assert all(issubclass(getattr(errors, name), errors.ConcurrencyError) for name in drawn)


def test_callers_catch_them_with_what_they_know():
    """Each is also an exception that is caught already."""
    assert issubclass(errors.DeadlineExceeded, TimeoutError)
    assert issubclass(errors.PoolTimeout, OperationalError)
    assert issubclass(errors.PoolStarvation, errors.PoolTimeout)
    assert issubclass(errors.FanOutInAtomicBlock, InterfaceError)
    assert issubclass(errors.LatePatchError, RuntimeError)


def test_a_wrong_name_is_an_attribute_error():
    """Lazy resolution does not hide a mistake."""
    with pytest.raises(AttributeError, match="PoolTimeOut"):
        errors.PoolTimeOut  # noqa: B018 - the access is what is tested


def test_importing_the_module_does_not_import_django():
    """It is imported before the patch."""
    code = "import sys, concurrency.errors; print('django' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
