"""The files of the project that the tests run under `manage.py serve`."""

from __future__ import annotations

FILES = {
    "manage.py": """
import concurrency.patch
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings_of_test")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
""",
    "settings_of_test.py": """
import os, sys
sys.modules.update(dict.fromkeys(os.environ.get("ABSENT_OF_TEST", "").split()))
from settings import databases
SECRET_KEY = "x" * 50
DEBUG = os.environ.get("DEBUG_OF_TEST") == "1"
ROOT_URLCONF = "urls_of_test"
WSGI_APPLICATION = "wsgi_of_test.application"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["concurrency", "app_of_test", *os.environ.get("APPS_OF_TEST", "").split()]
MIDDLEWARE = ["concurrency.middleware.ConcurrencyMiddleware"]
DATABASES = {"default": databases.from_url(os.environ["DATABASE_URL"])}
if "UNNAMED_OF_TEST" in os.environ:
    DATABASES = {"default": {}, "shop": DATABASES["default"]}
if "SECOND_URL" in os.environ:
    DATABASES["second"] = databases.from_url(os.environ["SECOND_URL"])
STATIC_URL = "/static/"
STATIC_ROOT = os.path.join(os.path.dirname(__file__), "collected")
MEDIA_URL = "/media/"
MEDIA_ROOT = os.path.join(os.path.dirname(__file__), "media")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CONCURRENCY = {"WORKERS": 1, "READY_MAX_LAG": 0.3, "SHED_AFTER": float("inf")}
""",
    "wsgi_of_test.py": """
import concurrency.patch
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
    "app_of_test/__init__.py": "",
    "app_of_test/apps.py": """
from pathlib import Path
from django.apps import AppConfig
from django.core import checks

class Config(AppConfig):
    name = "app_of_test"

    def ready(self):
        checks.register(license_is_paid, "readiness")

def license_is_paid(**kwargs):
    unpaid = Path(__file__).with_name("unpaid")
    if unpaid.exists():
        return [checks.Error("the licence of the shop, key 12345, is not paid", id="shop.E001")]
    return []
""",
    "app_of_test/management/__init__.py": "",
    "app_of_test/management/commands/__init__.py": "",
    "app_of_test/management/commands/say.py": """
import os
import signal
import time
from pathlib import Path
from django.core.management.base import BaseCommand, CommandError

class Command(BaseCommand):
    requires_system_checks = ()

    def add_arguments(self, parser):
        parser.add_argument("words", nargs="*")
        parser.add_argument("--code", type=int, default=0)
        parser.add_argument("--until")
        parser.add_argument("--deaf", action="store_true")

    def handle(self, words, code, until, deaf, **options):
        if deaf:
            signal.signal(signal.SIGTERM, lambda *_: print("heard nothing", flush=True))
        self.stdout.write("said " + " ".join(words))
        while until and not Path(until).exists():
            time.sleep(0.02)
        if code < 0:
            os.kill(os.getpid(), -code)
        if code:
            raise CommandError("as it was told", returncode=code)
""",
    "urls_of_test.py": """
import os, time
import gevent
from django.db import connection
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from gevent.monkey import get_original
from prometheus_client import Counter

SOLD = Counter("shop_sold", "Things that were sold.", ["what"])
KEPT = []

def plain(request, number=0):
    return HttpResponse(str(os.getpid()))

def sleep(request, seconds):
    gevent.sleep(float(seconds))
    return HttpResponse("slept")

def stuck(request):
    while not os.access("unblock", os.F_OK):
        get_original("time", "sleep")(0.01)
    return HttpResponse("blocked")

def sell(request):
    SOLD.labels("tea").inc()
    return HttpResponse(str(os.getpid()))

def fail(request):
    raise LookupError("as it was told")

def keep(request, size):
    KEPT.append(bytearray(size * 1024 * 1024))
    return HttpResponse(str(os.getpid()))

def take(request):
    return HttpResponse(str(len(request.body)))

def read(request):
    return HttpResponse(str(len(request.META["wsgi.input"].read())))

def count(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return HttpResponse(str(cursor.fetchone()[0]))

def stream(request):
    def chunks():
        yield b"first"
        gevent.sleep(0.5)
        yield b"last"
    return StreamingHttpResponse(chunks(), headers={"X-Accel-Buffering": "no"})

def report(request, size):
    def chunks():
        for _ in range(size):
            yield b"x" * 1024 * 1024
        print("the report is written", flush=True)
    return StreamingHttpResponse(chunks())

def who(request):
    return JsonResponse({
        "address": request.META["REMOTE_ADDR"],
        "for": request.META.get("HTTP_X_FORWARDED_FOR", ""),
        "secure": request.is_secure(),
        "host": request.get_host(),
    })

urlpatterns = [
    path("", plain),
    path("number/<int:number>/", plain),
    path("sleep/<seconds>/", sleep),
    path("stuck/", stuck),
    path("sell/", sell),
    path("fail/", fail),
    path("keep/<int:size>/", keep),
    path("take/", take),
    path("read/", read),
    path("count/", count),
    path("stream/", stream),
    path("report/<int:size>/", report),
    path("who/", who),
]
""",
}
