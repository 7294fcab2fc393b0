"""What all tests share: a PostgreSQL for the session, Django set up on it, and guards.

The environment is prepared before anything imports the settings. With
``TEST_DRIVER=psycopg2`` psycopg 3 cannot be imported, so that Django picks psycopg2.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from coverage import Coverage

from deploy import guard
from tests.claims import CLAIMS, Claims
from tests.progress import Notes

if TYPE_CHECKING:
    from tests.mariadb import MariaDB
    from tests.redis import Redis

ROOT = Path(__file__).resolve().parents[1]

_NEEDED = {
    "redis": "redis-server",
    "browser": "chromium",
    "mariadb": "mariadbd",
    "nginx": "nginx",
    "openssl": "openssl",
}

# These start dozens of programs, which use the library as its users do.
_OF_USERS = ("tests/bench/", "tests/deploy/", "tests/example_site/")
_COVERED = {
    "COVERAGE_PROCESS_START": str(ROOT / "tests" / "programs.coveragerc"),
    "COVERAGE_FILE": str(ROOT / ".coverage"),
    "COVERAGE_SOURCE": str(ROOT / "concurrency"),
}


def _localdb(verb: str, home: str) -> str:
    command = [sys.executable, "-m", "deploy.localdb", verb, "--data", home]
    if verb == "start":
        command += ["--port", "0", "--temporary"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.exit(f"the tests need a PostgreSQL, which does not {verb}: {done.stderr}", 2)
    return done.stdout.strip()


def pytest_configure(config: pytest.Config) -> None:
    """Start the session's PostgreSQL, and point the settings to it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As of a job in a shell's background. All that tests start would be deaf to it, too.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if claims := os.environ.pop(CLAIMS, ""):  # not for the pytest that a test starts
        config.pluginmanager.register(Claims(Path(claims)))
        config.pluginmanager.register(Notes(Path(claims)))
    if os.environ.get("TEST_DRIVER") == "psycopg2":
        sys.modules["psycopg"] = None  # type: ignore[assignment]
        os.environ["DATABASE_DRIVER"] = "psycopg2"  # or the settings undo it
    # Folders of tests that failed are to be looked at afterwards.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
    home = str(guard.start("tests-") / "postgresql")
    url = _localdb("start", home)
    config.add_cleanup(lambda: _localdb("stop", home))
    os.environ["DATABASE_URL"] = url
    os.environ["ENVIRONMENT"] = os.environ["DJANGO_SETTINGS_MODULE"] = "settings.test"
    import django

    from settings import environment

    environment.ENV_FILE = ROOT / "tests" / ".env"  # there is none: a developer's is not read
    django.setup()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, by name, what needs a program that is not installed; fail where CI is set."""
    for item in items:
        for mark, program in _NEEDED.items():
            if item.get_closest_marker(mark) is None or shutil.which(program):
                continue
            if os.environ.get("CI"):
                pytest.exit(f"{item.nodeid} needs {program}, which CI has to install", 2)
            item.add_marker(pytest.mark.skip(reason=f"{program} is not installed"))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Let programs run at their own speed that are not started for the library's coverage."""
    if item.nodeid.startswith(_OF_USERS) or Coverage.current() is None:
        for name in _COVERED:
            os.environ.pop(name, None)
    else:
        os.environ.update(_COVERED)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """URL of the PostgreSQL of this session; its role may create databases."""
    return os.environ["DATABASE_URL"]


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    """The MariaDB of this session."""
    from tests.mariadb import MariaDB

    with MariaDB() as server:
        yield server


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """The Redis of this session."""
    from tests.redis import Redis

    with Redis() as server:
        yield server


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a greenlet or a lease behind, or changes the context."""
    from concurrency.testing import assert_nothing_left

    with assert_nothing_left():
        yield


@pytest.fixture
def settings_with() -> Iterator[Callable[..., None]]:
    """Change keys of ``CONCURRENCY`` for a test."""
    from django.test import override_settings

    changes = []

    def change(**keys: object) -> None:
        changes.append(override_settings(CONCURRENCY=keys))
        changes[-1].enable()

    yield change
    for override in reversed(changes):
        override.disable()
