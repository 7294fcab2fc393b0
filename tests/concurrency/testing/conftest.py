"""The pool of the tests of the database."""

from __future__ import annotations

from tests.concurrency.db.conftest import pool, pytest_generate_tests, target

__all__ = ["pool", "pytest_generate_tests", "target"]
