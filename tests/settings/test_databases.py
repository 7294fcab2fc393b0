"""Database URLs, and the PostgreSQL that development has without one."""

from __future__ import annotations

from dataclasses import asdict, fields

import pytest

from concurrency.db.pool.options import PoolOptions
from tests.settings.conftest import COMPLETE, Project

pytestmark = pytest.mark.slow


def test_postgresql_gets_the_pool(development: Project) -> None:
    """A PostgreSQL URL means this project's engine, with a bounded pool."""
    found = development.value("s.DATABASES['default']")
    assert found["ENGINE"] == "concurrency.db.backends.postgresql"
    assert found["OPTIONS"]["pool"] == asdict(PoolOptions()), "the library's own defaults"
    assert (found["HOST"], found["PORT"], found["PASSWORD"]) == ("db.example", 5433, "secret")
    assert found["CONN_MAX_AGE"] == 0


def test_the_pools_options_come_from_the_environment(development: Project) -> None:
    """Each has a key of its own."""
    wanted = {"max_size": 7, "min_size": 2, "timeout": 0.5, "max_waiting": 3, "reset": "always"}
    wanted |= {"max_lifetime": 60.0, "max_idle": 30.0, "lend_while_waiting": False}
    assert set(wanted) == {field.name for field in fields(PoolOptions)}
    keys = {f"DATABASE_POOL_{name.upper()}": str(value) for name, value in wanted.items()}
    assert development.value("s.DATABASES['default']['OPTIONS']['pool']", **keys) == wanted


def test_a_url_may_have_its_own(development: Project) -> None:
    """What it says about its pool wins over the environment when the backend reads both."""
    url = "postgres://a:b@c/d?pool_max_size=7&pool_timeout=0.5&pool_reset=always"
    options = development.value(
        "s.DATABASES['default']['OPTIONS']",
        DATABASE_URL=url,
        DATABASE_POOL_MAX_SIZE="9",
        DATABASE_POOL_MIN_SIZE="2",
    )
    changed = {"max_size": 7, "min_size": 2, "timeout": 0.5, "reset": "always"}
    assert asdict(PoolOptions.from_settings(options, alias="x")) == asdict(PoolOptions()) | changed


def test_options_in_the_url_are_kept(development: Project) -> None:
    """What a URL says after its question mark reaches the driver, beside the pool."""
    url = "postgres://a:b@c/d?sslmode=require"
    options = development.value("s.DATABASES['default']['OPTIONS']", DATABASE_URL=url)
    assert options["sslmode"] == "require"
    assert "pool" in options


def test_sqlite_gets_the_pool(development: Project) -> None:
    """A file of SQLite is served by this project's engine too."""
    url = "sqlite:////tmp/x.sqlite3"  # opened by nobody here
    found = development.value("s.DATABASES['default']", DATABASE_URL=url)
    assert found["ENGINE"] == "concurrency.db.backends.sqlite3"
    assert found["OPTIONS"]["pool"]["max_size"] == 20


def test_mysql_has_the_pooled_engine(development: Project) -> None:
    """A MySQL or MariaDB URL means PyMySQL with connections from the pool."""
    found = development.value("s.DATABASES['default']", DATABASE_URL="mysql://a:b@c/d")
    assert found["ENGINE"] == "concurrency.db.backends.mysql"
    assert found["OPTIONS"]["pool"]["max_size"] == 20


def test_development_has_its_own_postgresql(project: Project) -> None:
    """An empty DATABASE_URL means the local server, whose password and port are in `.env`."""
    local = {"DATABASE_URL": "", "LOCAL_DB_PASSWORD": "p/w", "LOCAL_DB_PORT": "15999"}
    project.write({**COMPLETE, **local})
    found = project.value("s.DATABASES['default']")
    assert (found["USER"], found["PASSWORD"]) == ("concurrency", "p/w")
    assert (found["HOST"], found["PORT"]) == ("127.0.0.1", 15999)


def test_without_that_postgresql_the_way_to_it_is_named(project: Project) -> None:
    """Where it was never started, the message says how."""
    project.write({**COMPLETE, "DATABASE_URL": None})
    assert "`make db`" in project.complaint()


@pytest.mark.parametrize("module", ["test", "production"])
def test_elsewhere_an_empty_url_is_an_error(project: Project, module: str) -> None:
    """Outside development nothing takes the place of a DATABASE_URL."""
    local = {"DATABASE_URL": "", "LOCAL_DB_PASSWORD": "pw", "LOCAL_DB_PORT": "15999"}
    project.write({**COMPLETE, **local, "ENVIRONMENT": f"settings.{module}"})
    assert project.complaint().startswith("DATABASE_URL is missing")


def test_a_personal_file_on_the_base_alone_needs_one_too(project: Project) -> None:
    """A settings file that says nothing about databases does not start without a URL."""
    (project.root / "settings" / "mine.py").write_text("from settings.base import *\n")
    project.write({**COMPLETE, "DATABASE_URL": None, "ENVIRONMENT": "settings.mine"})
    assert project.complaint().startswith("DATABASE_URL is missing")


DRIVER = (
    "(__import__('django.db.backends.postgresql.psycopg_any'),"
    " sys.modules['django.db.backends.postgresql.psycopg_any'].is_psycopg3)[1]"
).replace("sys", "__import__('sys')")


@pytest.mark.parametrize(
    ("given", "is_psycopg3"), [("", True), ("psycopg", True), ("psycopg2", False)]
)
def test_the_driver_is_chosen(development: Project, given: str, is_psycopg3: bool) -> None:
    """DATABASE_DRIVER=psycopg2 makes Django take psycopg2; else it takes psycopg 3."""
    assert development.value(DRIVER, DATABASE_DRIVER=given) is is_psycopg3


@pytest.mark.parametrize("last", ["psycopg", ""])
def test_another_driver_after_a_reload(development: Project, last: str) -> None:
    """A driver that Django has not taken yet can be changed when the settings are read anew."""
    answer = development.run(
        "import os\n"
        "from settings import environment\n"
        f"for os.environ['DATABASE_DRIVER'] in ('psycopg2', {last!r}):\n"
        "    environment.select()\n"
        "    environment.forget()\n"
        "from django.db.backends.postgresql.psycopg_any import is_psycopg3\n"
        "print(is_psycopg3)\n"
        "os.environ['DATABASE_DRIVER'] = 'psycopg2'\n"
        "try: environment.select()\n"
        "except environment.SettingsError as error: print(error)\n"
    )
    taken, complaint = answer.stdout.splitlines()
    assert taken == "True"
    assert complaint.startswith(
        "DATABASE_DRIVER is psycopg2, but Django has taken psycopg already."
    )


def test_without_psycopg_django_takes_the_other(development: Project) -> None:
    """Where psycopg 3 is not installed and none is chosen, nobody has to choose."""
    answer = development.run(
        "import sys\n"
        "sys.modules['psycopg'] = None\n"
        "from settings import environment\n"
        "environment.select()\n"
        "from django.db.backends.postgresql.psycopg_any import is_psycopg3\n"
        "print(is_psycopg3)\n"
    )
    assert answer.stdout == "False\n", answer.stderr


def test_a_driver_that_is_not_installed_is_named(development: Project) -> None:
    """psycopg2 without psycogreen would block all greenlets, so it is refused."""
    answer = development.run(
        "import sys\n"
        "sys.modules['psycogreen'] = None\n"
        "from settings import environment\n"
        "try: environment.select()\n"
        "except environment.SettingsError as error: print(error)\n",
        DATABASE_DRIVER="psycopg2",
    )
    assert answer.stdout.startswith("DATABASE_DRIVER is psycopg2, which needs psycogreen. Set ")
