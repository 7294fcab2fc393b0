"""The MariaDB of the tests is that of the soak."""

from __future__ import annotations

from bench.mariadb import MariaDB

__all__ = ["MariaDB"]
