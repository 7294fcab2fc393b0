"""What Django's documentation says of a backend holds for these, too."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import gevent
import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.core.signals import request_finished, request_started
from django.db import DatabaseError, close_old_connections, connection, models, transaction
from django.http import HttpResponse
from django.test import RequestFactory, override_settings
from django.urls import path
from gevent.event import Event

from concurrency.db import pool_statistics
from concurrency.http import TIMEOUT_HEADER
from tests.concurrency.db.conftest import query, statistics
from tests.helpers import until

SERVERS = pytest.mark.targets("postgresql", "mariadb")
pytestmark = pytest.mark.targets("postgresql", "mariadb", "sqlite")


class Row(models.Model):
    """A table of the tests."""

    name = models.CharField(max_length=20, unique=True)

    class Meta:
        app_label = "behaviour"


@pytest.fixture
def rows(pool) -> Iterator[type[Row]]:
    """The table, empty."""
    with connection.schema_editor() as editor:
        editor.create_model(Row)
    connection.close()
    yield Row
    connection.close()
    with connection.schema_editor() as editor:
        editor.delete_model(Row)


def test_inspectdb_writes_models(rows):
    """Of the tables that are there, with their columns and keys."""
    out = io.StringIO()
    call_command("inspectdb", Row._meta.db_table, stdout=out)
    assert "class BehaviourRow(models.Model):" in out.getvalue()
    assert "name = models.CharField(unique=True, max_length=20)" in out.getvalue()


def test_dbshell_starts_the_client(pool, target, tmp_path, monkeypatch, capfd):
    """With what the settings say of the server, and nothing of the pool."""
    program = tmp_path / connection.client.executable_name
    program.write_text('#!/bin/sh\necho "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    call_command("dbshell", "--", "--an-option")
    arguments = capfd.readouterr().out
    assert str(target.settings["NAME"]) in arguments
    assert "--an-option" in arguments
    assert "pool" not in arguments


@pytest.fixture
def test_name(pool, target, tmp_path) -> str:
    """The name of a test database, which the user may make."""
    name = str(tmp_path / "test.sqlite3") if target.name == "sqlite" else "test_of_tests"
    if target.name == "mariadb":
        with target.where.root() as root, root.cursor() as cursor:
            cursor.execute(f"GRANT ALL ON {name}.* TO '{target.where.user}'@'%'")
    pool(max_size=2)
    connection.settings_dict["TEST"].update(NAME=name, MIGRATE=False)
    return name


def names() -> list[str]:
    return sorted(Row.objects.values_list("name", flat=True))


@pytest.mark.slow
def test_a_test_database_is_made_kept_and_destroyed(pool, target, test_name):
    """Whoever queries meanwhile uses it; ``--keepdb`` keeps its rows, without it they are gone."""
    creation, before = connection.creation, connection.settings_dict["NAME"]

    def create(**options: Any) -> None:
        creation.create_test_db(verbosity=0, autoclobber=True, **options)
        assert connection.settings_dict["NAME"] == test_name
        if Row._meta.db_table not in connection.introspection.table_names():
            with connection.schema_editor() as editor:
                editor.create_model(Row)

    create()
    Row.objects.create(name="kept")
    assert gevent.spawn(names).get() == ["kept"]
    creation.destroy_test_db(before, verbosity=0, keepdb=True)
    assert Row._meta.db_table not in connection.introspection.table_names()
    create(keepdb=True)
    assert gevent.spawn(names).get() == ["kept"]
    creation.destroy_test_db(before, verbosity=0)
    create()
    assert names() == []
    creation.destroy_test_db(before, verbosity=0)
    assert connection.settings_dict["NAME"] == before
    assert query() == 1


@pytest.mark.slow
def test_a_mirror_lets_go_of_the_test_database(pool, target, test_name):
    """Its pool is another one, to the same database: that one can be destroyed nevertheless."""
    creation, before = connection.creation, connection.settings_dict["NAME"]
    creation.create_test_db(verbosity=0, autoclobber=True)
    mirror = connection.copy(alias="mirror")
    try:
        mirror.creation.set_as_test_mirror(connection.settings_dict)
        with mirror.cursor() as cursor:
            cursor.execute("SELECT 1")
        mirror.close()
        assert pool_statistics()["mirror"].idle == 1
        connection.close_pool()
        assert "mirror" not in pool_statistics()
    finally:
        mirror.close_pool()
        creation.destroy_test_db(before, verbosity=0)
    assert query() == 1


@SERVERS
@pytest.mark.parametrize("health_checks", [True, False])
def test_a_connection_that_has_ended_is_noticed(pool, observer, health_checks):
    """With ``CONN_HEALTH_CHECKS`` and, as the pool looks at each of them, without."""
    pool(max_size=1, CONN_HEALTH_CHECKS=health_checks)
    for _ in range(2):
        request_started.send(sender=None, environ={})
        assert query() == 1
        close_old_connections()
        observer.terminate()
        until(lambda: observer.sessions() == 0, "ended")


def write(request: Any) -> HttpResponse:
    Row.objects.create(name=request.GET["name"])
    return HttpResponse(str(connection.in_atomic_block))


@transaction.non_atomic_requests
def write_by_itself(request: Any) -> HttpResponse:
    return write(request)


def fail(request: Any) -> HttpResponse:
    write(request)
    raise ValueError("expected")


def hang(request: Any) -> HttpResponse:
    write(request)
    Event().wait()
    raise AssertionError


urlpatterns = [
    path("write/", write),
    path("fail/", fail),
    path("hang/", hang),
    path("by-itself/", write_by_itself),
]


@pytest.fixture
def ask() -> Iterator[Callable[..., str]]:
    """Send requests through Django's handler, with our middleware."""
    middleware = ["concurrency.middleware.ConcurrencyMiddleware"]
    with override_settings(ROOT_URLCONF=__name__, MIDDLEWARE=middleware):
        handler = WSGIHandler()

        def send(url: str, **headers: str) -> str:
            environ = RequestFactory().get(url, headers=headers).environ
            response = handler(environ, lambda *_: None)
            body = b"".join(response).decode()
            response.close()
            return f"{response.status_code} {body}"

        yield send


def test_atomic_requests(pool, target, rows, ask):
    """A view is a transaction: kept if it answers, undone if it fails or takes too long."""
    pool(max_size=1, ATOMIC_REQUESTS=True)
    assert ask("/write/?name=kept") == "200 True"
    assert ask("/by-itself/?name=too") == "200 False"
    with override_settings(DEBUG_PROPAGATE_EXCEPTIONS=False):
        assert ask("/fail/?name=lost").startswith("500")
    assert ask("/hang/?name=gone", **{TIMEOUT_HEADER: "100"}).startswith("504")
    assert names() == ["kept", "too"]


@SERVERS
def test_select_for_update(rows, observer):
    """Waits for who has the row, or does not wait, or leaves it out."""
    Row.objects.bulk_create([Row(name="free"), Row(name="locked")])
    locked, go_on = Event(), Event()

    def lock() -> None:
        with transaction.atomic():
            Row.objects.select_for_update().get(name="locked")
            locked.set()
            go_on.wait()

    def wait() -> str:
        with transaction.atomic():
            return Row.objects.select_for_update().get(name="locked").name

    holder = gevent.spawn(lock)
    locked.wait()
    with pytest.raises(DatabaseError), transaction.atomic():
        list(Row.objects.select_for_update(nowait=True))
    with transaction.atomic():
        (free,) = Row.objects.select_for_update(skip_locked=True)
        assert free.name == "free"
    waiter = gevent.spawn(wait)
    until(lambda: observer.running("FOR UPDATE") == 1, "waiting for the row")
    assert not waiter.ready()
    go_on.set()
    assert waiter.get() == "locked"
    holder.join()


def test_what_is_to_be_done_on_commit(pool, rows):
    """Is done once and in order after the commit, and not for who was rolled back or killed."""
    pool(max_size=1)
    done: list[str] = []

    def note(name: str) -> None:
        Row.objects.create(name=name)
        transaction.on_commit(lambda: done.append(name))

    with transaction.atomic():
        note("first")
        with pytest.raises(ValueError, match="expected"), transaction.atomic():
            note("undone")
            raise ValueError("expected")
        note("second")
        assert done == []
    assert done == ["first", "second"]

    def killed() -> None:
        with transaction.atomic():
            note("killed")
            noted.set()
            Event().wait()

    noted = Event()
    connection.close()
    victim = gevent.spawn(killed)
    noted.wait()
    victim.kill()
    with transaction.atomic():
        note("third")
    assert done == names() == ["first", "second", "third"]


def test_the_ends_of_requests_are_where_leases_end(pool):
    """``CONN_MAX_AGE`` keeps nothing for a greenlet."""
    pool(max_size=1, CONN_MAX_AGE=None)
    query()
    request_finished.connect(close_old_connections)
    request_finished.send(sender=None)
    assert (statistics().in_use, statistics().idle) == (0, 1)
