"""Which service a process is: SERVICE, or the option of manage.py, or one that stands in."""

from __future__ import annotations

import pytest

from settings import service
from settings.environment import SettingsError
from tests.settings.conftest import COMPLETE, PRODUCTION, Project

NAMES = ["admin", "frontend", "tweets", "user", "welcome"]
PORTS = {"frontend": 8000, "admin": 8001, "user": 8010, "welcome": 8020, "tweets": 8030}


@pytest.mark.parametrize(
    ("line", "given", "chosen", "left"),
    [
        ("manage.py check", None, "frontend", "manage.py check"),
        ("manage.py serve", None, "frontend", "manage.py serve"),
        ("manage.py check", "user", "user", "manage.py check"),
        ("manage.py --service welcome check -v 2", None, "welcome", "manage.py check -v 2"),
        ("manage.py --service=welcome check", "user", "welcome", "manage.py check"),
        ("manage.py migrate", None, "admin", "manage.py migrate"),
        ("manage.py migrate", "user", "user", "manage.py migrate"),
        ("manage.py seed_people 5", None, "admin", "manage.py seed_people 5"),
        ("manage.py drf_create_token me", None, "admin", "manage.py drf_create_token me"),
        ("manage.py", None, "frontend", "manage.py"),
    ],
)
def test_a_command_line_chooses_the_service(
    monkeypatch: pytest.MonkeyPatch, line: str, given: str | None, chosen: str, left: str
) -> None:
    """The option comes before SERVICE; without both it is the frontend, for data the admin."""
    monkeypatch.setenv("SERVICE", given or "")
    assert service.take_option(line.split()) == left.split()
    assert service.chosen() == chosen


@pytest.mark.parametrize("line", ["manage.py --service", "manage.py --service nobody check"])
def test_a_service_that_is_not_there(monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """A service that there is not is one line that names SERVICE."""
    monkeypatch.setenv("SERVICE", "")
    with pytest.raises(SettingsError, match=r"^SERVICE is "):
        service.take_option(line.split())
        service.chosen()


def test_the_services_and_their_ports() -> None:
    """There are five, each with a port of its own for development."""
    assert service.names() == NAMES
    assert {name: service.load(name)["PORT"] for name in NAMES} == PORTS


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_service_finds_the_others(development: Project, name: str) -> None:
    """A service knows the addresses of all, from the environment or for development."""
    found = development.value(
        "[s.PORT, s.ROOT_URLCONF, s.SERVICE_URLS['user'], s.SERVICE_URLS['welcome']]",
        SERVICE=name,
        SERVICE_URL_USER="https://users.example",
    )
    urls = f"example_site.services.{name}.urls"
    assert found == [PORTS[name], urls, "https://users.example", "http://127.0.0.1:8020"]


@pytest.mark.slow
def test_a_database_of_its_own(development: Project) -> None:
    """DATABASE_URL serves each logical database, unless one has a URL of its own."""
    found = development.value(
        "{name: one['NAME'] for name, one in s.DATABASES.items()}",
        SERVICE="admin",
        DATABASE_URL_GREETINGS="postgres://a:b@c/elsewhere",
    )
    assert found == {"default": "name", "users": "name", "greetings": "elsewhere", "tweets": "name"}


@pytest.mark.slow
def test_a_wrong_url_is_named_by_its_key(development: Project) -> None:
    """The complaint about a logical database's URL names the key where it stands."""
    complaint = development.complaint(SERVICE="user", DATABASE_URL_USERS="oracle://a:secret@c/d")
    assert complaint.startswith("DATABASE_URL_USERS is not like ")
    assert "secret" not in complaint


@pytest.mark.slow
def test_the_local_postgresql_has_all_of_them(project: Project) -> None:
    """Without a URL, each logical database is one of the checkout's own PostgreSQL."""
    local = {"DATABASE_URL": None, "LOCAL_DB_PASSWORD": "pw", "LOCAL_DB_PORT": "15999"}
    project.write({**COMPLETE, **local})
    found = project.value("[s.DATABASES['users']['NAME'], s.DATABASES['default']]", SERVICE="user")
    assert found == ["users", {}]


@pytest.mark.slow
def test_no_page_tells_where_services_are_inside(development: Project) -> None:
    """Pages lead to public addresses alone; in development those are the ones that services use."""
    inside = {"SERVICE_URL_TWEETS": "http://tweets.internal"}
    assert development.value("s.PUBLIC_URLS", **inside) == {
        "tweets": "http://tweets.internal",
        "admin": "http://127.0.0.1:8001",
    }
    development.write(PRODUCTION)
    assert development.value("s.PUBLIC_URLS", **inside) == {"tweets": "", "admin": ""}
    found = development.value("s.PUBLIC_URLS", PUBLIC_URL_TWEETS="https://t.example", **inside)
    assert found == {"tweets": "https://t.example", "admin": ""}
