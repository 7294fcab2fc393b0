"""Background workers of SDKs that are started inside ``offload``, and queues shared with it."""

from __future__ import annotations

import concurrent.futures
import logging
import queue
import threading
from logging.handlers import QueueHandler, QueueListener
from typing import Any

import gevent
import pytest

from concurrency import TaskGroup, gather, offload
from concurrency.patching.simple_queue import SimpleQueue

# Long enough for a machine that does many other things, and less than a test may take.
LIMIT = 15


def start_worker(got: list[Any]) -> queue.Queue[Any]:
    """Start what an SDK starts: a thread that waits for work for ever."""
    work: queue.Queue[Any] = queue.Queue()

    def consume() -> None:
        while (item := work.get()) is not None:
            got.append(item)
            work.task_done()

    threading.Thread(target=consume, daemon=True).start()
    return work


def test_a_worker_started_inside_offload_runs_on_after_the_call():
    """What greenlets hand to it later is worked on while the thread is idle."""
    got: list[Any] = []
    work = offload(start_worker, got)
    with gevent.Timeout(LIMIT):
        for number in range(20):
            work.put(number)
            work.join()
    assert got == list(range(20))
    work.put(None)


def test_a_worker_started_inside_offload_serves_all_threads():
    """Calls of ``offload`` and greenlets hand work to it at the same time."""
    got: list[Any] = []
    work = offload(start_worker, got)
    with gevent.Timeout(LIMIT):
        gather(*[lambda n=n: offload(work.put, n) for n in range(8)], lambda: work.put(8))
        work.join()
    assert sorted(got) == list(range(9))
    work.put(None)


@pytest.mark.parametrize("used", ["by greenlets", "by threads"])
def test_an_executor_made_in_a_thread_is_used_anywhere(used: str):
    """Its work queue and its futures may be shared."""
    executor = offload(concurrent.futures.ThreadPoolExecutor, 3)

    def use(number: int) -> int:
        return executor.submit(pow, number, 2).result(LIMIT)

    call = use if used == "by greenlets" else lambda number: offload(use, number)
    with gevent.Timeout(LIMIT):
        assert gather(*[lambda n=n: call(n) for n in range(20)]) == [n * n for n in range(20)]
        assert offload(lambda: executor.submit(pow, 5, 2).result(LIMIT)) == 25
        executor.shutdown()


def test_an_executor_of_a_greenlet_is_used_and_waited_for_in_offload():
    """``wait``, ``as_completed`` and ``map`` work in a native thread."""
    with gevent.Timeout(LIMIT), concurrent.futures.ThreadPoolExecutor(3) as executor:

        def use() -> list[int]:
            futures = [executor.submit(pow, n, 2) for n in range(10)]
            done, _ = concurrent.futures.wait(futures, LIMIT)
            assert len(done) == 10
            each = concurrent.futures.as_completed(futures, LIMIT)
            assert sorted(future.result() for future in each) == [n * n for n in range(10)]
            return list(executor.map(abs, range(-5, 0), timeout=LIMIT))

        assert offload(use) == [5, 4, 3, 2, 1]


def test_a_simple_queue_passes_everything_on():
    """Between threads and greenlets, in both directions, with killed and late waiters."""
    passed: queue.SimpleQueue[Any] = queue.SimpleQueue()
    assert type(passed) is SimpleQueue
    got: list[int] = []

    def put() -> None:
        for number in range(100):
            passed.put(number)
            if not number % 10:
                gevent.sleep(0)

    def get() -> None:
        for _ in range(100):
            got.append(passed.get(timeout=LIMIT))

    def given_up() -> None:
        for _ in range(30):
            with gevent.Timeout(0.0005, False):
                got.append(passed.get())
            try:
                got.append(passed.get(timeout=0.0002))
            except queue.Empty:
                gevent.sleep(0)

    with gevent.Timeout(LIMIT), TaskGroup() as group:
        takers = [group.spawn(get) for _ in range(2)] + [group.spawn(offload, get)]
        group.spawn(given_up)
        group.spawn(offload, given_up)
        for _ in range(3):
            group.spawn(put)
            group.spawn(offload, put)
        del takers
    while not passed.empty():
        got.append(passed.get_nowait())
    assert sorted(got) == sorted(list(range(100)) * 6)


def test_a_simple_queue_behaves_as_the_standard_librarys():
    """Errors, order and return values."""
    one: queue.SimpleQueue[Any] = queue.SimpleQueue()
    assert (one.empty(), one.qsize()) == (True, 0)
    with pytest.raises(queue.Empty):
        one.get_nowait()
    with pytest.raises(queue.Empty):
        one.get(timeout=0.001)
    with pytest.raises(ValueError, match="non-negative"):
        one.get(timeout=-1)
    one.put(1)
    one.put_nowait(None)
    assert (one.empty(), one.qsize(), one.get(), one.get(False)) == (False, 2, 1, None)
    assert queue.SimpleQueue[int]


@pytest.mark.parametrize("start", ["in a greenlet", "in a thread"])
@pytest.mark.parametrize("make", [queue.Queue, queue.SimpleQueue])
def test_a_queue_handler_hands_records_on(start: str, make: Any):
    """With both kinds of queue, and with a listener that another thread started."""
    seen: list[str] = []

    class Seen(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(record.getMessage())

    passed = make()
    listener = QueueListener(passed, Seen())
    logger = logging.Logger("handed on")
    logger.addHandler(QueueHandler(passed))
    with gevent.Timeout(LIMIT):
        offload(listener.start) if start == "in a thread" else listener.start()
        logger.warning("from a greenlet")
        offload(logger.warning, "from a thread")
        while len(seen) < 2:
            gevent.sleep(0.001)
        listener.stop()
    assert sorted(seen) == ["from a greenlet", "from a thread"]


def test_sentry_delivers_what_is_logged_inside_offload():
    """Also when its worker thread is started there, by the first event."""
    sentry_sdk = pytest.importorskip("sentry_sdk")
    from sentry_sdk.transport import HttpTransport

    sent: list[Any] = []

    class Transport(HttpTransport):  # type: ignore[misc]
        def _send_envelope(self, envelope: Any) -> None:
            sent.append(envelope)

    def log() -> None:
        logging.getLogger("tests.sentry").error("inside offload")

    sentry_sdk.init(dsn="http://key@127.0.0.1:9/1", transport=Transport, default_integrations=True)
    try:
        with gevent.Timeout(LIMIT):
            offload(log)
            log()
            while len(sent) < 2:
                gevent.sleep(0.001)
            sentry_sdk.flush(timeout=LIMIT)
    finally:
        sentry_sdk.get_client().close(timeout=0)
        sentry_sdk.init()


def test_opentelemetry_exports_what_is_recorded_inside_offload():
    """Also when its batch processor, with its worker thread, is made there."""
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()

    def make() -> Any:
        provider = trace.TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=10))
        return provider

    with gevent.Timeout(LIMIT):
        provider = offload(make)
        tracer = provider.get_tracer("tests")

        def record() -> None:
            tracer.start_span("one").end()

        offload(record)
        record()
        while len(exporter.get_finished_spans()) < 2:
            gevent.sleep(0.001)
        provider.shutdown()
