"""The pytest plugin, in processes of its own, as a user's project has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

import concurrency

pytestmark = pytest.mark.slow

ROOT = Path(concurrency.__file__).resolve().parents[1]

SETTINGS = """
import os
from urllib.parse import unquote, urlsplit
url = urlsplit(os.environ["DATABASE_URL"])
SECRET_KEY = "of a test"
INSTALLED_APPS = ["concurrency", "django.contrib.contenttypes"]
USE_TZ = True
DATABASES = {"default": {
    "ENGINE": "concurrency.db.backends.postgresql", "NAME": "postgres",
    "USER": url.username, "PASSWORD": unquote(url.password or ""), "HOST": url.hostname,
    "PORT": url.port, "TEST": {"NAME": f"plugin_{os.getpid()}"},
}}
if url.scheme == "mysql":
    DATABASES["default"].update(ENGINE="concurrency.db.backends.mysql", NAME=url.path[1:])
if url.scheme == "sqlite":
    DATABASES["default"] = {"ENGINE": "concurrency.db.backends.sqlite3", "NAME": ":memory:"}
"""

FAN_OUT = """
from django.db import connection
from concurrency import gather

def query(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None

def look():
    return query("SELECT to_regclass('made')::text")
"""


@pytest.fixture
def project(tmp_path, postgres_url):
    """Run pytest in a project with the given tests; returns its output."""
    (tmp_path / "project_settings.py").write_text(SETTINGS)
    (tmp_path / "fan_out.py").write_text(FAN_OUT)

    def run(tests: str, *options: str, code: int = 0, url: str = postgres_url) -> str:
        (tmp_path / "test_it.py").write_text(tests)
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:randomly",
                "-p",
                "no:asyncio",
                *options,
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "DATABASE_URL": url,
                "DJANGO_SETTINGS_MODULE": "project_settings",
                "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run


PLUGIN = ("-p", "concurrency.testing.plugin")

SHARING = """
import pytest
from fan_out import gather, look, query

@pytest.fixture
def made(db):
    query("CREATE TABLE made (id int)")

def test_shared(made, no_leaks):
    assert gather(look, look) == ["made", "made"]

@pytest.mark.django_db
def test_gone():
    assert gather(look) == [None]

@pytest.mark.django_db(transaction=True)
def test_real():
    import gevent
    own = query("SELECT pg_backend_pid()")
    assert gevent.spawn(query, "SELECT pg_backend_pid()").get() != own
"""


def test_with_pytest_django(project):
    """django_db tests share their connection, those with real transactions do not."""
    assert "3 passed" in project(SHARING, *PLUGIN)


ANYWHERE = """
import gevent, pytest
from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from concurrency import map_each, offload
from fan_out import gather

pytestmark = pytest.mark.django_db

def make(number):
    ContentType.objects.create(app_label="made", model=str(number))

def made():
    found = ContentType.objects.filter(app_label="made").values_list("model", flat=True)
    return sorted(int(number) for number in found)

@pytest.mark.parametrize("time", [1, 2])
def test_rows(time, no_leaks):
    make(1)
    map_each(make, range(2, 6), limit=None)
    assert gather(made) == [[1, 2, 3, 4, 5]]
    assert offload(made) == gevent.spawn(made).get() == made() == [1, 2, 3, 4, 5]

def test_turns():
    def write(number):
        with transaction.atomic():
            make(number)
            gevent.idle()
            with transaction.atomic():
                make(number + 10)
                gevent.idle()
            if number % 2:
                raise ValueError
    map_each(write, range(4), limit=None, return_exceptions=True)
    assert made() == [0, 2, 10, 12]

def test_kills():
    make(1)
    for step in range(1, 30):
        def write():
            with transaction.atomic():
                make(100 + step)
                with transaction.atomic():
                    make(200 + step)
                gevent.sleep(30)
        victim = gevent.spawn(write)
        gevent.sleep(0.0005 * step)
        victim.kill()
    assert made() == [1]
"""


@pytest.mark.parametrize(
    "kind", ["postgresql", "sqlite", pytest.param("mariadb", marks=pytest.mark.mariadb)]
)
def test_sharing_on_each_backend(project, postgres_url, request, kind):
    """Rows, turns and kills are alike on all of them."""
    url = {"postgresql": postgres_url, "sqlite": "sqlite://"}.get(kind)
    if url is None:
        server = request.getfixturevalue("mariadb")
        with server.root().cursor() as cursor:
            cursor.execute(f"GRANT ALL ON `plugin\\_%`.* TO '{server.user}'@'%'")
        password = quote(server.password)
        url = f"mysql://{server.user}:{password}@{server.host}:{server.port}/main"
    assert "4 passed" in project(ANYWHERE, *PLUGIN, url=url)


def test_sharing_can_be_turned_off(project):
    """By a setting of pytest's; a query in a greenlet of such a test is then refused."""
    output = project(
        SHARING, *PLUGIN, "-o", "concurrency_share_connections=false", "-W", "ignore", code=1
    )
    assert "2 failed, 1 passed" in output
    assert "FanOutInAtomicBlock" in output


def test_with_test_case(project):
    """A TestCase is in a transaction as well, without pytest-django's marks."""
    tests = """
from django.test import TestCase
from fan_out import gather, look, query

class TestSharing(TestCase):
    @classmethod
    def setUpTestData(cls):
        query("CREATE TABLE made (id int)")
        cls.seen = gather(look)

    def test_shared(self):
        assert self.seen == gather(look) == ["made"]
"""
    assert "1 passed" in project(tests, *PLUGIN)


def test_it_patches_before_collection(project):
    """What tests and their conftest import finds a patched process."""
    tests = """
import socket, sys
assert socket.socket.__module__.startswith("gevent")

def test_it(tcp_proxy):
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = tcp_proxy(*server.getsockname())
        socket.create_connection((proxy.host, proxy.port)).close()
        server.accept()[0].close()
"""
    assert "1 passed" in project(tests, *PLUGIN, "-W", "error")


def test_a_leak_fails_the_test(project):
    """The fixture no_leaks names what is left."""
    tests = """
import gevent

def test_it(no_leaks):
    gevent.spawn(gevent.sleep, 60)
"""
    assert "greenlets left behind" in project(tests, *PLUGIN, code=1)


def test_django_is_imported_by_nobody_before_it_is_needed(postgres_url):
    """Neither by the plugin nor by the package, which would configure it too early."""
    code = (
        "import concurrency.testing, concurrency.testing.plugin, sys\n"
        "assert not any(name.split('.')[0] == 'django' for name in sys.modules)\n"
        "import concurrency.patch; assert concurrency.patch.is_patched()\n"
        "concurrency.testing.TCPProxy\n"
        "assert not any(name.split('.')[0] == 'django' for name in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_package_exports_what_it_says():
    """Each name of the table exists, and an unknown one is an AttributeError."""
    from concurrency import testing

    for name in testing.__all__:
        assert getattr(testing, name)
    assert set(testing.__all__) <= set(dir(testing))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = testing.nothing
