"""The deadline of a request, through Django's handler and a real database."""

from __future__ import annotations

from io import BytesIO

import gevent
import gevent.pywsgi
import pytest
from django.contrib.contenttypes.models import ContentType
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.signals import request_finished
from django.db import transaction
from django.http import FileResponse, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from django.utils.decorators import method_decorator
from django.views import View
from gevent.event import Event

from concurrency import deadline, gather, map_each, remaining
from concurrency.context import activity
from concurrency.http import TIMEOUT_HEADER, Session
from concurrency.middleware import request_deadline
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

ended: list[str] = []
endless: list[str] = []  # what views wait for


def told(request):
    return HttpResponse(f"{remaining()}|{activity.get()}")


def slow(request):
    with transaction.atomic():
        query("INSERT INTO scratch VALUES (1)")
        query(endless[0])


def fans_out(request):
    def child():
        try:
            query(endless[0])
        finally:
            ended.append("child")

    gather(child, child)


def own_deadline(request):
    with deadline(0.01):
        Event().wait()


@request_deadline(0.02)
def hasty(request):
    Event().wait()


@request_deadline(None)
def patient(request):
    return told(request)


@method_decorator(request_deadline(7), name="dispatch")
class Class(View):
    def get(self, request):
        return told(request)


def stream(request):
    def chunks():
        yield f"{remaining()}"

    return StreamingHttpResponse(chunks())


def stream_of_queries(request, binding):
    def chunks():
        if binding == "atomic":
            with transaction.atomic():
                yield f"{query()}"
                yield f"{query()}"
        elif binding == "iterator":
            for content_type in ContentType.objects.order_by("pk").iterator(chunk_size=1):
                yield content_type.model
        else:
            yield f"{query()}"
            yield f"{query()}"

    return StreamingHttpResponse(chunks())


def file(request):
    query()
    return FileResponse(BytesIO(b"contents"))


urlpatterns = [
    path("file/", file),
    path("stream/<binding>/", stream_of_queries),
    path("told/", told),
    path("slow/", slow),
    path("fans-out/", fans_out),
    path("own/", own_deadline),
    path("hasty/", hasty),
    path("patient/", patient),
    path("class/", Class.as_view()),
    path("stream/", stream),
]


@pytest.fixture
def ask():
    """Send a request through Django, as a server does, and close the response."""
    changes = override_settings(
        ROOT_URLCONF=__name__,
        MIDDLEWARE=["concurrency.middleware.ConcurrencyMiddleware"],
        CONCURRENCY={"REQUEST_DEADLINE": 20.0},
    )
    changes.enable()
    handler = WSGIHandler()

    def send(url: str, **headers: str) -> tuple[int, str]:
        environ = RequestFactory().get(url, headers=headers).environ
        response = handler(environ, lambda *_: None)
        body = b"".join(response).decode()
        response.close()
        return response.status_code, body

    yield send
    changes.disable()


def seconds(body: str) -> float:
    return float(body.split("|")[0])


def test_a_request_has_the_deadline_of_the_settings(ask):
    """A view can ask what is left of it."""
    status, body = ask("/told/")
    assert status == 200
    assert 0 < seconds(body) <= 20
    assert body.endswith("|GET /told/")
    assert activity.get() is None


def test_a_caller_can_shorten_it_but_not_extend_it(ask):
    """X-Request-Timeout-Ms is obeyed when it is the nearer one."""
    assert seconds(ask("/told/", **{TIMEOUT_HEADER: "5000"})[1]) <= 5
    assert 5 < seconds(ask("/told/", **{TIMEOUT_HEADER: "99000"})[1]) <= 20


@pytest.mark.parametrize("value", ["soon", "-5", "1.5", "٣", ""])
def test_a_header_that_is_no_number_is_refused(ask, value):
    """400, with a sentence that names it."""
    status, body = ask("/told/", **{TIMEOUT_HEADER: value})
    assert status == 400
    assert TIMEOUT_HEADER in body


def test_no_time_left_is_a_504_at_once(ask):
    """The view does not run for somebody who has gone."""
    status, body = ask("/told/", **{TIMEOUT_HEADER: "0"})
    assert status == 504
    assert "longer than it may" in body


def test_a_view_has_a_limit_of_its_own(ask):
    """The decorator wins over the settings, for functions and classes."""
    assert ask("/hasty/")[0] == 504
    assert ask("/patient/")[1].startswith("None|")
    assert 5 < seconds(ask("/class/")[1]) <= 7


def test_a_caller_can_shorten_a_views_own_limit(ask):
    """None for the view is still bounded by who asks."""
    assert seconds(ask("/patient/", **{TIMEOUT_HEADER: "5000"})[1]) <= 5


def test_a_deadline_of_the_views_own_is_a_504_too(ask):
    """What a view lets through is no 500."""
    status, body = ask("/own/")
    assert status == 504
    assert "0.01 s" in body


@pytest.mark.slow
@pytest.mark.targets("postgresql", "mariadb", "sqlite")
@pytest.mark.parametrize("url", ["/slow/", "/fans-out/"])
def test_an_expired_request_leaves_nothing_behind(ask, pool, target, observer, url):
    """SQL is stopped, the lease back, nothing written, children gone, and Django told."""
    ended.clear()
    endless[:] = [target.sleep(30)]
    finished = []
    request_finished.connect(lambda **_: finished.append(1), weak=False, dispatch_uid="test")
    try:
        assert ask(url, **{TIMEOUT_HEADER: "200"})[0] == 504
    finally:
        request_finished.disconnect(dispatch_uid="test")
    assert len(finished) == 1
    assert ended == (["child", "child"] if url == "/fans-out/" else [])
    assert statistics().in_use == 0
    until(lambda: observer.running() == 0, "stopped")
    assert observer.in_transaction() == 0
    assert query("SELECT count(*) FROM scratch") == 0


def test_what_an_expired_request_is_answered_is_plain(ask):
    """A sentence, whatever page of errors the site has."""
    status, body = ask("/own/", accept="text/html")
    assert (status, body) == (
        504,
        "The request took longer than it may: deadline of 0.01 s exceeded.\n",
    )


def test_a_stream_has_no_deadline(ask):
    """What is sent after the response began may take its time."""
    assert ask("/stream/") == (200, "None")


@pytest.fixture
def begin(ask):
    """Begin streams and leave them where they are, as idle clients do."""
    responses = []

    def send(url: str) -> str:
        response = WSGIHandler()(RequestFactory().get(url).environ, lambda *_: None)
        chunks = iter(response)
        responses.append((response, chunks))
        return next(chunks).decode()

    yield send
    for response, _ in responses:
        response.close()


@pytest.mark.targets("postgresql", "mariadb", "sqlite")
def test_idle_streams_hold_no_connection(begin, pool):
    """Five hundred streams between two chunks leave a pool of ten free."""
    pool(max_size=10)
    assert map_each(lambda _: begin("/stream/plain/"), range(500), limit=None) == ["1"] * 500
    assert statistics().in_use == 0
    assert query() == 1


@pytest.mark.parametrize("binding", ["atomic", "iterator"])
def test_a_stream_in_a_transaction_or_with_unread_rows_keeps_its_connection(begin, pool, binding):
    """What the next chunk depends on is not lent."""
    call_command("migrate", verbosity=0)
    begin(f"/stream/{binding}/")
    assert statistics().in_use == 1


def test_a_file_is_left_to_the_server(ask, pool, caplog):
    """It can send one without reading it; the connection is lent, and the end is noticed."""
    caplog.set_level("INFO", "concurrency.request")
    environ = RequestFactory().get("/file/").environ
    sent = []
    environ["wsgi.file_wrapper"] = lambda file, size: sent.append(file) or file
    WSGIHandler()(environ, lambda *_: None)
    assert statistics().in_use == 0
    assert sent[0].read() == b"contents"
    assert not caplog.records
    sent[0].close()
    assert "GET /file/ 200" in caplog.text


def test_a_session_tells_servers_what_is_left():
    """A chain of services shares one deadline."""
    sent = []

    def answer(environ, start_response):
        sent.append(environ.get("HTTP_X_REQUEST_TIMEOUT_MS"))
        start_response("200 OK", [])
        return [b""]

    server = gevent.pywsgi.WSGIServer(("127.0.0.1", 0), answer, log=None)
    server.start()
    url = f"http://127.0.0.1:{server.server_port}/"
    with Session() as session, Session(send_deadline=False) as silent:
        session.get(url)
        with deadline(5):
            session.get(url)
            silent.get(url)
    server.stop(timeout=1)
    assert sent[0] is None
    assert 0 < int(sent[1]) <= 5000
    assert sent[2] is None
