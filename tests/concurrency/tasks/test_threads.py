"""offload: native threads with context, limits and statistics."""

from __future__ import annotations

import gevent
import pytest
from gevent import monkey

from concurrency import map_each, offload
from concurrency.conf import conf
from concurrency.tasks import offload_statistics
from tests.helpers import until

native_ident = monkey.get_original("threading", "get_ident")
native_lock = monkey.get_original("_thread", "allocate_lock")


class Gate:
    """A native lock: what waits at it blocks its whole thread."""

    def __init__(self):
        self.lock = native_lock()
        self.lock.acquire()

    def wait(self):
        with self.lock:
            return native_ident()

    def open(self):
        self.lock.release()


@pytest.fixture
def gate():
    made = Gate()
    yield made
    if made.lock.locked():
        made.open()
    until(lambda: not offload_statistics().running, "no call runs")


def test_it_runs_in_another_thread_and_returns_the_result():
    """The hub's thread stays free."""
    assert offload(native_ident) != native_ident()
    assert offload(divmod, 7, 2) == (3, 1)


def test_other_greenlets_run_meanwhile(gate):
    """A thread that blocks does not block the hub."""
    turns = []

    def turn():
        for _ in range(5):
            gevent.sleep(0)
            turns.append(1)
        gate.open()

    greenlet = gevent.spawn(turn)
    offload(gate.wait)
    greenlet.join()
    assert len(turns) == 5


def test_errors_come_back_as_themselves(capfd):
    """With the call's own frames, and without a second report on standard error."""

    def fail():
        raise LookupError("in a thread")

    with pytest.raises(LookupError) as caught:
        offload(fail)
    assert caught.traceback[-1].name == "fail"
    assert not capfd.readouterr().err


def test_a_cancelled_caller_stops_waiting_and_the_thread_goes_on(gate):
    """Statistics show the call that nobody waits for."""
    greenlet = gevent.spawn(offload, gate.wait)
    until(lambda: offload_statistics().running == 1, "the call runs")
    greenlet.kill()
    statistics = offload_statistics()
    assert (statistics.running, statistics.abandoned) == (1, 1)
    gate.open()
    until(lambda: not offload_statistics().running, "no call runs")
    assert offload_statistics().abandoned == 0


def test_an_error_that_nobody_waits_for_is_logged(gate, caplog):
    """No error is lost."""

    def fail():
        gate.wait()
        raise LookupError("nobody hears")

    greenlet = gevent.spawn(offload, fail)
    until(lambda: offload_statistics().running == 1, "the call runs")
    greenlet.kill()
    gate.open()
    until(lambda: not offload_statistics().running, "no call runs")
    until(lambda: "nobody hears" in caplog.text, "it is logged")


def test_calls_beyond_the_threads_wait_and_a_cancelled_one_never_runs(gate):
    """A call whose caller has gone before a thread was free is dropped."""
    ran = []
    busy = [gevent.spawn(offload, gate.wait) for _ in range(conf.OFFLOAD_THREADS)]
    until(lambda: offload_statistics().running == conf.OFFLOAD_THREADS, "all threads are busy")
    late = gevent.spawn(offload, ran.append, True)
    until(lambda: offload_statistics().waiting == 1, "one more waits")
    late.kill()
    assert offload_statistics().waiting == 0
    gate.open()
    gevent.joinall(busy)
    assert not ran


def test_many_offloads_at_once():
    """Each gets its own result."""
    assert map_each(lambda n: offload(pow, n, 2), range(50), limit=None) == [
        n * n for n in range(50)
    ]
