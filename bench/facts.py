"""What has to be known to compare a measurement with another one, for ``env.json``."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench.scenario import Scenario
from bench.server import ROOT

__all__ = ["facts", "surroundings"]

_PACKAGES = (
    *("django", "gevent", "greenlet", "gunicorn", "psycopg", "psycopg2-binary", "requests"),
    *("locust", "geventhttpclient"),
)


def facts(scenario: Scenario, postgresql: str) -> dict[str, object]:
    """Return versions, cores, settings and commit; nothing in it is secret.

    Args:
        scenario: what is measured.
        postgresql: the version of the database server.
    """
    return {
        "scenario": {**asdict(scenario), "workers": 1, "ideal": scenario.ideal},
        **surroundings(postgresql, _PACKAGES),
    }


def surroundings(postgresql: str, packages: Sequence[str]) -> dict[str, Any]:
    """Return versions, machine and commit, of any measurement.

    Args:
        postgresql: the version of the database server.
        packages: names of distributions; the version is None of those that are missing.
    """
    return {
        "versions": {
            "python": platform.python_version(),
            "postgresql": postgresql,
            **{package: _version(package) for package in packages},
        },
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "load_before": os.getloadavg()[0],
        },
        "commit": _git("rev-parse", "HEAD"),
        "changed_files": len((_git("status", "--porcelain") or "").splitlines()),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str | None:
    """Return the name of the processor where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if "model name" in line), None)


def _git(*arguments: str) -> str | None:
    """Return what git says, None where there is no git or no repository."""
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments
            ["git", *arguments],  # noqa: S607 - found on PATH
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.rstrip("\n")
