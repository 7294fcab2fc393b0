"""What a child inherits from its parent, and that nothing leaks back."""

from __future__ import annotations

from contextvars import ContextVar

import gevent
import pytest
from django.urls import get_script_prefix, get_urlconf, set_script_prefix, set_urlconf
from django.utils import timezone, translation

from concurrency import TaskGroup, gather, joinall, map_each, offload, spawn

variable: ContextVar[str] = ContextVar("variable", default="default")


def in_group(fn):
    with TaskGroup() as group:
        task = group.spawn(fn)
    return task.result()


VERBS = [
    pytest.param(lambda fn: gather(fn)[0], id="gather"),
    pytest.param(lambda fn: map_each(lambda _: fn(), [0], limit=1)[0], id="map_each"),
    pytest.param(in_group, id="TaskGroup"),
    pytest.param(lambda fn: joinall([spawn(fn)])[0], id="spawn"),
    pytest.param(offload, id="offload"),
]


@pytest.fixture
def parent():
    """Give this greenlet a language, a time zone, a urlconf, a prefix and a variable."""
    token = variable.set("of the parent")
    set_urlconf("tests.other_urls")
    set_script_prefix("/prefix/")
    with translation.override("de"), timezone.override("Asia/Tokyo"):
        yield
    set_script_prefix("/")
    set_urlconf(None)
    variable.reset(token)


def seen():
    return (
        variable.get(),
        translation.get_language(),
        str(timezone.get_current_timezone()),
        get_urlconf(),
        get_script_prefix(),
    )


def changed():
    variable.set("of the child")
    translation.activate("fr")
    timezone.activate("America/New_York")
    set_urlconf("child.urls")
    set_script_prefix("/child/")
    return seen()


@pytest.mark.parametrize("verb", VERBS)
def test_a_child_inherits(parent, verb):
    """Context variables, language, time zone, urlconf and script prefix reach a child."""
    expected = ("of the parent", "de", "Asia/Tokyo", "tests.other_urls", "/prefix/")
    assert verb(seen) == expected


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_child_changes_does_not_leak_back(parent, verb):
    """Neither the parent nor the next child sees what a child has set."""
    before = seen()
    assert verb(changed) == ("of the child", "fr", "America/New_York", "child.urls", "/child/")
    assert seen() == before
    assert verb(seen) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_parent_with_nothing_set_has_children_with_nothing_set(verb):
    """Defaults stay defaults."""
    assert verb(seen) == ("default", "en-us", "UTC", None, "/")


@pytest.mark.parametrize("verb", VERBS)
def test_a_deactivated_translation_is_inherited(verb):
    """A parent without any translation has children without any."""
    with translation.override(None):
        assert verb(translation.get_language) is None


def test_siblings_do_not_see_each_other():
    """Each child has a copy of its own."""

    def child(number):
        variable.set(str(number))
        gevent.sleep(0)
        return variable.get()

    assert map_each(child, range(5), limit=None) == ["0", "1", "2", "3", "4"]


def test_a_raw_greenlet_starts_empty():
    """The fact that all of this is for: gevent alone inherits nothing."""
    token = variable.set("of the parent")
    with translation.override("de"):
        greenlet = gevent.spawn(seen)
        greenlet.join()
    variable.reset(token)
    assert greenlet.value[:2] == ("default", "en-us")
