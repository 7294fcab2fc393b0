"""The connections in use are those that Django would find."""

from __future__ import annotations

import asyncio

import gevent
from asgiref.sync import sync_to_async
from django.db import connection, connections
from django.utils.connection import BaseConnectionHandler

from concurrency import gather
from concurrency.compat import asgiref, django


def found_by_django():
    return BaseConnectionHandler.all(connections, initialized_only=True)


def in_use():
    return connections.all(initialized_only=True)


def test_it_is_installed():
    """Otherwise the tests below would compare Django with itself."""
    assert connections.all.__module__ == "concurrency.connections"


def test_a_greenlet_that_uses_none_has_none():
    """Whatever others use."""
    connection.ensure_connection()
    assert gevent.spawn(in_use).get() == gather(in_use)[0] == []


def test_those_in_use_are_found_in_the_order_of_the_settings():
    """Whatever the order in which they were made."""

    def use():
        for alias in reversed(list(connections)):
            assert connections[alias].alias == alias
        return in_use(), found_by_django()

    mine, expected = gevent.spawn(use).get()
    assert mine == expected
    assert [each.alias for each in mine] == list(connections)


def test_a_deleted_connection_is_not_found():
    """Also where it was the last."""

    def use():
        connection.ensure_connection()
        connection.close()
        del connections["default"]
        return in_use()

    assert gevent.spawn(use).get() == []


def test_in_a_coroutine_django_looks_itself():
    """There a connection belongs to the context, and not to the greenlet."""

    async def main():
        # Kept, so that no other one gets its address.
        here = connections["default"]
        there = await sync_to_async(lambda: connections["default"])()
        return in_use() == [here], found_by_django() == [here], here is there

    assert asyncio.run(main()) == (True, True, False)


def test_all_of_them_are_made_on_request():
    """Without ``initialized_only`` it is as ever."""
    assert [each.alias for each in gevent.spawn(connections.all).get()] == list(connections)


def test_a_storage_that_keeps_them_elsewhere_is_left_to_django():
    """As one of an asgiref to come might."""

    class Elsewhere:
        pass

    assert asgiref.can_show_kept(django.storage(connections))
    assert not asgiref.can_show_kept(Elsewhere())
