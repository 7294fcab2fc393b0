"""A fresh `startproject` that ran on django-db-geventpool, and what the README makes of it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[3]

# What the project had at the top of its entry points.
OLD_PATCH = """
from gevent import monkey
monkey.patch_all()
from psycogreen.gevent import patch_psycopg
patch_psycopg()
"""

OLD_SETTINGS = """
DATABASES = {
    "default": {
        "ENGINE": "django_db_geventpool.backends.postgresql_psycopg2",
        "NAME": "shop",
        "ATOMIC_REQUESTS": False,
        "CONN_MAX_AGE": 0,
        "OPTIONS": {"MAX_CONNS": 20, "REUSE_CONNS": 10},
    }
}
"""

# So that a test can take optional packages away.
ABSENT = """
import os, sys
sys.modules.update(dict.fromkeys(os.environ.get("ABSENT_OF_TEST", "").split()))
"""

# Each statement waits for a lock that the test holds, so that it can count them.
URLS = """
import sys

from django.db import connection
from django.http import HttpResponse, JsonResponse
from django.urls import path
from gunicorn.workers.base import Worker

from concurrency import gather
from concurrency.db import pool_statistics


def take():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(7)")
        return "taken"

def wait(request):
    return HttpResponse(take())

def fan_out(request):
    return HttpResponse(" ".join(gather(*[take] * 10)))

def facts(request):
    connection.ensure_connection()
    frame = sys._getframe()
    while True:
        owner = frame.f_locals.get("self")
        worker = getattr(owner, "worker", owner)  # what speaks HTTP for our worker has it
        if isinstance(worker, Worker):
            break
        frame = frame.f_back
    state = getattr(worker, "concurrency", None)  # plain gunicorn's has none
    overload = getattr(getattr(state, "gate", None), "_overload", None)
    return JsonResponse({
        "class": f"{type(worker).__module__}.{type(worker).__qualname__}",
        "shed_after": overload and overload.after,
        "pool": pool_statistics()["default"].max_size,
    })

urlpatterns = [path("wait/", wait), path("fan-out/", fan_out), path("facts/", facts)]
"""


def said_by_the_readme() -> list[str]:
    """Return the blocks of Python of "In your own project", in order."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## In your own project")[2].partition("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


FIRST_LINE, SETTINGS, _VIEW, CONFIGURATION = said_by_the_readme()

CONFIGURATIONS = {
    "none": None,
    "import": FIRST_LINE,
    "class": f'{FIRST_LINE}worker_class = "gevent"\n',
    "ours": CONFIGURATION,
}


def adopt(folder: Path) -> Path:
    """Write the project and do with it what the README says, but for gunicorn.conf.py."""
    command = [sys.executable, "-m", "django", "startproject", "shop", str(folder)]
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": ""}
    subprocess.run(command, check=True, env=environment)
    for entry in (folder / "manage.py", folder / "shop" / "wsgi.py"):
        entry.write_text(FIRST_LINE + OLD_PATCH + entry.read_text())
    settings = folder / "shop" / "settings.py"
    settings.write_text(ABSENT + settings.read_text() + OLD_SETTINGS + SETTINGS)
    (folder / "shop" / "urls.py").write_text(URLS)
    return folder


def environment(folder: Path, database_url: str, **variables: str) -> dict[str, str]:
    """Return the environment of a shell in the project, libpq's variables among it."""
    url = urlsplit(database_url)
    kept = ("PATH", "HOME", "TMPDIR", "COVERAGE_")
    return {
        **{key: value for key, value in os.environ.items() if key.startswith(kept)},
        "PYTHONPATH": str(ROOT),
        "PGHOST": url.hostname or "",
        "PGPORT": str(url.port),
        "PGUSER": url.username or "",
        "PGPASSWORD": url.password or "",
        "CONCURRENCY_RUNTIME_FOLDER": str(folder),
        **variables,
    }
