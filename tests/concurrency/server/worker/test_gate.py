"""The line in front of the application: its order, its limits, and who is turned away."""

from __future__ import annotations

import logging
from types import SimpleNamespace

import gevent
import pytest
from django.http import HttpResponse
from gevent.event import Event

from concurrency.server.worker import gate
from tests.concurrency.server.worker.gated import Asking, taking, waiting_for
from tests.helpers import until


@pytest.fixture
def clock(monkeypatch):
    """The time of the gate, which stands still until a test moves it."""
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(gate, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_requests_in_flight_are_limited_and_the_others_come_in_order():
    """Who is let in next is who came first."""
    event, order = Event(), []
    asking = Asking(waiting_for(event, order), limit=2)
    greenlets = [asking.spawn(1, str(number))[0] for number in range(6)]
    until(lambda: order == ["0", "1"])
    assert len(asking.gate.in_flight()) == 2
    assert asking.gate.waiting() == 4
    event.set()
    gevent.joinall(greenlets)
    assert order == ["0", "1", "2", "3", "4", "5"]
    assert asking.statuses == ["200 OK"] * 6
    assert not asking.gate.in_flight()


@pytest.mark.parametrize(("shed_after", "is_served"), [(5.0, True), (1.0, False)])
def test_a_burst_is_served_to_its_end(clock, shed_after, is_served):
    """Nobody is turned away because many come at once, if all are served within SHED_AFTER."""
    asking = Asking(taking(clock, 0.04), shed_after=shed_after)
    gevent.joinall(asking.spawn(100))
    assert (asking.statuses == ["200 OK"] * 100) is is_served


def test_one_long_wait_is_no_overload(clock):
    """A view that blocks everybody once, after a pause, costs nobody a response."""
    asking = Asking(taking(clock, 0.15), shed_after=0.05)
    clock.seconds += 0.06
    gevent.joinall(asking.spawn(2))
    assert asking.statuses == ["200 OK"] * 2


@pytest.mark.slow
def test_an_overload_is_logged_when_it_begins_and_when_it_ends(caplog):
    """Once each, however many are turned away."""
    event = Event()
    asking = Asking(waiting_for(event), limit=1, shed_after=0.1)
    gevent.joinall(asking.spawn(4)[1:])
    event.set()
    gevent.sleep(0.15)
    asking.ask()
    with gevent.Timeout(5):
        while "no longer" not in caplog.text:
            gevent.sleep(0.01)
    texts = [record.getMessage() for record in caplog.records]
    assert [text.partition(" ")[0] for text in texts] == ["overloaded:", "no"]
    assert "1 are in flight" in texts[0]
    assert "3 requests were turned away" in texts[1]


def test_a_request_that_would_wait_too_long_is_answered_503_with_retry_after(clock):
    """When all places have been taken for long it waits for 60 ms and no more."""
    event = Event()
    asking = Asking(waiting_for(event), limit=1, shed_after=0.2)
    served = asking.spawn(1)
    until(lambda: len(asking.gate.in_flight()) == 1)
    # The line becomes permanent: somebody is always waiting.
    first = asking.spawn(1)[0]

    def is_shed() -> bool:
        clock.seconds += 0.1
        return first.dead

    until(is_shed)
    late = asking.spawn(3)
    until(lambda: asking.gate.waiting() == 3)
    clock.seconds += 0.059
    gevent.joinall(asking.spawn(1), timeout=0.03)  # has the gate look at the line
    assert asking.gate.shed == 1
    clock.seconds += 0.002
    gevent.joinall(late)
    clock.seconds += 0.06
    until(lambda: asking.gate.shed == 5)
    assert asking.headers[-1]["Retry-After"] == "1"
    assert asking.headers[-1]["X-Request-ID"]
    event.set()
    gevent.joinall(served)
    assert asking.statuses[:-1] == ["503 Service Unavailable"] * 5
    assert asking.statuses[-1] == "200 OK"


def test_twice_as_much_as_can_be_done_is_shed_and_the_rest_is_fast(clock):
    """The accepted wait no longer than the limit allows, however long the overload lasts."""
    asking = Asking(taking(clock, 0.004), shed_after=0.1)
    waits: list[float] = []

    def ask() -> None:
        begun = clock.seconds
        if asking.ask() == "200 OK":
            waits.append(clock.seconds - begun)

    greenlets: list[gevent.Greenlet] = []
    while len(greenlets) < 400:
        # One each two milliseconds, also when the hub was late.
        while len(greenlets) < clock.seconds / 0.002:
            greenlets.append(gevent.spawn(ask))
        clock.seconds += 0.0005
        gevent.idle()
    gevent.joinall(greenlets)
    assert asking.gate.shed > 50
    # Those of the first moment had not yet been taken for an overload.
    later = sorted(waits[len(waits) // 2 :])
    assert later[len(later) // 2] < 0.1


@pytest.mark.slow
def test_a_log_handler_that_waits_holds_up_no_request():
    """Nothing is logged in the hub, so the line moves on while a record waits for its handler."""
    records = []
    handler, log, event = logging.Handler(), logging.getLogger("concurrency.server"), Event()
    handler.emit = records.append
    log.addHandler(handler)
    handler.acquire()
    try:
        asking = Asking(waiting_for(event), limit=1, shed_after=0.1)
        gevent.joinall(asking.spawn(4)[1:], timeout=5)
        assert asking.statuses == ["503 Service Unavailable"] * 3
        event.set()
        assert asking.ask() == "200 OK"
        assert records == []
    finally:
        handler.release()
        gevent.sleep(0.01)
        log.removeHandler(handler)
    assert "overloaded" in records[0].getMessage()


def test_the_line_goes_on_after_an_error_in_the_hub(monkeypatch, capfd):
    """Whatever a turn of the line has raised, the next one comes."""
    asking = Asking(waiting_for(Event()), shed_after=1.0)
    fails = iter([True])
    patience = asking.gate._patience

    def broken(waited, now):
        if next(fails, False):
            raise LookupError("in the hub")
        return patience(waited, now)

    monkeypatch.setattr(asking.gate, "_patience", broken)
    greenlet = asking.spawn(1)[0]
    until(lambda: len(asking.gate.in_flight()) == 1)
    assert "in the hub" in capfd.readouterr().err
    greenlet.kill()


def test_a_line_that_does_not_move_is_noticed(clock):
    """It counts from the last request that was let in, and is nothing when nobody waits."""
    event = Event()
    asking = Asking(waiting_for(event), limit=1)
    assert asking.gate.stalled() == 0.0
    greenlets = asking.spawn(2)
    until(lambda: asking.gate.waiting() == 1)
    assert asking.gate.stalled() == 0.0
    clock.seconds += 0.02
    assert asking.gate.stalled() == pytest.approx(0.02)
    event.set()
    gevent.joinall(greenlets)
    assert asking.gate.stalled() == 0.0


@pytest.mark.parametrize(("shed_after", "are_shed"), [(None, False), (1.0, True)])
def test_nobody_is_turned_away_when_that_is_off(clock, shed_after, are_shed):
    """`SHED_AFTER` None is for those whose clients would rather wait."""
    event = Event()
    asking = Asking(waiting_for(event), limit=1, shed_after=shed_after)
    greenlets = []
    for _ in range(4):
        greenlets += asking.spawn(3)  # who comes has the gate look at the line
        gevent.idle()
        clock.seconds += 100
    assert (asking.gate.shed > 0) is are_shed
    event.set()
    gevent.joinall(greenlets)
    assert ("503 Service Unavailable" in asking.statuses) is are_shed


def test_a_client_that_leaves_the_line_holds_up_nobody():
    """Its place is passed over, and its request is never begun."""
    event, order = Event(), []
    asking = Asking(waiting_for(event, order), limit=1)
    first, gone, last = (asking.spawn(1, path)[0] for path in ("first", "gone", "last"))
    until(lambda: asking.gate.waiting() == 2)
    gone.kill()
    event.set()
    gevent.joinall([first, last])
    assert order == ["first", "last"]


def test_a_request_that_fails_gives_its_place_back():
    """Whether the application raises before it answers or while it sends."""

    def broken(environ, start_response):
        if environ["PATH_INFO"] == "at once":
            raise LookupError
        start_response("200 OK", [])
        return iter(lambda: 1 / 0, None)

    asking = Asking(broken, limit=1)
    with pytest.raises(LookupError):
        asking.ask("at once")
    body = asking.gate({"REQUEST_METHOD": "GET", "PATH_INFO": "later"}, lambda *args: None)
    with pytest.raises(ZeroDivisionError):
        b"".join(body)
    body.close()
    assert not asking.gate.in_flight()


def test_a_file_stays_a_file_for_the_server():
    """It can be sent by the kernel, and keeps no place meanwhile."""

    class Wrapper:
        closed = False

        def close(self):
            self.closed = True

    asking = Asking(lambda environ, start_response: Wrapper())
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/", "wsgi.file_wrapper": Wrapper}
    body = asking.gate(environ, lambda *args: None)
    assert isinstance(body, Wrapper)
    assert not asking.gate.in_flight()


@pytest.mark.parametrize("answer", [[b"done"], HttpResponse(b"done")], ids=["list", "Django's"])
def test_a_complete_answer_keeps_no_place_while_it_is_sent(answer):
    """How long that takes is a matter of the client."""
    asking = Asking(lambda environ, start_response: answer, limit=1)
    body = asking.gate({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *args: None)
    assert not asking.gate.in_flight()
    assert b"".join(body) == b"done"


def test_a_stream_keeps_its_place_until_its_last_chunk():
    """It works until then, and no longer: closing it may take as long as it likes."""
    asking = Asking(lambda environ, start_response: iter([b"1", b"2"]), limit=1)
    body = asking.gate({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, lambda *args: None)
    chunks = iter(body)
    assert [next(chunks), next(chunks)] == [b"1", b"2"]
    assert len(asking.gate.in_flight()) == 1
    assert next(chunks, None) is None
    assert not asking.gate.in_flight()
