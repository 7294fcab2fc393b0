"""Ids in responses, calls, children and log records; one line for each request."""

from __future__ import annotations

import logging
from http.server import BaseHTTPRequestHandler

import pytest
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse

from concurrency import gather
from concurrency.http import Session
from concurrency.observe.requests import current
from tests.concurrency.asking import ask
from tests.servers import impostor

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def lines(caplog) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "concurrency.request"]


@pytest.fixture(autouse=True)
def at_info(caplog):
    """Keep what is logged at INFO."""
    caplog.set_level(logging.INFO)


def test_the_ids_come_back_with_the_answer():
    """The request id as it came, the trace with a span of this service."""
    response = ask(lambda request: HttpResponse(), x_request_id="abc", traceparent=TRACEPARENT)
    assert response["X-Request-ID"] == "abc"
    assert response["traceparent"].startswith(TRACEPARENT[:35])
    assert response["traceparent"] != TRACEPARENT


def test_an_answer_of_the_middleware_itself_has_them_too():
    """So a caller who is told that his limit is no number can still be found in the log."""
    response = ask(lambda request: HttpResponse(), x_request_timeout_ms="x", x_request_id="abc")
    assert (response.status_code, response["X-Request-ID"]) == (400, "abc")


def test_every_record_names_the_request_also_in_children(caplog):
    """Whatever logger it comes from, and not after the request."""
    logger = logging.getLogger("somebody.else")

    def view(request):
        gather(lambda: logger.info("in a child"))
        return HttpResponse()

    ask(view, x_request_id="abc", traceparent=TRACEPARENT)
    logger.info("later")
    records = {record.getMessage(): record for record in caplog.records}
    assert records["in a child"].request_id == "abc"
    assert records["in a child"].trace_id == TRACEPARENT[3:35]
    assert records["later"].request_id == "-"


def test_calls_to_other_services_carry_them():
    """A session sends the id as it is, and the trace with this service as the parent."""
    seen: list[dict[str, str]] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(dict(handler.headers))
        handler.send_response(204)
        handler.end_headers()

    with impostor(answer) as url, Session() as session, Session(send_ids=False) as silent:

        def view(request):
            gather(lambda: session.get(url))
            silent.get(url)
            return HttpResponse()

        response = ask(view, x_request_id="abc", traceparent=TRACEPARENT, tracestate="v=1")
        session.get(url)
    told, not_told, outside = seen
    assert told["X-Request-ID"] == "abc"
    assert told["traceparent"] == response["traceparent"]
    assert told["tracestate"] == "v=1"
    assert not {"X-Request-ID", "traceparent"} & {*not_told, *outside}


def test_a_request_is_one_line_with_its_statements(caplog):
    """Method, route, status, time, statements of its children as well, and its id."""

    def query():
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    def view(request):
        request.resolver_match = type("Match", (), {"route": "some/<where>/"})
        gather(query, query)
        query()
        return HttpResponse(status=201)

    ask(view, x_request_id="abc")
    (line,) = lines(caplog)
    text = line.getMessage()
    assert text.startswith("GET /some/<where>/ 201 ")
    assert text.endswith(" ms, 3 SQL")
    assert line.request_id == "abc"
    assert (line.levelname, line.status, line.statements) == ("INFO", 201, 3)


def test_a_stream_is_logged_when_it_has_been_sent(caplog):
    """Its chunks are made as part of the request, its line comes last."""
    seen = []

    def chunks():
        seen.append(current.get().request_id)
        yield b"one"
        seen.append(len(lines(caplog)))
        yield b"two"

    ask(lambda request: StreamingHttpResponse(chunks()), x_request_id="abc")
    assert seen == ["abc", 0]
    assert len(lines(caplog)) == 1


def test_a_request_that_is_killed_is_logged_without_a_status(caplog):
    """Nobody has seen an answer, but the request has been there."""

    def view(request):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(view)
    (line,) = lines(caplog)
    assert line.status == 0
