"""What a holder does below Django, to the driver's connection, does not reach the next one."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import pytest
from django.db import connection

from concurrency import gather
from tests.concurrency.db.conftest import give_back, query
from tests.concurrency.db.drivers.driver_attributes import BY_TARGET, Attributes

ALL = pytest.mark.targets("postgresql", "mariadb", "sqlite")


@pytest.fixture
def attributes(target) -> Attributes:
    """What a connection of the target's driver has."""
    return BY_TARGET[target.name]


def plain(raw: Any) -> dict[str, Any]:
    """Return what can be read from a connection of those that may be changed."""
    target = connection.vendor if connection.vendor in BY_TARGET else "mariadb"
    values = {name: getattr(raw, name, None) for name in BY_TARGET[target].changes}
    return {name: repr(value) for name, value in values.items() if not callable(value)}


@ALL
def test_every_attribute_of_the_driver_is_known(one, attributes):
    """A release of a driver with a new one fails here: it is undone, or does not matter."""
    parameters = connection.get_connection_params()
    parameters.pop("connection_factory", None)
    with closing(attributes.connect(**parameters)) as raw:
        assert attributes.unknown_of(raw) == set()


@ALL
def test_no_change_of_an_attribute_reaches_the_next_holder(one, attributes):
    """It gets the connection as it was, or another one."""
    leaks = []
    for name, change in attributes.changes.items():
        connection.ensure_connection()
        raw = connection.connection
        if not hasattr(raw, name):
            continue  # of another release
        before = plain(raw)
        change(raw)
        give_back()
        connection.ensure_connection()
        if connection.connection is raw and plain(raw) != before:
            leaks.append(name)
        assert query() == 1, name
    give_back()
    assert leaks == []


@ALL
def test_a_changed_attribute_stays_while_its_holder_waits(one, attributes):
    """Who has changed the connection's rows finds them so after a wait."""
    connection.ensure_connection()
    raw = connection.connection
    name = {"postgresql": "row_factory", "mysql": "cursorclass", "sqlite": "text_factory"}
    attribute = name[connection.vendor]
    if not hasattr(raw, attribute):
        attribute = "cursor_factory"
    attributes.changes[attribute](raw)
    gather(lambda: None)
    assert connection.connection is raw
    give_back()
