"""The services as deployables: each checks out, and another one is two files."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import Client, override_settings

from deploy import services
from tests.fleet import manage
from tests.settings.test_service import NAMES

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.slow

PRODUCTION = {
    "ENVIRONMENT": "settings.production",
    "DEBUG": "false",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "ALLOWED_HOSTS": "example.org",
    "DATABASE_URL": "postgres://nobody:nothing@127.0.0.1:1/nowhere",
    "DEMO_USER": "someone",
    "DEMO_PASSWORD": "something",
    "DEMO_BASE_URL": "https://example.org",
    "SERVICE_TOKEN_KEYS": "0123456789abcdefghijklmnopqrstuv",
}


@pytest.mark.parametrize("name", NAMES)
def test_each_service_is_fit_for_production(name: str) -> None:
    """Django's check for deployment finds nothing in any service."""
    answer = manage(
        "check", "--deploy", "--fail-level", "WARNING", environment={**PRODUCTION, "SERVICE": name}
    )
    assert "no issues (0 silenced)" in answer.stdout


def test_a_known_account_is_for_development_alone() -> None:
    """`seed_account` makes no account in production."""
    answer = manage("seed_account", environment=PRODUCTION)
    assert answer.stdout.startswith("Only in development; elsewhere it is ")


def test_no_migration_is_missing() -> None:
    """The models are as the migrations make them."""
    answer = manage("makemigrations", "--check", environment={"DATABASE_URL": "sqlite://:memory:"})
    assert "No changes detected" in answer.stdout


@pytest.mark.parametrize("name", ["user", "welcome", "frontend"])
def test_a_developer_gets_sentences_too(name: str) -> None:
    """With DEBUG on, an address that there is not is a sentence still; a slash is still added."""
    with override_settings(DEBUG=True, ROOT_URLCONF=f"example_site.services.{name}.urls"):
        answer = Client().get("/nowhere/at/all/")
        assert (answer.status_code, answer.content) == (
            404,
            b"There is nothing at /nowhere/at/all/.\n",
        )
        assert Client().get("/nowhere").headers["Location"] == "/nowhere/"
        assert Client().get("/favicon.ico").status_code == 204


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Give a copy of the project in which a test may add files."""
    for name in ("concurrency", "example_site", "settings"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "Procfile"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / ".env").write_text(
        "ENVIRONMENT=settings.development\nSECRET_KEY=only for this test\n"
        f"DATABASE_URL=sqlite:///{tmp_path}/data.sqlite3\n"
    )
    return tmp_path


def run(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run manage.py of the copy."""
    return subprocess.run(
        [sys.executable, "-W", "error", "manage.py", *arguments],
        cwd=copy,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_sixth_service_is_two_files(copy: Path) -> None:
    """`startservice` writes a folder with two files, and the service is there, in the Procfile as
    well."""
    answer = run(copy, "startservice", "sixth")
    assert answer.returncode == 0, answer.stderr
    folder = copy / "example_site/services/sixth"
    assert sorted(file.name for file in folder.iterdir()) == ["settings.py", "urls.py"]
    assert "PORT = 8040" in (folder / "settings.py").read_text()
    processes = services.read("127.0.0.1", 9000, copy / "Procfile")
    assert (processes[-1].name, processes[-1].port) == ("sixth", 9040)
    answer = run(copy, "--service", "sixth", "check")
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["user"], "is there already"),
        (["../x"], "is no name for a service"),
        (["management"], "is no name for a service"),
        (["sixth", "--port", "8010"], "port 8010 is that of the service user"),
    ],
)
def test_what_cannot_be_a_service_is_refused(
    copy: Path, arguments: list[str], complaint: str
) -> None:
    """A name or a port that cannot be had is refused with a sentence, and nothing is written."""
    answer = run(copy, "startservice", *arguments)
    assert answer.returncode == 1
    assert complaint in answer.stderr
    assert not (copy / "example_site/services/sixth").exists()
