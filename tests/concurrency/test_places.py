"""Which frames of a stack are the user's."""

from __future__ import annotations

from pathlib import Path

from concurrency import gather, places

HERE = Path(__file__).name
INSTALLED = "/somewhere/site-packages/app/code.py"


def compiled(path, source):
    """Return the names of a module that is said to be in a file."""
    names = {}
    exec(compile(source, path, "exec"), names)  # noqa: S102 - code of this test, under another name
    return names


def test_the_innermost_frame_of_the_user_is_found_below_libraries():
    """A library that the user has installed is not the user's code."""
    call = compiled(INSTALLED, "def call(fn):\n    return fn()\n")["call"]
    assert call(places.user_place).startswith(f"{HERE}:")


def test_where_all_is_installed_the_library_that_calls_is_the_place():
    """An application that is a package itself is told, too."""
    source = "from concurrency.places import user_frame\ndef run(_):\n    return user_frame()\n"
    run = compiled(INSTALLED, source)["run"]
    greenlet = __import__("gevent").Greenlet(run, None)
    greenlet.start()
    assert greenlet.get().f_code.co_filename == INSTALLED


def test_what_starts_greenlets_is_machinery():
    """This package and gevent, and nothing of the user's."""
    assert places.is_machinery(gather.__code__)
    assert not places.is_machinery(compiled.__code__)
    assert places.is_library(gather.__code__)
    assert places.is_library(Path.exists.__code__)
    assert not places.is_library(compiled.__code__)
