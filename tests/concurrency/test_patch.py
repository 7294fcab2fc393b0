"""The patch, in processes of its own: each test is an import order and its facts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow


def python(code: str, folder: Path | None = None, **environment: str):
    """Run code in a fresh interpreter in which every warning is an error."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder or ROOT,
        env={**inherited(), "PYTHONPATH": f"{ROOT}", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def inherited() -> dict[str, str]:
    """Return what a fresh interpreter needs of this environment, and coverage of its own."""
    return {k: v for k, v in os.environ.items() if k == "PATH" or k.startswith("COVERAGE_")}


def facts(code: str, folder: Path | None = None, **environment: str) -> str:
    """Return what the code printed; it must not print anything else."""
    done = python(code, folder, **environment)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


PATCHED = "import concurrency.patch; print(concurrency.patch.is_patched())"


def test_importing_it_patches():
    """One import makes sockets, threads, locks and drivers cooperative."""
    assert (
        facts(
            "import concurrency.patch, socket, threading, queue, time\n"
            "import gevent.socket, gevent.hub, concurrency.patching.locks\n"
            "assert socket.socket is gevent.socket.socket\n"
            "assert threading.Lock is concurrency.patching.locks.Lock\n"
            "assert type(queue.Queue().mutex) is concurrency.patching.locks.Lock\n"
            "assert time.sleep is gevent.hub.sleep\n"
            "from psycopg2 import extensions\n"
            "assert extensions.get_wait_callback() is not None\n"
            "import MySQLdb, pymysql\n"
            "assert MySQLdb is pymysql\n"
            "import psycopg.waiting\n"
            "assert psycopg.waiting.wait is not getattr(psycopg.waiting, 'wait_c', None)\n"
            "print(concurrency.patch.is_patched())"
        )
        == "True"
    )


def test_it_imports_no_django():
    """Whatever it imported would come before the patch."""
    assert facts("import sys, concurrency.patch; print('django' in sys.modules)") == "False"


def test_importing_it_again_does_nothing():
    """A second import, and a reload, keep the process as it is."""
    code = "import importlib, concurrency.patch as p, socket; before = socket.socket\n"
    code += "importlib.reload(p); print(socket.socket is before and p.is_patched())"
    assert facts(code) == "True"


def test_after_somebody_elses_timely_patch_it_is_content():
    """locust and gunicorn patch first; that is as good."""
    code = "import gevent.monkey; gevent.monkey.patch_all(); import requests, django.db, psycopg\n"
    assert facts(code + PATCHED) == "True"


@pytest.mark.parametrize(
    "early",
    [
        "ssl, socket, threading, select, queue",
        "django.conf",
        # It imports OpenTelemetry where that is installed, which binds locks.
        "sys; sys.modules['opentelemetry'] = None; import redis",
    ],
)
def test_what_holds_nothing_unpatched_may_come_first(early):
    """sys.modules proves nothing: gunicorn imports ssl and socket before any configuration."""
    assert facts(f"import {early}\n{PATCHED}") == "True"


def test_urllib3_that_came_first_is_repaired():
    """Its queue and its TLS contexts are made cooperative."""
    assert (
        facts(
            "import requests, concurrency.patch, concurrency.patching.locks, gevent.ssl\n"
            "from urllib3.connectionpool import ConnectionPool\n"
            "import urllib3.util.ssl_\n"
            "assert type(ConnectionPool.QueueCls().mutex) is concurrency.patching.locks.Lock\n"
            "assert urllib3.util.ssl_.SSLContext is gevent.ssl.SSLContext\n"
            "print(concurrency.patch.is_patched())"
        )
        == "True"
    )


def test_django_that_is_imported_but_not_configured_is_not_evaluated():
    """gevent's scan for locks must not load the settings."""
    code = "from django.conf import settings\n"
    code += PATCHED + "\nprint(settings.configured)"
    assert facts(code) == "True\nFalse"


@pytest.mark.parametrize(
    ("early", "named"), [("django.db", "django.db"), ("psycopg", "psycopg has chosen")]
)
def test_what_cannot_be_repaired_is_an_error_that_names_it(early, named):
    """The message names the module and says what to move; nothing is patched."""
    code = f"import {early}\nfrom concurrency.errors import LatePatchError\n"
    code += "try: import concurrency.patch\n"
    code += "except LatePatchError as error: print(error)\n"
    code += "import gevent.monkey; print(gevent.monkey.is_module_patched('socket'))"
    message, patched = facts(code).split("\n")
    assert named in message
    assert f"before the import of {early}" in message
    assert "first" in message
    assert patched == "False"


@pytest.mark.parametrize(
    ("source", "fact"),
    [
        ("from socket import socket", "bound the unpatched socket.socket as socket"),
        ("from threading import Lock", "bound the unpatched threading.Lock as Lock"),
        ("import threading; state = threading.local()", "made an unpatched _local as state"),
        ("import threading; lock = threading.Lock()", "made an unpatched lock as lock"),
        ("import threading\nclass S(threading.local): pass", "derived S from an unpatched class"),
    ],
)
def test_a_module_that_holds_something_unpatched_is_named(tmp_path, source, fact):
    """Sockets, locks and thread-locals that were bound too early are found by looking."""
    (tmp_path / "early.py").write_text(source)
    code = "import early\ntry: import concurrency.patch\nexcept Exception as e: print(e)"
    message = facts(code, tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert f"early has {fact}" in message


def test_a_package_can_be_tolerated(tmp_path):
    """CONCURRENCY_ALLOW_LATE is for tracers that start before everything."""
    (tmp_path / "tracer.py").write_text("import threading; lock = threading.Lock()")
    path = f"{ROOT}:{tmp_path}"
    code = f"import tracer\n{PATCHED}"
    assert facts(code, PYTHONPATH=path, CONCURRENCY_ALLOW_LATE="tracer, other") == "True"


@pytest.mark.parametrize("value", ["0", "false", "No", "off"])
def test_the_environment_turns_it_off(value):
    """CONCURRENCY_PATCH=0 leaves everything as it was."""
    assert facts(PATCHED, CONCURRENCY_PATCH=value) == "False"


@pytest.mark.parametrize("value", ["1", "true", ""])
def test_the_environment_leaves_it_on(value):
    """Other ways to say yes, and an empty value, patch."""
    assert facts(PATCHED, CONCURRENCY_PATCH=value) == "True"


def test_nonsense_in_the_environment_is_an_error():
    """A value that is neither yes nor no is named."""
    done = python(PATCHED, CONCURRENCY_PATCH="maybe")
    assert done.returncode != 0
    assert "CONCURRENCY_PATCH='maybe' in the environment: write 0 or 1" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "patched"),
    [
        (["manage.py", "crunch"], "False"),
        (["/somewhere/manage.py", "--verbosity=2", "crunch", "x"], "False"),
        (["django-admin", "crunch"], "False"),
        (["/x/django/__main__.py", "crunch"], "False"),
        (["manage.py", "migrate", "crunch"], "True"),
        (["gunicorn", "crunch"], "True"),
    ],
)
def test_single_management_commands_can_be_left_unpatched(arguments, patched):
    """CONCURRENCY_UNPATCHED_COMMANDS names them; multiprocessing needs it."""
    code = f"import sys; sys.argv = {arguments!r}; {PATCHED}"
    assert facts(code, CONCURRENCY_UNPATCHED_COMMANDS="other,crunch") == patched


def test_a_module_patched_late_by_somebody_else_is_found():
    """The system check asks for this in a process that another tool has patched."""
    code = "import psycopg, warnings; warnings.simplefilter('ignore')\n"
    code += "import gevent.monkey; gevent.monkey.patch_all()\n"
    code += "try: import concurrency.patch\nexcept Exception as e: print(e.modules[0])"
    assert facts(code) == "psycopg"


def test_multiprocessing_works_in_an_unpatched_process():
    """What the opt-out is for."""
    code = "import concurrency.patch, multiprocessing as m\n"
    code += "if __name__ == '__main__': \n"
    code += "  with m.get_context('fork').Pool(2) as pool: print(pool.map(abs, [-1, -2]))"
    assert facts(code, CONCURRENCY_PATCH="0") == "[1, 2]"


def test_importing_the_package_imports_nothing_else():
    """The export table is resolved lazily, and knows what it exports."""
    code = "import sys, concurrency; early = 'gevent' in sys.modules or 'django' in sys.modules\n"
    code += "import concurrency.patch\n"
    code += "assert all(callable(getattr(concurrency, name)) for name in concurrency.__all__)\n"
    code += "assert set(concurrency.__all__) <= set(dir(concurrency))\nprint(early)"
    assert facts(code) == "False"
    assert "no attribute 'gathr'" in python("import concurrency; concurrency.gathr").stderr


LIMITS = "import resource as r; r.setrlimit(r.RLIMIT_NOFILE, (200, 500))\n"
LIMITS += "import concurrency.patch; print(*r.getrlimit(r.RLIMIT_NOFILE))"


@pytest.mark.parametrize(
    ("environment", "limits"),
    [
        ({}, "500 500"),
        ({"CONCURRENCY_RAISE_FILE_LIMIT": "0"}, "200 500"),
        ({"CONCURRENCY_PATCH": "0"}, "200 500"),
    ],
)
def test_a_patched_process_may_open_as_many_files_as_it_is_allowed(environment, limits):
    """The soft limit is raised to the hard one, unless the environment says no."""
    assert facts(LIMITS, **environment) == limits
