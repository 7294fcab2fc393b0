"""Forks, subprocesses and workers: each process has sessions of its own, and closes no others."""

from __future__ import annotations

import ast
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

import pytest

from concurrency import map_each
from tests.concurrency.db.conftest import query
from tests.helpers import until

# Each starts several interpreters.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

ROOT = Path(__file__).resolve().parents[3]

SETTINGS = """
import os, sys
if os.environ.get("TEST_DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None
DATABASES = {{"default": {database!r}}}
INSTALLED_APPS = ["concurrency", "app"]
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "app.web"
SECRET_KEY = "x"
USE_TZ = True
"""

MANAGE = """
import concurrency.patch
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "project_settings"
from django.core.management import execute_from_command_line
import sys
execute_from_command_line(sys.argv)
"""

# What each process does: asks for its session and for a number of its own.
ASK = """
import os
from django.db import connection

def ask(number):
    with connection.cursor() as cursor:
        cursor.execute("{session}, {pause}, %s + 0", [number])
        session, _, answer = cursor.fetchone()
    return os.getpid(), session, int(answer) == number
"""

COMMAND = """
import multiprocessing
from app.asking import ask
from concurrency.patching.lateness import is_patched
from django.core.management import BaseCommand
from django.db import transaction

class Command(BaseCommand):
    requires_system_checks = []

    def handle(self, **options):
        own = ask(0)
        with transaction.atomic():
            ask(0)
            with multiprocessing.get_context("fork").Pool(2) as pool:
                found = pool.map(ask, range(40), chunksize=1)
                pool.close()
                pool.join()
            still = ask(0)
        print(repr((is_patched(), own == still, own, found)))
"""

WEB = """
import concurrency.patch
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "project_settings"
import django, gevent
from django.http import HttpResponse
from django.urls import path
from django.core.wsgi import get_wsgi_application
from app.asking import ask

def page(request, number):
    return HttpResponse(repr(ask(number)))

urlpatterns = [path("<int:number>/", page)]
application = get_wsgi_application()
if "PARENT" not in os.environ:
    os.environ["PARENT"] = str(os.getpid())
    # One connection that is given back, and one that this greenlet keeps for ever.
    idle = gevent.spawn(ask, 1).get()
    print("the parent has", repr([idle, ask(2)]), flush=True)
"""


@pytest.fixture
def folder(tmp_path, target, observer) -> Path:
    """A project that uses the target through this package's backend."""
    commands = tmp_path / "app" / "management" / "commands"
    commands.mkdir(parents=True)
    pause = "pg_sleep(0.01)::text" if target.name == "postgresql" else "SLEEP(0.01)"
    files = {
        "project_settings.py": SETTINGS.format(database=target.settings),
        "manage.py": MANAGE,
        "app/__init__.py": "",
        "app/asking.py": ASK.format(session=target.session, pause=pause),
        "app/web.py": WEB,
        "app/management/commands/crunch.py": COMMAND,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def start(folder: Path, *command: str, **environment: str) -> subprocess.Popen[bytes]:
    """Start a program in the project; what it prints goes to the file ``log``."""
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, *command],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", **environment},
            stdout=log,
            stderr=log,
        )


@contextmanager
def running(folder: Path, *command: str, **environment: str) -> Iterator[None]:
    """Run a server until the end of the block."""
    process = start(folder, *command, **environment)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()


def printed(folder: Path) -> str:
    return (folder / "log").read_text()


def parents_sessions(folder: Path) -> set[int]:
    found = re.search(r"the parent has (.*)", printed(folder))
    assert found, printed(folder)
    return {session for _, session, _ in ast.literal_eval(found[1])}


@pytest.mark.targets("postgresql", "mariadb")
def test_multiprocessing_in_an_unpatched_command(folder):
    """Children of a parent that is inside a transaction have their own, and leave its alone."""
    process = start(folder, "manage.py", "crunch", CONCURRENCY_UNPATCHED_COMMANDS="crunch")
    assert process.wait(30) == 0, printed(folder)
    is_patched, parent_is_well, own, found = ast.literal_eval(printed(folder))
    assert not is_patched
    assert parent_is_well
    assert all(is_right for _, _, is_right in found)
    by_process = {pid: session for pid, session, _ in found}
    assert own[0] not in by_process
    assert own[1] not in by_process.values()
    assert {(pid, session) for pid, session, _ in found} == set(by_process.items())


FORK = """
import concurrency.patch, os, sys
from django.conf import settings
settings.configure(DATABASES={"default": {
    "ENGINE": "concurrency.db.backends.sqlite3", "NAME": sys.argv[1]}})
import django; django.setup()
from django.db import connection
cursor = connection.cursor()
cursor.execute("CREATE TABLE seen AS SELECT 7 AS number")
raw = connection.connection
child = os.fork()
with connection.cursor() as cursor:
    cursor.execute("SELECT number FROM seen")
    (number,) = cursor.fetchone()
if child == 0:
    os._exit(number + (connection.connection is raw))
print(number, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize(
    ("name", "patched", "status"),
    [("file", "0", 7), ("file", "1", 7), (":memory:", "0", 8), (":memory:", "1", 7)],
)
def test_a_child_opens_sqlite_itself(tmp_path, name, patched, status):
    """As SQLite demands; only Django's own connection to a database in memory is kept."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK, name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "CONCURRENCY_PATCH": patched},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == (f"7 {status}\n", "")


@pytest.mark.targets("postgresql", "mariadb")
def test_a_subprocess_leaves_the_sessions_alone(pool, target):
    """What is started does not close them when it ends."""
    own = query(target.session)
    subprocess.run([sys.executable, "-S", "-c", "pass"], check=True)
    assert query(target.session) == own


def get(port: str, number: int) -> tuple[int, int, bool]:
    with urlopen(f"http://127.0.0.1:{port}/{number}/", timeout=10) as answer:
        found: tuple[int, int, bool] = ast.literal_eval(answer.read().decode())
    return found


@pytest.mark.targets("postgresql", "mariadb")
def test_workers_of_a_preloaded_gunicorn(folder, observer):
    """The parent has used the ORM before the fork; its workers use none of its sessions."""
    (folder / "gunicorn.conf.py").write_text("import concurrency.patch\n")
    options = ["--preload", "-w", "2", "-k", "gevent", "-b", "127.0.0.1:0", "--no-control-socket"]
    with running(folder, "-m", "gunicorn", *options, "app.web:application"):
        until(lambda: printed(folder).count("Booting worker") == 2, "two workers", 30)
        port = re.search(r"Listening at: http://127.0.0.1:(\d+)", printed(folder))[1]
        found: list[tuple[int, int, bool]] = []

        def both_have_answered() -> bool:
            found.extend(map_each(lambda number: get(port, number), range(20), limit=20))
            return len({pid for pid, _, _ in found}) == 2

        until(both_have_answered, "both workers have answered", 30)
        assert all(is_right for _, _, is_right in found)
        sessions = [{session for pid, session, _ in found if pid == each} for each, *_ in found]
        assert all(one == other or not one & other for one in sessions for other in sessions)
        assert not set.union(*sessions) & parents_sessions(folder)


def test_an_executor_works_in_a_process_without_django_s_settings():
    """The end of its work asks for no database of which Django has not been told."""
    code = (
        "import concurrency.patch, concurrency.db\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "assert ThreadPoolExecutor(1).submit(int).result() == 0\n"
    )
    environ = {key: each for key, each in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environ, check=True)
