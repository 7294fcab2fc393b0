"""The pool: order, limits, errors, replacement, and other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

import gevent
import pytest
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.signals import connection_created
from django.test import override_settings
from gevent.event import Event

from concurrency import deadline, map_each
from concurrency.db import pool_statistics
from concurrency.db.pool import registry
from concurrency.db.pool.connection import PooledConnection
from concurrency.errors import DeadlineExceeded, PoolTimeout
from concurrency.tasks.names import name_of
from tests.concurrency.db.conftest import query, statistics, warm
from tests.concurrency.db.targets import Target
from tests.helpers import until

pytestmark = pytest.mark.targets("postgresql", "mariadb")


def hold(go_on: Event, **_) -> gevent.Greenlet:
    """Start a greenlet that holds a connection until it is told to go on."""

    def body():
        query()
        held.set()
        go_on.wait()

    held = Event()
    greenlet = gevent.spawn(body)
    held.wait()
    return greenlet


@pytest.fixture
def holder(pool):
    """A greenlet that holds the only connection of the pool."""
    pool(max_size=1, timeout=5.0)
    go_on = Event()
    greenlet = hold(go_on)
    yield go_on
    go_on.set()
    greenlet.join()


def test_waiters_are_served_in_order(holder):
    """First come, first served."""
    served = []

    def wait_in_line(number):
        query()
        served.append(number)

    line = []
    for number in range(10):
        line.append(gevent.spawn(wait_in_line, number))
        until(lambda n=number: statistics().waiting == n + 1)
    holder.set()
    gevent.joinall(line)
    assert served == list(range(10))


def test_a_newcomer_does_not_overtake(holder):
    """A connection that comes back goes to the first in the queue, not to who asks just then."""
    served = []
    waiting = gevent.spawn(lambda: (query(), served.append("waiting")))
    until(lambda: statistics().waiting == 1)
    holder.set()
    newcomer = gevent.spawn(lambda: (query(), served.append("newcomer")))
    gevent.joinall([waiting, newcomer])
    assert served == ["waiting", "newcomer"]


def test_a_wait_ends_with_an_error_that_says_everything(pool):
    """PoolTimeout names the pool, its numbers and the holders; it is an OperationalError."""
    pool(max_size=2, min_size=2, timeout=0.3)
    warm(2)
    go_on = Event()
    holders = [hold(go_on), hold(go_on)]
    with pytest.raises(OperationalError) as caught:
        query()
    error = caught.value
    assert isinstance(error, PoolTimeout)
    assert (error.alias, error.max_size, error.waiting) == ("default", 2, 0)
    assert 0.3 <= error.seconds < 5
    assert [name_of(greenlet) for greenlet in holders] == [h.greenlet for h in error.holders]
    assert all('"body", spawned at test_pool.py:' in h.greenlet for h in error.holders)
    assert "pool 'default': no connection after 0." in str(error)
    assert "2 of 2 in use" in str(error)
    assert statistics().timeouts == 1
    assert statistics().waiting == 0
    go_on.set()
    gevent.joinall(holders)


def test_too_many_waiters_are_refused_at_once(pool):
    """max_waiting sheds load instead of queueing it."""
    pool(max_size=1, timeout=60.0, max_waiting=1)
    go_on = Event()
    greenlet = hold(go_on)
    first = gevent.spawn(query)
    until(lambda: statistics().waiting == 1)
    with pytest.raises(PoolTimeout) as caught:
        query()
    assert caught.value.seconds == 0
    assert caught.value.waiting == 1
    go_on.set()
    assert first.get() == 1
    greenlet.join()


@pytest.mark.parametrize("leave", ["kill", "timeout", "deadline"])
def test_a_waiter_that_leaves_takes_nothing_with_it(holder, leave):
    """Its place is gone, and the connection goes to the next one."""

    def impatient():
        if leave == "deadline":
            with pytest.raises(DeadlineExceeded), deadline(0.01):
                query()
        elif leave == "timeout":
            with gevent.Timeout(0.01, False):
                query()
        else:
            query()

    leaving = gevent.spawn(impatient)
    until(lambda: statistics().waiting == 1)
    staying = gevent.spawn(query)
    if leave == "kill":
        leaving.kill()
    leaving.join()
    holder.set()
    assert staying.get(timeout=5) == 1


def test_a_waiter_killed_in_the_moment_it_is_served_loses_nothing(holder):
    """The connection it was given goes back."""
    leaving = gevent.spawn(query)
    until(lambda: statistics().waiting == 1)
    holder.set()
    # The holder's greenlet gives back in the same turn of the hub as the kill arrives.
    leaving.kill(block=False)
    leaving.join()
    assert query() == 1
    assert statistics().in_use == 1


def test_an_error_of_connecting_reaches_the_caller(pool):
    """A server that is not there is Django's OperationalError, and the pool stays usable."""
    port = connections.settings["default"]["PORT"]
    pool(max_size=2, PORT=1)
    with pytest.raises(OperationalError):
        query()
    assert statistics().connecting == 0
    answers = map_each(lambda _: query(), range(5), limit=None, return_exceptions=True)
    assert all(isinstance(answer, OperationalError) for answer in answers)
    pool(max_size=2, PORT=port)
    assert query() == 1


def test_a_terminated_session_is_noticed_before_it_is_lent(pool, target, observer):
    """After a restart of the server no query fails on an old connection."""
    pool(max_size=4, min_size=4)
    warm(4)
    observer.terminate()
    until(lambda: observer.sessions() == 0)
    assert query() == 1


def test_a_session_is_replaced_when_it_has_lived_long_enough(pool, target):
    """max_lifetime ends a connection between two leases."""
    pool(max_size=1, max_lifetime=0.01)
    first = query(target.session)
    connection.close()
    gevent.sleep(0.02)
    assert query(target.session) != first


def test_connections_that_were_opened_together_do_not_end_together():
    """Each lives up to a tenth shorter than max_lifetime says, as chance has it."""
    now = time.monotonic()
    driver: Any = SimpleNamespace(attributes=id)
    made = [
        PooledConnection(SimpleNamespace(), driver, generation=0, lifetime=100.0)
        for _ in range(100)
    ]
    ends = [each.expires - now for each in made]
    spread = max(ends) - min(ends)
    assert min(ends) >= 90
    assert spread > 5
    assert max(ends) <= 100 + time.monotonic() - now


@pytest.mark.slow
def test_idle_connections_are_closed_down_to_min_size(pool, target, observer):
    """max_idle shrinks a pool after a rush."""
    pool(max_size=4, min_size=1, max_idle=0.01)
    map_each(lambda _: query(target.sleep(0.02)), range(4), limit=4)
    until(lambda: observer.sessions() == 1, "shrunk")
    assert statistics().open == 1


def test_min_size_is_opened_with_the_first_use(pool):
    """The rush that follows finds connections open."""
    pool(max_size=4, min_size=3)
    query()
    until(lambda: statistics().open == 3)


def test_the_signal_of_a_new_connection_is_sent_for_each_lease(pool):
    """As with Django's own pool: what receivers set may differ from request to request."""
    created = []

    def count(**_):
        created.append(1)

    connection_created.connect(count)
    for _ in range(3):
        query()
        connection.close()
    connection_created.disconnect(count)
    assert created == [1, 1, 1]


@pytest.mark.targets("postgresql")  # Django sets none on others
def test_another_time_zone_is_set_on_connections_that_were_open(pool):
    """A changed setting reaches sessions that were set up before."""
    query()
    with override_settings(USE_TZ=False, TIME_ZONE="Asia/Tokyo"):
        assert query("SHOW TIME ZONE") == "Asia/Tokyo"
    assert query("SHOW TIME ZONE") == "UTC"


def test_another_database_under_the_same_alias_gets_another_pool(pool, target):
    """As when a test database takes the place of the real one."""
    assert query(target.database) == target.settings["NAME"]
    connection.close()
    pool(max_size=1, NAME=target.other_database)
    assert query(target.database) == target.other_database


def test_closing_the_pool_ends_its_sessions(pool, target, observer):
    """Django closes the pool before it drops a database."""
    map_each(lambda _: query(target.sleep(0.01)), range(3), limit=3)
    connection.close_pool()
    assert observer.sessions() == 0
    assert query() == 1


def test_a_lease_of_a_closed_pool_is_closed_when_it_comes_back(pool, observer):
    """It is not kept by anybody."""
    query()
    registry.forget("default")
    connection.close()
    until(lambda: observer.sessions() == 0)


def test_closing_inside_atomic_does_not_use_another_connection(pool):
    """The rest of the block fails, as with Django's backend."""
    from django.db import Error

    with pytest.raises(Error, match="atomic block"), transaction.atomic():
        query()
        connection.close()
        query()
    assert query() == 1


def test_statistics_add_up(pool, target):
    """open is in_use and idle together, and nothing exceeds max_size."""
    pool(max_size=3)
    map_each(lambda _: query(target.sleep(0.01)), range(6), limit=None)
    query()
    numbers = statistics()
    assert numbers.open == numbers.in_use + numbers.idle == 3
    assert (numbers.max_size, numbers.in_use, numbers.connecting) == (3, 1, 0)
    assert set(pool_statistics()) == {"default"}


def run(code: str, target: Target, **environment: str) -> str:
    """Run code in a process of its own, with Django set up on the target's database."""
    start = (
        "import os, sys\n"
        "if os.environ.get('TEST_DRIVER') == 'psycopg2': sys.modules['psycopg'] = None\n"
        "import concurrency.patch\n"
        "from django.conf import settings\n"
        f"settings.configure(DATABASES={{'default': {target.settings!r}}}, USE_TZ=True)\n"
        "import django; django.setup()\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", start + code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def test_options_of_the_pool_may_come_from_a_url(pool, target):
    """They go over the dictionary, their text is read, and no driver sees them."""
    pool(max_size=9, OPTIONS={"pool_max_size": "3", "pool_lend_while_waiting": 0})
    query()
    options = connection.pool_options()
    assert (statistics().max_size, options.lend_while_waiting, options.timeout) == (3, False, 10.0)


@pytest.mark.slow
def test_an_unpatched_process_has_no_pool(target):
    """There the backend is Django's own."""
    code = "from django.db import connection\nfrom concurrency.db import *\n"
    code += "connection.ensure_connection(); print(pool_statistics(), connection.pool)\n"
    code += "connection.close(); print(connection.connection)"
    assert run(code, target, CONCURRENCY_PATCH="0") == "{} None\nNone"


@pytest.mark.slow
def test_a_child_of_fork_uses_sessions_of_its_own(target):
    """Parent and children query at the same time and each gets its own answers."""
    code = (
        "import os, gevent\nfrom django.db import connection\n"
        "def pid():\n"
        "    with connection.cursor() as c:\n"
        f"        c.execute({target.session!r}); return c.fetchone()[0]\n"
        "seen = {pid()}\n"
        "for _ in range(3):\n"
        "    r, w = os.pipe()\n"
        "    if (child := gevent.os.fork_and_watch()) == 0:\n"
        "        os.write(w, str(pid()).encode()); os._exit(0)\n"
        "    gevent.os.waitpid(child, 0); os.close(w); seen.add(int(os.read(r, 99))); os.close(r)\n"
        "seen.add(pid())\nprint(len(seen)); connection.close()"
    )
    assert run(code, target) == "4"
