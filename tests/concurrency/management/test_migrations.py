"""`manage.py migrations`: wait for others, or migrate, one process at a time."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from concurrency.server.arbiter.start_commands import planned
from concurrency.server.options import ServeOptions
from tests.concurrency.server.served import Served, environment, run, write_project
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]

APPS = {"APPS_OF_TEST": "django.contrib.contenttypes django.contrib.auth"}


@pytest.fixture
def empty_databases(postgres_url):
    """URLs of two databases without a table."""
    names = [f"empty_{os.getpid()}_{secrets.token_hex(4)}" for _ in range(2)]
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        for name in names:
            connection.execute(f"CREATE DATABASE {name}")
        yield [urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}")) for name in names]
        for name in names:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_three_replicas_that_start_at_once_migrate_once(tmp_path, empty_databases):
    """With --apply each of three succeeds, every database is migrated, and by one of them."""
    write_project(tmp_path)
    first, second = empty_databases
    variables = {"DATABASE_URL": first, "SECOND_URL": second, **APPS}
    with contextlib.ExitStack() as stack:
        replicas = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "concurrency", "migrations", "--apply"],
                    cwd=tmp_path,
                    env=environment(tmp_path, **variables),
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for _ in range(3)
        ]
        said = [replica.communicate(timeout=50)[0] for replica in replicas]
    assert [replica.returncode for replica in replicas] == [0, 0, 0]
    assert "".join(said).count("Applying auth.0001_initial") == 2, "once for each database"
    assert run(tmp_path, "migrations", **variables).returncode == 0


def test_a_service_waits_for_the_migrations_of_another(tmp_path, empty_databases):
    """With --wait-for-migrations the port opens when somebody else has migrated all."""
    variables = {"DATABASE_URL": empty_databases[0], **APPS}
    with Served(tmp_path, "--wait-for-migrations", **variables) as server:
        until(lambda: server.status("/startup") == 503, "it waits", 20)
        pending = run(tmp_path, "migrations", **variables)
        assert pending.returncode == 1
        assert "migrations are pending, the first is contenttypes.0001_initial" in pending.stderr
        with pytest.raises(OSError, match="refused"):
            server.get("/")
        assert run(tmp_path, "migrate", **variables).returncode == 0
        server.is_ready()
        assert server.get("/")[0] == 200


def test_a_service_that_is_not_migrated_is_not_ready(tmp_path, empty_databases):
    """Readiness says that migrations are pending, and follows when somebody runs them."""
    variables = {"DATABASE_URL": empty_databases[0], **APPS}
    with Served(tmp_path, **variables) as server:
        until(lambda: server.status("/startup") == 200, "started", 20)
        until(lambda: server.probe("/ready")[1]["failed"] == ["databases"], "not ready")
        assert "pending" in server.probe("/ready")[1]["parts"]["databases"]["default"]
        assert run(tmp_path, "migrate", **variables).returncode == 0
        server.is_ready()


def test_a_default_database_that_is_empty_is_none(tmp_path, postgres_url):
    """A project whose databases all have names is asked about those alone."""
    write_project(tmp_path)
    done = run(tmp_path, "migrations", UNNAMED_OF_TEST="1", DATABASE_URL=postgres_url)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_order_of_a_start():
    """Migrations are applied first, commands follow, and what others migrate is waited for last."""
    options = ServeOptions(
        apply_migrations=True,
        wait_for_migrations=True,
        command=("loaddata shop", "collectstatic --no-input"),
        migrations_timeout=60,
    )
    assert planned(options) == [
        "migrations --apply --timeout=60",
        "loaddata shop",
        "collectstatic --no-input",
        "migrations --wait --timeout=60",
    ]


@pytest.mark.parametrize("what", ["--wait", "--apply"])
def test_a_database_that_never_comes(tmp_path, what):
    """A database that does not answer ends it with an error when the time is over."""
    write_project(tmp_path)
    url = "postgres://nobody:hunter2@127.0.0.1:1/nothing"
    done = run(tmp_path, "migrations", what, "--timeout", "0.5", DATABASE_URL=url)
    assert done.returncode == 1
    assert "'default' after 0.5 s: unreachable: OperationalError" in done.stderr
    assert "hunter2" not in done.stderr
