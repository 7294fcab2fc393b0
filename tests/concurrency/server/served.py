"""A project of a few lines under `manage.py serve`, and who asks it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.cluster import free_port
from tests.servers import until

ROOT = Path(__file__).resolve().parents[3]

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


def write_project(folder: Path) -> Path:
    """Write the project of the tests into a folder."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def environment(folder: Path, **variables: str) -> dict[str, str]:
    """Return the environment of its processes."""
    return {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{folder}",
        "DJANGO_SETTINGS_MODULE": "settings_of_test",
        **variables,
    }


def ask(
    port: int,
    path: str,
    *,
    method: str = "GET",
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30.0,
) -> tuple[int, bytes]:
    """Return status and body of an answer; raise OSError where nobody answers."""
    with contextlib.closing(
        http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    ) as connection:
        connection.request(method, path, body=body, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()


class Served:
    """`manage.py serve` of the project, on free ports.

    Args:
        folder: where the project is written.
        arguments: those of `serve`.
        redirection: of its output, as a shell takes it.
        variables: more environment.
    """

    def __init__(
        self, folder: Path, *arguments: str, redirection: str = "", **variables: str
    ) -> None:
        self.folder = write_project(folder)
        self.port, self.ops_port = free_port(), free_port()
        self._log = folder / "log"
        self._arguments = arguments
        self._redirection = redirection
        self._variables = {
            "CONCURRENCY_PORT": str(self.port),
            "CONCURRENCY_OPS_PORT": str(self.ops_port),
            "CONCURRENCY_RUNTIME_FOLDER": str(folder),
            **variables,
        }
        self.start()

    def start(self) -> None:
        """Start it, also again."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *("sh", "-c", f'exec "$@" {self._redirection}', "sh"),
                    *(sys.executable, "-W", "error", "manage.py", "serve", *self._arguments),
                ],
                cwd=self.folder,
                env=environment(self.folder, **self._variables),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> Served:
        return self

    def __exit__(self, *error: object) -> None:
        # All of its session: workers and ops process, should one have outlived it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def text(self) -> str:
        """What it has printed."""
        return self._log.read_text()

    def says(self, what: str, count: int = 1) -> None:
        """Wait until it has printed something."""
        until(lambda: self.text.count(what) >= count, f"{what!r} in {self._log}")

    def is_ready(self) -> Served:
        """Wait until it gets requests."""

        def ready() -> bool:
            assert self.process.poll() is None, f"it has ended: {self.text}"
            return self.status("/ready") == 200

        try:
            until(ready, "ready")
        except AssertionError as error:
            error.add_note(self.text)
            raise
        return self

    def get(self, path: str = "/", **more: Any) -> tuple[int, bytes]:
        """Ask the application."""
        return ask(self.port, path, **more)

    def probe(self, path: str) -> tuple[int, dict[str, Any]]:
        """Ask the ops port."""
        status, body = ask(self.ops_port, path)
        return status, json.loads(body)

    def status(self, path: str) -> int:
        """Return the status of a probe; 0 where nobody answers."""
        try:
            return ask(self.ops_port, path)[0]
        except OSError:
            return 0

    def metric(self, name: str) -> float:
        """Return a metric by name and labels as the page has them; 0.0 if it is not there."""
        page = ask(self.ops_port, "/metrics")[1].decode()
        found = re.search(rf"^{re.escape(name)} (\S+)$", page, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def ops_process(self) -> int:
        """Return the pid of the ops process."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in map(int, children.split()):
            if b"concurrency.server.ops" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise LookupError("there is no ops process")

    def ends(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=60)


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` of the project, or of one that is written there."""
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *command],
        cwd=folder,
        env=environment(folder, **variables),
        capture_output=True,
        text=True,
        timeout=60,
    )
