"""A project of its own for each test: the real settings, with an `.env` that the test writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

# What every environment accepts; a test changes what it is about. None removes a key.
COMPLETE = {
    "ENVIRONMENT": "settings.development",
    "SECRET_KEY": "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "DATABASE_URL": "postgres://role:secret@db.example:5433/name",
}
PRODUCTION = {
    **COMPLETE,
    "ENVIRONMENT": "settings.production",
    "ALLOWED_HOSTS": "example.org",
    "DEMO_USER": "someone",
    "DEMO_PASSWORD": "something",
    "DEMO_BASE_URL": "https://example.org",
    "SERVICE_TOKEN_KEYS": "0123456789abcdefghijklmnopqrstuv",
}


@dataclass(frozen=True, slots=True)
class Project:
    """A copy of the settings beside an `.env`."""

    root: Path

    def write(self, values: dict[str, str | None]) -> None:
        """Write `.env`."""
        lines = [f"{key}={value}\n" for key, value in values.items() if value is not None]
        (self.root / ".env").write_text("".join(lines))

    def run(self, code: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run code from another folder, with nothing in the environment but what is given."""
        return subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=self.root.parent,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(self.root), **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def value(self, expression: str, **environment: str) -> Any:
        """Return what an expression gives, in which `s` is the chosen settings module."""
        answer = self.run(
            "import importlib, json\n"
            "from settings import environment\n"
            "s = importlib.import_module(environment.select())\n"
            f"print(json.dumps({expression}))",
            **environment,
        )
        assert answer.returncode == 0, answer.stderr
        return json.loads(answer.stdout)

    def complaint(self, **environment: str) -> str:
        """Return the message of the SettingsError that choosing the settings raises."""
        answer = self.run(
            "from settings import environment\n"
            "try: environment.select()\n"
            "except environment.SettingsError as error: print(error)",
            **environment,
        )
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.count("\n") == 1, "one line, or nothing was wrong"
        return answer.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the real settings and no `.env`."""
    root = tmp_path / "project"
    shutil.copytree(ROOT / "settings", root / "settings")
    services = "example_site/services"
    shutil.copytree(ROOT / services, root / services)
    return Project(root)


@pytest.fixture
def development(project: Project) -> Project:
    """A project whose `.env` is complete for development."""
    project.write(COMPLETE)
    return project


@pytest.fixture
def production(project: Project) -> Callable[..., Project]:
    """Makes a project whose `.env` is complete for production, but for what the test changes."""

    def make(**changes: str | None) -> Project:
        project.write({**PRODUCTION, **changes})
        return project

    return make
