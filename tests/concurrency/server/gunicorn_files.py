"""The files of the application that the gunicorns of tests serve."""

from __future__ import annotations

APPLICATION = """
import concurrency.patch
import os
from django.conf import settings
from settings import databases
url = os.environ["DATABASE_URL"]
settings.configure(
    ROOT_URLCONF="urls_of_test", SECRET_KEY="x", ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["concurrency"],
    MIDDLEWARE=[
        "concurrency.middleware.ConcurrencyMiddleware",
        "django.middleware.common.CommonMiddleware",
    ],
    DATABASES={"default": databases.from_url(url)},
    LOGGING={
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(message)s [%(request_id)s]"}},
        "handlers": {"log": {"class": "logging.StreamHandler", "formatter": "line"}},
        "loggers": {
            "concurrency": {"handlers": ["log"], "level": "INFO"},
            "django.request": {"handlers": ["log"], "level": "INFO", "propagate": False},
        },
    },
    CONCURRENCY=eval(os.environ.get("OPTIONS_OF_TEST", "{}")),
    **eval(os.environ.get("SETTINGS_OF_TEST", "{}")),
)
import django
django.setup()
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
"""

URLS = """
import gc
import os
import threading
import time
from functools import partial

import gevent
from django.db import connection
from django.http import HttpResponse, StreamingHttpResponse
from django.urls import path
from gevent.monkey import get_original

from concurrency import TaskGroup, gather, joinall, offload, spawn
from concurrency.http import Session

print("views are imported", flush=True)

def plain(request):
    return HttpResponse(str(os.getpid()))

def sleep(request, seconds):
    gevent.sleep(float(seconds))
    return HttpResponse("slept")

def block(request, seconds):
    print("hub is blocked", flush=True)
    get_original("time", "sleep")(float(seconds))
    return HttpResponse("blocked")

def stuck(request):
    while not os.access("unblock", os.F_OK):
        get_original("time", "sleep")(0.01)
    return HttpResponse("blocked")

def burn(request, seconds):
    end = time.thread_time() + float(seconds)
    while time.thread_time() < end:
        pass
    return HttpResponse("burnt")

def query(request, seconds):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [float(seconds)])
    return HttpResponse("asked")

def threshold(request):
    return HttpResponse(str(gc.get_threshold()[0]))

def late(seconds):
    gevent.sleep(seconds)
    print("spawned work is done", flush=True)

def work(request, seconds):
    spawn(late, float(seconds))
    return HttpResponse("started")

def fail():
    raise LookupError("nobody waits for this")

def child(request):
    spawn(fail)
    return HttpResponse("started")

EXITS = {
    "spawn": lambda leave: spawn(leave),
    "gevent": lambda leave: gevent.spawn(leave),
    "later": lambda leave: gevent.spawn_later(0.01, leave),
    "raw": lambda leave: gevent.spawn_raw(leave),
    "thread": lambda leave: threading.Thread(target=leave).start(),
    "callback": lambda leave: gevent.get_hub().loop.run_callback(leave),
    "timer": lambda leave: threading.Timer(0.01, leave).start(),
    "joinall": lambda leave: joinall([spawn(leave)]),
    "gather": lambda leave: gather(leave),
    "group": lambda leave: grouped(leave),
    "offload": lambda leave: offload(leave),
    "itself": lambda leave: leave(),
}

def grouped(leave):
    with TaskGroup() as group:
        group.spawn(leave)

def leave(kind):
    raise {"SystemExit": SystemExit(3), "KeyboardInterrupt": KeyboardInterrupt()}[kind]

def exits(request, how, kind):
    EXITS[how](partial(leave, kind))
    gevent.sleep(0.05)
    return HttpResponse("goes on")

def take(request):
    return HttpResponse(str(len(request.body)))

def taken(request):
    sock = request.META["gunicorn.socket"]
    sock.sendall(b"yours\\n")
    sock.sendall(b"got " + sock.recv(100))
    return HttpResponse("this is not HTTP any more")

def peer(request):
    return HttpResponse(request.META["gunicorn.socket"].getpeername()[0])

def form(request):
    a, file = request.POST["a"], request.FILES["file"]
    print("stored", flush=True)
    return HttpResponse(f"a={a} file={file.size}")

def lines(request):
    found = list(request)
    print("stored", flush=True)
    return HttpResponse(str(len(found)))

def stream(request, seconds):
    def chunks():
        yield "first"
        gevent.sleep(float(seconds))
        yield "last"
    return StreamingHttpResponse(chunks())

def big(request):
    return HttpResponse(b"x" * 30_000_000)

def held(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(b"small" if "small" in request.GET else b"x" * 20_000_000)

def tainted(request):
    with connection.cursor() as cursor:
        cursor.execute("SET application_name = 'tainted'")
    return HttpResponse(b"x" * 20_000_000)

def chain(request, length):
    if length == "1":
        return HttpResponse("the end")
    with Session() as session:
        url = f"http://127.0.0.1:{request.META['SERVER_PORT']}/chain/{int(length) - 1}/"
        return HttpResponse(session.get(url).text)

def children(request, seconds):
    gather(*[partial(gevent.sleep, float(seconds))] * 2)
    return HttpResponse("gathered")

urlpatterns = [
    path("gather/<seconds>/", children),
    path("big/", big),
    path("held/", held),
    path("tainted/", tainted),
    path("chain/<length>/", chain),
    path("", plain),
    path("sleep/<seconds>/", sleep),
    path("block/<seconds>/", block),
    path("stuck/", stuck),
    path("burn/<seconds>/", burn),
    path("query/<seconds>/", query),
    path("work/<seconds>/", work),
    path("child/", child),
    path("exits/<how>/<kind>/", exits),
    path("threshold/", threshold),
    path("take/", take),
    path("form/", form),
    path("taken/", taken),
    path("peer/", peer),
    path("lines/", lines),
    path("stream/<seconds>/", stream),
]
"""

CONFIGURATION = """
import concurrency.patch
from concurrency.server.hooks import *
control_socket_disable = True
"""

# The limits of clients that are slow, so short that a test can wait for them, and none of
# overload: the machine that tests run on may have no time for them.
WORKER = """
import os
from concurrency.server import GeventWorker

class Worker(GeventWorker):
    head_limit = 0.4
    stall_limit = 0.4
    rate_over = 0.4
    shed_after = None
    vars().update(eval(os.environ.get("WORKER_OF_TEST", "{}")))
"""
