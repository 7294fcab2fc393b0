"""Options of a pool are validated, and may come as text from a database URL."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from concurrency.db.pool.options import PoolOptions, is_ours, problems


@pytest.mark.parametrize("options", [{}, {"pool": True}, {"pool": None}, {"pool": {}}])
def test_nothing_said_means_the_defaults(options):
    """``True``, ``None`` and an empty dictionary mean what no option at all means."""
    assert PoolOptions.from_settings(options, alias="default") == PoolOptions()


def test_a_flat_key_overrides_the_dictionary():
    """``pool_max_size``, as a database URL says it, goes before ``pool``."""
    options = {"pool": {"max_size": 3, "timeout": 2.0}, "pool_max_size": "7"}
    found = PoolOptions.from_settings(options, alias="default")
    assert (found.max_size, found.timeout) == (7, 2.0)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_size", "7", 7),
        ("max_idle", "2.5", 2.5),
        ("timeout", "2", 2.0),
        ("lend_while_waiting", "false", False),
        ("lend_while_waiting", "1", True),
        ("reset", "always", "always"),
    ],
)
def test_a_text_is_read_as_the_type_of_its_option(name, text, value):
    """A database URL has nothing but text."""
    found = getattr(PoolOptions.from_settings({f"pool_{name}": text}, alias="default"), name)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"pool": 7}, ["must be a dictionary, not 7"]),
        ({"pool": {"max_size": 0}}, ["max_size", "0"]),
        ({"pool": {"max_size": 2.5}}, ["max_size", "whole number"]),
        ({"pool": {"max_size": True}}, ["max_size"]),
        ({"pool_max_size": "many"}, ["max_size", "many"]),
        ({"pool": {"timeout": -1}}, ["timeout", "-1"]),
        ({"pool": {"timeout": float("nan")}}, ["timeout", "nan"]),
        ({"pool": {"reset": "never"}}, ["reset", "never"]),
        ({"pool_lend_while_waiting": "perhaps"}, ["lend_while_waiting", "perhaps"]),
        ({"pool": {"min_size": 3, "max_size": 2}}, ["min_size is larger than max_size"]),
        ({"pool": {"min_size": 21}}, ["min_size is larger than max_size"]),
        ({"pool": {"max_sise": 2}}, ["'max_sise' is not an option", "max_size"]),
        ({"pool": {"num_workers": 3}}, ["'num_workers'", "psycopg_pool has it"]),
    ],
)
def test_a_wrong_value_is_named(options, words):
    """The error says which option of which database is wrong, and what it got."""
    (problem,) = problems(options)
    with pytest.raises(ImproperlyConfigured) as raised:
        PoolOptions.from_settings(options, alias="replica")
    assert str(raised.value) == f"DATABASES['replica']['OPTIONS']['pool']: {problem}"
    for word in words:
        assert word in problem


def test_every_problem_is_found_at_once():
    """The checks show all of them, so that one start is enough to mend them."""
    assert len(problems({"pool": {"max_size": 0, "timeout": -1, "unknown": 1}})) == 3


def test_the_smallest_values_are_allowed():
    """A pool of one, without a wait and without connections that are kept."""
    least = {"max_size": 1, "min_size": 0, "timeout": 0, "max_waiting": 0, "max_idle": 0}
    assert problems({"pool": least}) == []


@pytest.mark.parametrize(
    ("name", "ours"),
    [("pool", True), ("pool_max_size", True), ("pool_", True), ("pooling", False), ("", False)],
)
def test_keys_of_the_pool_are_recognised(name, ours):
    """What the driver is told does not include them."""
    assert is_ours(name) is ours
