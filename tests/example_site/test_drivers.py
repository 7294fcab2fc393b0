"""The services with the other driver of PostgreSQL: psycopg2, made cooperative by psycogreen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from concurrency import map_each
from tests.fleet import Fleet, manage
from tests.servers import named

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

NAME = "psycopg2-fleet"
SQUARES = "".join(f"{x * x}\n" for x in range(1, 11))


@pytest.fixture(scope="module")
def services(services_url: str) -> Iterator[Fleet]:
    """Give all services that have data, and the frontend, with psycopg2."""
    environment = {
        "DATABASE_URL": named(services_url, NAME),
        "DATABASE_DRIVER": "psycopg2",
        "PAGE_DEADLINE": "20",
        "SHED_AFTER": "0",
    }
    with Fleet(environment) as fleet:
        fleet.start("user", "welcome", "admin")
        fleet.start("tweets", "frontend")
        yield fleet


def drivers(arbiter: int) -> set[str]:
    """Return the drivers whose compiled part the workers of a gunicorn have loaded."""
    children = Path(f"/proc/{arbiter}/task/{arbiter}/children").read_text().split()
    maps = "".join(Path(f"/proc/{pid}/maps").read_text() for pid in children)
    return {name for name in ("psycopg_binary", "psycopg2") if f"/{name}/" in maps}


@pytest.mark.parametrize(
    ("service", "path", "told"),
    [
        ("frontend", "/?person=sherlock&lang=es&tod=18:03:09", "Buenas tardes, Sherlock Holmes."),
        ("frontend", "/everyone/?lang=fr&tod=06:00:00", "Bonjour, Irene Adler."),
        ("user", "/person/adler/", "Irene Adler"),
        ("welcome", "/translate/hello/de/", "Hallo"),
        ("tweets", "/tweet/?format=json", "This is another test"),
        ("tweets", "/tweet/timeline/?people=sherlock,watson&format=json", "John Watson"),
        ("tweets", "/healthcheck/", '"status": "ok"'),
        ("admin", "/admin/login/", "csrfmiddlewaretoken"),
    ],
)
def test_a_service_answers(services: Fleet, service: str, path: str, told: str) -> None:
    """Pages and facts are the same as with psycopg 3, and psycopg 3 is not loaded."""
    answer = services[service].get(path, limit=20)
    assert (answer.status, told in answer.text) == (200, True), answer.text
    if service not in {"frontend", "admin"}:  # which have asked no database for these
        assert drivers(services[service].process.pid) == {"psycopg2"}


@pytest.mark.parametrize("page", ["/ten-slow-requests/", "/ten-slow-queries/"])
def test_ten_statements_run_at_the_same_time(services: Fleet, page: str) -> None:
    """Ten statements of 1.5 s: one after the other they would be given up after 11.5 s."""
    frontend = services["frontend"]
    answer = frontend.get(f"{page}?seconds=1.5", frontend.authorization, limit=30)
    assert (answer.status, answer.text) == (200, SQUARES)
    assert drivers(frontend.process.pid) == {"psycopg2"}


def test_a_hundred_at_once(services: Fleet) -> None:
    """A crowd shares the pool of a service, and each gets the right answer."""
    people = ["adler", "hudson", "lestrade", "moriarty", "sherlock"] * 20
    headers = {"Accept": "application/json"}

    def ask(slug: str) -> str:
        return str(json.loads(services["user"].get(f"/person/{slug}/", headers).text)["slug"])

    assert map_each(ask, people, limit=100) == people


def test_data_commands_use_it(services_url: str) -> None:
    """`manage.py` takes the same driver, and a second migration finds nothing to do."""
    environment = {"DATABASE_URL": services_url, "DATABASE_DRIVER": "psycopg2"}
    done = manage("migrate", environment=environment)
    assert "No migrations to apply." in done.stdout
    code = "from django.db.backends.postgresql.psycopg_any import is_psycopg3; print(is_psycopg3)"
    assert manage("shell", "-v", "0", "-c", code, environment=environment).stdout == "False\n"
