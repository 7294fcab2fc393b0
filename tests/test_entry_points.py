"""Each entry point in a process of its own: patched in time, silent, plain about missing keys."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import requests

from deploy.cluster import free_port
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[1]
LIMIT = 15.0  # seconds until what a test waits for has to be so
AUTH = ("user", "password")

# Facts, and not calls: what the modules hold that decide whether a wait blocks all greenlets.
FACTS = """
import queue, socket, gevent.socket
import psycopg.waiting, psycopg2.extensions, urllib3.connectionpool
import concurrency.patch
assert concurrency.patch.is_patched()
assert concurrency.patch.late_modules() == []
assert socket.socket is gevent.socket.socket
assert urllib3.connectionpool.ConnectionPool.QueueCls is queue.LifoQueue
assert psycopg.waiting.wait.__name__ != "wait_c"
assert psycopg2.extensions.get_wait_callback() is not None
"""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


@pytest.fixture
def environment(postgres_url: str) -> dict[str, str]:
    """The environment of a developer with a database of their own."""
    # Coverage follows into the processes, where its variables say how.
    kept = ("PATH", "HOME", "TMPDIR", "COVERAGE_")
    passed = {key: value for key, value in os.environ.items() if key.startswith(kept)}
    return {
        **passed,
        "ENVIRONMENT": "settings.development",
        "SECRET_KEY": "only for this test",
        "DATABASE_URL": postgres_url,
        "DEMO_USER": "user",
        "DEMO_PASSWORD": "password",
        "PORT": str(free_port()),
        "CONCURRENCY_NO_OPS": "true",
    }


def python(
    *arguments: str | Path, environment: dict[str, str], folder: Path | str = "/"
) -> subprocess.CompletedProcess[str]:
    """Run Python to its end, with warnings as errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT * 2,
        check=False,
    )


@contextmanager
def serving(
    *arguments: str | Path, environment: dict[str, str], folder: Path | str = "/"
) -> Iterator[str]:
    """Run a server; the block gets its base URL when it answers."""
    base = f"http://127.0.0.1:{environment['PORT']}"
    with subprocess.Popen(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            until(lambda: answers(base) or process.poll() is not None, "it answers")
            assert process.poll() is None, process.communicate()[0]
            yield base
        finally:
            # gunicorn hurries on SIGINT, but on SIGTERM waits for clients that keep connections.
            process.send_signal(signal.SIGINT if "gunicorn" in arguments else signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(LIMIT)
            with suppress(ProcessLookupError):  # what is left, if anything
                os.killpg(process.pid, signal.SIGKILL)
            output = process.communicate()[0]
    assert "Traceback" not in output, output


def answers(base: str) -> bool:
    """Whether the server answers."""
    try:
        return requests.get(base, timeout=5).ok
    except requests.ConnectionError:
        return False


def assert_serves(base: str) -> None:
    """Ask for several pages with SQL at once; each is answered rightly."""

    def ask(x: int) -> str:
        url = f"{base}/slow-sql/?x={x}&seconds=0.1"
        answer = requests.get(url, auth=AUTH, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer.text.strip()

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(ask, range(12))) == [str(x * x) for x in range(12)]


def gunicorn(*options: str) -> list[str | Path]:
    """Return the arguments that start gunicorn from wherever one is."""
    return ["-m", "gunicorn", "-c", ROOT / "gunicorn.conf.py", *options]


@pytest.mark.parametrize("folder", ["/", str(ROOT)])
def test_manage_py(environment: dict[str, str], folder: str) -> None:
    """`manage.py` is patched in time and finds the project from any folder, without a warning."""
    answer = python(
        ROOT / "manage.py", "shell", "--no-imports", "-c", FACTS,
        environment=environment, folder=folder,
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize(
    "switch", [{"CONCURRENCY_PATCH": "0"}, {"CONCURRENCY_UNPATCHED_COMMANDS": "other,shell"}]
)
def test_manage_py_unpatched(environment: dict[str, str], switch: dict[str, str]) -> None:
    """The environment can leave manage.py, or one of its commands, unpatched."""
    code = "import concurrency.patch; assert not concurrency.patch.is_patched()"
    answer = python(
        ROOT / "manage.py", "shell", "--no-imports", "-c", code,
        environment={**environment, **switch},
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "")


def test_manage_py_unpatched_by_the_file(environment: dict[str, str], tmp_path: Path) -> None:
    """`.env`, which is read only after the patch, can leave manage.py unpatched all the same."""
    for name in ("concurrency", "example_site", "settings"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "manage.py", tmp_path)
    (tmp_path / ".env").write_text("CONCURRENCY_PATCH=0\n")
    code = "import concurrency.patch; assert not concurrency.patch.is_patched(); print('so it is')"
    answer = python(
        tmp_path / "manage.py", "shell", "--no-imports", "-c", code, environment=environment
    )
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "so it is\n", "")


def test_wsgi_py(environment: dict[str, str]) -> None:
    """Importing `wsgi` patches, loads the site and warns of nothing."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import wsgi\n{FACTS}"
    answer = python("-c", code, environment=environment)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_gunicorn_conf_py(environment: dict[str, str]) -> None:
    """gunicorn's configuration patches by itself, before gunicorn imports the application."""
    code = f"import runpy; runpy.run_path({str(ROOT / 'gunicorn.conf.py')!r})\n{FACTS}"
    answer = python("-c", code, environment=environment)
    assert (answer.returncode, answer.stderr) == (0, "")


def test_locustfile(environment: dict[str, str]) -> None:
    """Locust, which patches by itself and loads much before, takes the locustfile."""
    answer = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "bench/locustfile.py", "--list"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LIMIT * 2,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert "LatePatchError" not in answer.stderr


def test_pytest(environment: dict[str, str], tmp_path: Path) -> None:
    """pytest with `-p concurrency.patch` is patched before a test file is imported."""
    (tmp_path / "test_facts.py").write_text(f"{FACTS}\ndef test_it():\n    pass\n")
    answer = python(
        "-m", "pytest", "-p", "concurrency.patch", "-p", "no:cacheprovider",
        "-p", "no:asyncio", tmp_path,  # which warns, of settings that are not made
        environment={**environment, "PYTHONPATH": str(ROOT)}, folder=tmp_path,
    )  # fmt: skip
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("options", [(), ("--preload",)], ids=["", "preload"])
@pytest.mark.parametrize("folder", ["/", str(ROOT)], ids=["elsewhere", "checkout"])
def test_gunicorn(environment: dict[str, str], options: tuple[str, ...], folder: str) -> None:
    """gunicorn serves concurrent requests with SQL, preloaded or not, from any folder."""
    with serving(*gunicorn(*options), environment=environment, folder=folder) as base:
        assert_serves(base)
        answer = requests.get(f"{base}/ten-slow-requests/?seconds=0.1", auth=AUTH, timeout=10)
        assert answer.text.split() == [str(x * x) for x in range(1, 11)]


def test_gunicorn_with_its_stock_command_line(environment: dict[str, str]) -> None:
    """The line of gunicorn's own documentation works too."""
    line = gunicorn("-k", "gevent", "wsgi")
    with serving(*line, environment=environment, folder=ROOT) as base:
        assert_serves(base)


@pytest.mark.parametrize("patch", ["1", "0"])
def test_runserver(environment: dict[str, str], patch: str) -> None:
    """`runserver` with its autoreloader serves, patched or not."""
    with serving(
        ROOT / "manage.py", "runserver", environment["PORT"],
        environment={**environment, "CONCURRENCY_PATCH": patch},
    ) as base:  # fmt: skip
        assert_serves(base)


@pytest.mark.parametrize(
    "entry",
    [
        [ROOT / "manage.py", "check"],
        gunicorn(),
        gunicorn("--preload"),
    ],
    ids=["manage.py", "gunicorn", "gunicorn preloaded"],
)
@pytest.mark.parametrize("key", ["SECRET_KEY", "ENVIRONMENT"])
def test_a_missing_key_is_one_line(
    environment: dict[str, str], entry: list[str | Path], key: str
) -> None:
    """A missing key ends it at once, with one line that names it and no traceback."""
    answer = python(*entry, environment={**environment, key: ""})
    assert answer.returncode == 1
    assert answer.stdout == ""
    assert answer.stderr.count("\n") == 1
    assert f": {key} is missing. Set it in " in answer.stderr


def test_a_missing_key_without_our_configuration(environment: dict[str, str]) -> None:
    """Without our configuration file gunicorn gives up too, after its first worker."""
    answer = python(
        "-m", "gunicorn", "-k", "gevent", "-b", f"127.0.0.1:{environment['PORT']}",
        "--chdir", ROOT, "--no-control-socket", "wsgi",
        environment={**environment, "SECRET_KEY": ""},
    )  # fmt: skip
    assert answer.returncode == 3
    assert answer.stderr.count("Booting worker") == 1
    assert "SECRET_KEY is missing." in answer.stderr


def test_a_missing_key_does_not_end_a_foreign_server(environment: dict[str, str]) -> None:
    """In `wsgi.py` it is an exception: an exit would make a server start workers for ever."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nimport wsgi"
    answer = python("-c", code, environment={**environment, "SECRET_KEY": ""})
    assert answer.returncode == 1
    assert "settings.environment.SettingsError: SECRET_KEY is missing." in answer.stderr


def test_check_deploy_is_silent(environment: dict[str, str]) -> None:
    """Django's check for deployment finds nothing in the production settings."""
    production = {
        "ENVIRONMENT": "settings.production",
        "DEBUG": "false",
        "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "ALLOWED_HOSTS": "example.org",
        "DEMO_USER": "someone",
        "DEMO_PASSWORD": "something",
        "DEMO_BASE_URL": "https://example.org",
        "SERVICE_TOKEN_KEYS": "0123456789abcdefghijklmnopqrstuv",
    }
    answer = python(
        ROOT / "manage.py", "check", "--deploy", "--fail-level", "WARNING",
        environment={**environment, **production},
    )  # fmt: skip
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "no issues (0 silenced)" in answer.stdout
