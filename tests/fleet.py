"""The services of the example for tests: their databases, their commands, and they themselves."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

import psycopg

from bench import fleet
from bench.server import ROOT

__all__ = ["Fleet", "manage", "new_database"]


def new_database(postgres_url: str, name: str) -> str:
    """Make an empty database in the PostgreSQL of the session, and return its URL."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{postgres_url.rpartition('/')[0]}/{name}"


def manage(
    *arguments: str, environment: Mapping[str, str], code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run `manage.py` with warnings as errors, and check the code that it ends with."""
    answer = subprocess.run(
        [sys.executable, "-W", "error", ROOT / "manage.py", *arguments],
        cwd=ROOT,
        env={
            **os.environ,
            "ENVIRONMENT": "settings.development",
            "SECRET_KEY": "only for this test, and long enough for Django",
            **environment,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == code, answer.stdout + answer.stderr
    return answer


class Fleet(fleet.Fleet):
    """Services that do not wait long for idle connections when they are stopped."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        super().__init__(environment, arguments=["--keep-alive", "1"])
