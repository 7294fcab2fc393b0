"""Which ids of a caller are believed."""

from __future__ import annotations

import re

import pytest

from concurrency.observe.ids import Trace, ids_of, request_id

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize("given", ["a", "3f2c-9", "svc:1/2+3=~._@", "x" * 128])
def test_a_valid_request_id_is_kept(given):
    """Letters, digits and a few signs, up to 128."""
    assert request_id(given) == given


@pytest.mark.parametrize("given", [None, "", "a b", "a\r\nSet-Cookie: x", 'a"b', "ä", "x" * 129])
def test_an_invalid_request_id_is_replaced(given):
    """What is too long, or could end a line of the log, is not taken over."""
    assert re.fullmatch("[0-9a-f]{32}", request_id(given))


def test_a_trace_is_continued_with_a_span_of_our_own():
    """Trace, flags and state stay as they are, and the parent of the next call is this service."""
    trace = Trace.continuing(f"00-{TRACE}-{SPAN}-01", "vendor=1")
    assert (trace.trace_id, trace.flags, trace.state) == (TRACE, "01", "vendor=1")
    assert trace.span_id != SPAN
    assert str(trace) == f"00-{TRACE}-{trace.span_id}-01"


def test_a_later_version_of_traceparent_is_understood():
    """It may have more parts; they are not passed on."""
    assert str(Trace.continuing(f"cc-{TRACE}-{SPAN}-01-more")).startswith(f"00-{TRACE}-")


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        f"00-{TRACE}-{SPAN}",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
    ],
)
def test_an_invalid_traceparent_begins_a_new_trace(given):
    """Nor is a state believed that came without a trace."""
    trace = Trace.continuing(given, "vendor=1")
    assert trace.trace_id != TRACE
    assert (trace.flags, trace.state) == ("00", "")


def test_the_ids_of_a_request_are_those_of_its_caller():
    """Each that is missing or invalid is new, and shares no digits with another."""
    name, trace = ids_of({"HTTP_X_REQUEST_ID": "abc", "HTTP_TRACEPARENT": f"00-{TRACE}-{SPAN}-01"})
    assert (name, trace.trace_id, trace.flags) == ("abc", TRACE, "01")
    name, trace = ids_of({"HTTP_X_REQUEST_ID": "a b", "HTTP_TRACESTATE": "vendor=1"})
    assert [len(name), len(trace.trace_id), len(trace.span_id)] == [32, 32, 16]
    assert not {name[:16], name[16:]} & {trace.trace_id[:16], trace.trace_id[16:], trace.span_id}
    assert (trace.flags, trace.state) == ("00", "")
    assert ids_of({}) != ids_of({})
