"""The database of the driver's tests."""

from __future__ import annotations

from tests.concurrency.db.drivers.sqlite.conftest import lite

__all__ = ["lite"]
