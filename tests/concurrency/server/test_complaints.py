"""What cannot work is said in one line: no traceback, no pages of log, and the right name."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from deploy.cluster import free_port
from tests.concurrency.server.served import ROOT, Served, environment, run, write_project
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NOWHERE = "postgres://somebody:secret@127.0.0.1:1/nothing"
NO_FOLDER = "sqlite:////no/such/folder/db.sqlite3"


@pytest.fixture
def start(tmp_path):
    """Start a service, which finds others of the test and no more."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **variables: stack.enter_context(
            Served(tmp_path, *arguments, **variables)
        )


@pytest.mark.parametrize(
    ("command", "variables", "complaint"),
    [
        (["serve"], {"PORT": "65500"}, "65500 + 1000 is no port; choose one by --ops-port"),
        (["serve"], {"PORT": "many"}, "PORT in the environment is 'many', not a whole number"),
        (["serve"], {"DATABASE_URL": NO_FOLDER}, "folder /no/such/folder of SQLite's file does"),
        (["migrations"], {"DATABASE_URL": NO_FOLDER}, "folder /no/such/folder of SQLite's file"),
        (["migrations"], {"DATABASE_URL": NOWHERE}, "'default': unreachable: OperationalError: "),
        (["serve", "--worker-class", "nope"], {}, "'nope' cannot be imported"),
        (["serve", "--static"], {"ABSENT_OF_TEST": "whitenoise"}, "static needs whitenoise: pip"),
        (["serve", "--reload"], {"ABSENT_OF_TEST": "watchfiles"}, "reload needs watchfiles: pip"),
        (["serve", "--debugger"], {"ABSENT_OF_TEST": "debugpy"}, "debugger needs debugpy: pip"),
        (["probe", "ready"], {"PORT": "1"}, "nobody answers on 127.0.0.1:1001"),
    ],
)
def test_it_is_one_line(tmp_path, command, variables, complaint):
    """The command ends with that line."""
    write_project(tmp_path)
    done = run(tmp_path, *command, CONCURRENCY_RUNTIME_FOLDER=str(tmp_path), **variables)
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert complaint in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.glob("concurrency-*/*-*")), "no folder is left"


@pytest.mark.parametrize("command", [["manage.py", "serve"], ["-m", "gunicorn"]])
@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("DATABASE_URL", "nonsense", "DATABASE_URL is not like postgres://"),
        ("DATABASE_DRIVER", "psycopg9", "is 'psycopg9', neither psycopg nor psycopg2"),
        ("PORT", "65500", "65500 + 1000 is no port"),
        ("ENVIRONMENT", "production", "no settings module: use settings.production"),
        ("ENVIRONMENT", "settings.production", "; DEMO_PASSWORD is missing; "),
    ],
)
def test_it_is_one_line_of_the_example_too(command, variable, value, complaint):
    """Of `manage.py serve` and of gunicorn, before there is a worker."""
    variables = {"ENVIRONMENT": "settings.development", "SECRET_KEY": "x", variable: value}
    kept = {key: text for key, text in os.environ.items() if key != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert complaint in done.stderr


def test_a_database_that_does_not_answer_is_a_line_of_the_screen(start):
    """The service starts, unready, for a database may come later; the log stays short."""
    server = start(DATABASE_URL=NOWHERE)
    until(lambda: server.status("/startup") == 200, "it starts")
    until(lambda: server.status("/ready") == 503, "it is not ready")
    (line,) = [one for one in server.text.splitlines() if "DATABASE DOES NOT ANSWER" in one]
    assert "127.0.0.1" in line
    assert "secret" not in server.text
    assert "Traceback" not in server.text
    assert len(server.text.splitlines()) < 15, server.text


def test_a_second_service_blames_the_port_of_the_application(start, tmp_path):
    """It names the port that was asked for and the process that has it."""
    first = start().is_ready()
    shared = {
        "CONCURRENCY_PORT": str(first.port),
        "CONCURRENCY_RUNTIME_FOLDER": str(tmp_path),
    }
    for ops_port in (first.ops_port, free_port()):
        done = run(tmp_path, "serve", **shared, CONCURRENCY_OPS_PORT=str(ops_port))
        assert done.returncode != 0
        assert (
            f"the port {first.port} on 127.0.0.1 is taken by the service of process "
            f"{first.process.pid}. Choose another by --port" in done.stderr
        )
        assert "ops port" not in done.stderr
        assert done.stdout == "", "there is no start screen of what does not start"
    assert first.get("/")[0] == 200


@pytest.mark.parametrize("noun", ["port", "ops port"])
def test_a_port_of_another_program_is_named(tmp_path, noun):
    """Also where the other is no service of ours."""
    write_project(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ports = {"CONCURRENCY_PORT": str(free_port()), "CONCURRENCY_OPS_PORT": str(free_port())}
        ports[f"CONCURRENCY_{noun.replace(' ', '_').upper()}"] = port
        done = run(tmp_path, "serve", CONCURRENCY_RUNTIME_FOLDER=str(tmp_path), **ports)
    assert done.returncode != 0
    assert f"the {noun} {port} on 127.0.0.1 is taken by another program" in done.stderr


def test_a_probe_finds_the_ports_of_its_own_service(start, tmp_path):
    """Without a word in the environment it asks the one that runs; of several it asks none."""
    variables = {"CONCURRENCY_RUNTIME_FOLDER": str(tmp_path)}
    start("--alive-path", "/living").is_ready()
    by_manage = run(tmp_path, "probe", "alive", **variables)
    assert (by_manage.returncode, by_manage.stderr) == (0, "")
    by_module = subprocess.run(
        [sys.executable, "-m", "concurrency.server.probe", "ready"],
        cwd=tmp_path,
        env=environment(tmp_path, **variables),
        capture_output=True,
        text=True,
    )
    assert by_module.returncode == 0, by_module.stdout
    second = start().is_ready()
    several = run(tmp_path, "probe", "alive", **variables)
    assert several.returncode == 1
    assert "several services of this project run, with the ops ports" in several.stderr
    assert f"{second.ops_port} of process {second.process.pid}" in several.stderr
    chosen = run(tmp_path, "probe", "alive", CONCURRENCY_OPS_PORT=str(second.ops_port), **variables)
    assert chosen.returncode == 0


def test_the_help_has_the_names_of_the_variables(tmp_path):
    """Each option shows its variables."""
    write_project(tmp_path)
    text = " ".join(run(tmp_path, "serve", "--help").stdout.split())
    assert "[CONCURRENCY_PORT, PORT]" in text
    assert "[CONCURRENCY_WORKERS, WEB_CONCURRENCY]" in text
    assert "[CONCURRENCY_DRAIN_DELAY]" in text


def test_migrations_say_what_they_found(tmp_path, postgres_url):
    """Each database has a line, also one that is fine beside one that is not."""
    write_project(tmp_path)
    fine = run(tmp_path, "migrations", SECOND_URL=postgres_url)
    assert fine.returncode == 0
    assert fine.stdout.splitlines() == [
        "'default': all migrations are applied",
        "'second': all migrations are applied",
    ]
    half = run(tmp_path, "migrations", SECOND_URL=NOWHERE)
    assert half.returncode == 1
    assert half.stdout.splitlines() == ["'default': all migrations are applied"]
    assert half.stderr.startswith("CommandError: 'second': unreachable: OperationalError: ")
