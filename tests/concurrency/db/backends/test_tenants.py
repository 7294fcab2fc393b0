"""No tenant ever reads what is another's, however few connections they share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.backends.postgresql.psycopg_any import is_psycopg3

from tests.postgresql import OwnPostgres

ROOT = Path(__file__).resolve().parents[4]

KINDS = ("django_tenants", "django_tenants, limited", "set_local", "set_config", "set_role", "set")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """Where there are roles for the tenants."""
    with OwnPostgres() as server:
        server.make_roles("alpha", "beta")
        yield server.url


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not is_psycopg3, reason="which driver it is makes no difference to the kit")
@pytest.mark.parametrize("switches", [150, pytest.param(10_000, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("kind", KINDS)
def test_no_tenant_reads_what_is_another_s(url, kind, switches):
    """With django-tenants and row-level security, while greenlets are killed and time out."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.concurrency.db.backends.tenants", url, kind, str(switches)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert " checked" in done.stdout
