"""Each asynchronous method of Django does in a patched process what it does elsewhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.database import scratch

ROOT = Path(__file__).resolve().parents[3]


def surface(how: str, url: str) -> list[str]:
    """Return what each method returned, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "tests.concurrency.aio.surface", how, url],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if not key.startswith("DJANGO_")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("vendor", ["postgresql", "sqlite"])
def test_it_is_the_same_as_unpatched(vendor: str, postgres_url: str, tmp_path: Path) -> None:
    """Query sets, managers, auth, sessions, clients and signals return the same."""
    found = []
    for how in ("patched", "unpatched"):
        if vendor == "sqlite":
            found.append(surface(how, f"sqlite:///{tmp_path / how}.sqlite3"))
        else:
            with scratch(postgres_url, "aio_surface") as url:
                found.append(surface(how, url))
    patched, unpatched = found
    assert patched[0] == "not called: []"
    assert not [line for line in patched if "FAILED" in line]
    assert patched == unpatched
