"""The same promises with psycopg2: this folder's tests again, where psycopg 3 is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# Files and folders to which the driver of PostgreSQL makes no difference.
OTHERS = ("*mysql*", "*sqlite*", "*psycopg2*", "*back_off*", "*cancelling*")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_suite_holds_with_psycopg2():
    """Django picks psycopg2 where psycopg 3 cannot be imported."""
    done = subprocess.run(
        # Not quietly: the seed of the order is in the header.
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/concurrency/db"]
        + [f"--ignore-glob={pattern}" for pattern in OTHERS],
        cwd=ROOT,
        env={**os.environ, "TEST_DRIVER": "psycopg2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
