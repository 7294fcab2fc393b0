"""Logical databases: where apps have their tables, and what the checks find."""

from __future__ import annotations

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import psycopg
import pytest
import requests
from django.conf import settings
from django.contrib.auth.models import User
from django.test import override_settings

from example_site.apps.person.models import Person
from example_site.apps.translate.models import Translation
from example_site.databases.checks import ROUTER, check_databases
from example_site.databases.router import AppRouter
from tests.fleet import Fleet, manage, new_database
from tests.mariadb import MariaDB

MAP = {"person": "users", "auth": "users", "contenttypes": "users", "greet": "greetings"}
MAP |= {"translate": "greetings", "tweets": "tweets", "authtoken": "users"}
TABLES_OF_USERS = {
    *("auth_group", "auth_group_permissions", "auth_permission", "auth_user", "auth_user_groups"),
    *("auth_user_user_permissions", "authtoken_token", "django_admin_log", "django_content_type"),
    *("django_migrations", "django_session", "person_person"),
}
EVERY: dict[str, dict[str, str]] = {"default": {}, "users": {}, "greetings": {}, "tweets": {}}


@pytest.fixture
def mapped() -> Iterator[None]:
    """Route as the services do, in a service that has every database."""
    with override_settings(DATABASE_ROUTERS=[ROUTER], APP_DATABASES=MAP):
        yield


def found(databases: dict[str, dict[str, str]] = EVERY, **changes: object) -> list[str | None]:
    """Return the ids of what the check finds."""
    with override_settings(**changes):
        # Only looked at; to override it properly would change this process's connections.
        settings.DATABASES = databases
        return [message.id for message in check_databases()]


@pytest.mark.usefixtures("mapped")
def test_the_router_knows_its_map() -> None:
    """Queries and tables of an app are in its database; for others the router has no answer."""
    router = AppRouter()
    assert router.db_for_read(Person) == router.db_for_write(User) == "users"
    assert router.db_for_read(Translation) == "greetings"
    assert router.allow_migrate("users", "person") is True
    assert router.allow_migrate("greetings", "person") is False
    assert router.allow_migrate("default", "person") is False
    assert router.allow_migrate("default", "unknown") is False


@pytest.mark.usefixtures("mapped")
def test_the_checks_are_content_with_the_map() -> None:
    """Where every app is mapped and every database there, nothing is found."""
    assert found() == []


@pytest.mark.usefixtures("mapped")
def test_an_app_that_is_not_mapped() -> None:
    """An app with models that no database is said to have is an error: it would be nowhere."""
    without = {app: name for app, name in MAP.items() if app != "tweets"}
    assert found(APP_DATABASES=without) == ["example_site.E001"]


@pytest.mark.usefixtures("mapped")
def test_a_relation_into_another_database() -> None:
    """A foreign key whose other end is in another database is an error."""
    assert "example_site.E002" in found(APP_DATABASES={**MAP, "greet": "users"})


@pytest.mark.usefixtures("mapped")
def test_a_service_that_lacks_a_database() -> None:
    """An app whose database its service has not is an error."""
    lacking = {name: config for name, config in EVERY.items() if name != "tweets"}
    assert found(lacking) == ["example_site.E003"]


def test_the_checks_are_documented() -> None:
    """Each check has a line in the docs, and the docs have no other."""
    root = Path(__file__).resolve().parents[2]
    pattern = r"example_site\.E\d+"
    code = (root / "example_site/databases/checks.py").read_text()
    docs = (root / "docs/services.md").read_text()
    ids = set(re.findall(rf'id="({pattern})"', code))
    assert set(re.findall(pattern, docs)) == ids


@pytest.fixture
def three(postgres_url: str, mariadb: MariaDB, tmp_path: Path) -> dict[str, str]:
    """Give the addresses of a PostgreSQL, a MariaDB and a SQLite, all empty."""
    with mariadb.root() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE greetings CHARACTER SET utf8mb4")
        cursor.execute(f"GRANT ALL ON greetings.* TO '{mariadb.user}'@'%'")
    login = f"{mariadb.user}:{quote(mariadb.password)}"
    return {
        "DATABASE_URL": "",
        "DATABASE_URL_USERS": new_database(postgres_url, "three_users"),
        "DATABASE_URL_GREETINGS": f"mysql://{login}@{mariadb.host}:{mariadb.port}/greetings",
        "DATABASE_URL_TWEETS": f"sqlite:///{tmp_path}/tweets.sqlite3",
    }


def tables(three: dict[str, str], mariadb: MariaDB, tmp_path: Path) -> list[set[str]]:
    """Return the tables of each of the three."""
    with psycopg.connect(three["DATABASE_URL_USERS"]) as postgresql:
        sql = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        users = postgresql.execute(sql).fetchall()
    with mariadb.root() as connection, connection.cursor() as cursor:
        cursor.execute("SHOW TABLES FROM greetings")
        greetings = cursor.fetchall()
    with contextlib.closing(sqlite3.connect(tmp_path / "tweets.sqlite3")) as file:
        tweets = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return [{name for (name,) in rows} for rows in (users, greetings, tweets)]


def left(three: dict[str, str], mariadb: MariaDB, tmp_path: Path) -> list[object]:
    """Return how many persons, greetings and translations there are, and the texts of tweets."""
    with psycopg.connect(three["DATABASE_URL_USERS"]) as postgresql:
        found = [postgresql.execute("SELECT count(*) FROM person_person").fetchone()]
    with mariadb.root() as connection, connection.cursor() as cursor:
        for sql in (
            "SELECT count(*) FROM greetings.greet_greeting",
            "SELECT count(*) FROM greetings.translate_translation",
        ):
            cursor.execute(sql)
            found.append(cursor.fetchone())
    with contextlib.closing(sqlite3.connect(tmp_path / "tweets.sqlite3")) as file:
        texts = [text for (text,) in file.execute("SELECT text FROM tweets_tweet")]
    return [*(row and row[0] for row in found), texts]


@pytest.mark.slow
@pytest.mark.mariadb
@pytest.mark.timeout(90)
def test_three_databases_of_three_kinds(
    three: dict[str, str], mariadb: MariaDB, tmp_path: Path
) -> None:
    """Each app's tables are in its own database alone, also when two migrate at the same time;
    the services find and write them; and the data of the migrations go as they came."""
    with ThreadPoolExecutor() as both:
        list(both.map(lambda _: manage("migrate", environment=three), range(2)))
    users, greetings, tweets = tables(three, mariadb, tmp_path)
    assert users == TABLES_OF_USERS
    assert greetings == {"django_migrations", "greet_greeting", "translate_translation"}
    assert tweets == {"django_migrations", "sqlite_sequence", "tweets_tweet"}
    manage("seed_account", environment=three)
    token = manage("drf_create_token", "user", environment=three).stdout.split()[2]
    with Fleet(three) as fleet:
        fleet.start("user", "welcome")
        fleet.start("tweets")
        assert fleet["user"].get("/person/adler/").text == "Irene Adler"
        assert fleet["welcome"].get("/greet/tod/06:00:00/").text == "goodmorning"
        assert fleet["welcome"].get("/translate/goodmorning/es/").text == "Buenos días"
        written = requests.post(
            f"{fleet['tweets'].url}/tweet/",
            json={"text": "In a third database", "person": "adler"},
            headers={"Authorization": f"Token {token}"},
            timeout=20,
        )
        assert written.status_code == 201
        (adler,) = json.loads(fleet["tweets"].get("/tweet/timeline/?people=adler").text)
        assert (adler["name"], adler["tweets"]) == ("Irene Adler", [written.json()])
    with ThreadPoolExecutor() as all_three:
        apps = ("person", "greet", "tweets")
        list(all_three.map(lambda app: manage("migrate", app, "0001", environment=three), apps))
    assert left(three, mariadb, tmp_path) == [0, 0, 0, ["In a third database"]]
