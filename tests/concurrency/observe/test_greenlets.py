"""What is seen of greenlets from outside: their request, their wait, their statement."""

from __future__ import annotations

import gevent
import pytest
from django.db import connection
from django.http import HttpResponse
from django.utils.functional import LazyObject
from gevent.event import Event
from gevent.hub import get_hub
from gevent.monkey import get_original

from concurrency import gather, spawn
from concurrency.db import pool_statistics
from concurrency.observe import requests
from concurrency.observe.greenlets import look, request_of_running
from tests.concurrency.asking import ask
from tests.helpers import until

this_thread = get_original("_thread", "get_ident")


def in_another_thread(fn):
    """Return what a native thread gets while this greenlet blocks the hub."""
    outcome, is_over = [], get_original("_thread", "allocate_lock")()
    is_over.acquire()

    def run():
        try:
            outcome.append(fn())
        finally:
            is_over.release()

    get_original("_thread", "start_new_thread")(run, ())
    assert is_over.acquire(timeout=10)
    return outcome[0]


def seen_of(greenlet):
    """Return what is seen of a suspended greenlet."""
    (seen,) = [one for one in look(this_thread()) if one.name.startswith(f"{greenlet.name} ")]
    return seen


def running(hub):
    return in_another_thread(lambda: request_of_running(hub))


@pytest.mark.parametrize(
    "called",
    [
        pytest.param(lambda fn: fn(), id="itself"),
        pytest.param(lambda fn: gather(fn)[0], id="child"),
        pytest.param(lambda fn: spawn(fn).get(), id="spawned"),
    ],
)
def test_another_thread_sees_the_request_of_the_greenlet_that_runs(called):
    """Whether it answers the request, or works for the one that does."""
    hub, found = get_hub(), []

    def view(request):
        found.append(called(lambda: running(hub)))
        return HttpResponse()

    gevent.spawn(ask, view, x_request_id="abc").get()
    assert found == ["GET /some/where/ id abc"]
    assert running(hub) == ""
    assert not requests.by_greenlet


def test_a_request_inside_another_does_not_hide_it():
    """As with a test client that is used in a view."""
    hub, found = get_hub(), []

    def view(request):
        ask(lambda request: HttpResponse(), x_request_id="inner")
        found.append(running(hub))
        return HttpResponse()

    ask(view, x_request_id="outer")
    assert found == ["GET /some/where/ id outer"]


def test_the_request_of_a_suspended_greenlet_is_seen():
    """Also in a child, and with what they wait for."""
    go_on = Event()

    def view(request):
        gather(go_on.wait, go_on.wait)
        return HttpResponse()

    greenlet = gevent.spawn(ask, view, x_request_id="abc")
    until(lambda: "2 children" in seen_of(greenlet).waits, "it waits for its children")
    mine = [one for one in look(this_thread()) if one.request == "GET /some/where/ id abc"]
    assert len(mine) == 3
    go_on.set()
    greenlet.get()


def test_a_lazy_object_is_not_evaluated_by_a_look():
    """It may fail, or take long."""

    class Failing(LazyObject):
        def _setup(self):
            raise AssertionError("it was evaluated")

    lazy = Failing()
    look(this_thread())
    del lazy


def test_a_wait_for_a_connection_names_the_database():
    """And those that hold one are shown with their statement."""
    go_on = Event()

    def query():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'mine'")
            go_on.wait()

    holders = [gevent.spawn(query)]
    until(lambda: seen_of(holders[0]).sql == "SELECT 'mine'", "it holds a connection")
    size = pool_statistics()["default"].max_size
    holders += [gevent.spawn(query) for _ in range(size - 1)]
    until(lambda: pool_statistics()["default"].in_use == size, "none is left")
    waiter = gevent.spawn(query)
    until(lambda: seen_of(waiter).waits.startswith("a connection of 'default'"), "it waits")
    go_on.set()
    gevent.joinall([*holders, waiter], raise_error=True)
