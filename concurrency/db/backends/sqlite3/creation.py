"""Test databases of SQLite; the pool closes its connections before a file is touched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import gevent
from django.db.backends.sqlite3 import creation

from concurrency.db.drivers.driver import KILL_BUDGET
from concurrency.db.pool.registry import aliases_of, pool_statistics


class DatabaseCreation(creation.DatabaseCreation):  # type: ignore[misc]
    """Django's ``DatabaseCreation``, with the pool closed before a file is copied or removed."""

    def _let_go(self) -> None:
        """Close the connections of this process that no greenlet uses."""
        self.connection.close()
        end = time.monotonic() + KILL_BUDGET
        while self._is_cleaning() and time.monotonic() < end:
            gevent.sleep(0.002)
        self.connection.close_pool()

    def _is_cleaning(self) -> bool:
        aliases = {self.connection.alias, *aliases_of(self.connection.settings_dict["NAME"])}
        numbers = pool_statistics()
        return any(numbers[alias].discarding for alias in aliases & numbers.keys())

    def _create_test_db(self, verbosity: int, autoclobber: bool, keepdb: bool = False) -> Any:
        self._let_go()
        return super()._create_test_db(verbosity, autoclobber, keepdb)

    def _clone_test_db(self, suffix: str, verbosity: int, keepdb: bool = False) -> None:
        # The last connection to close writes the WAL back into the file.
        self._let_go()
        super()._clone_test_db(suffix, verbosity, keepdb)

    def _destroy_test_db(self, test_database_name: Any, verbosity: int) -> None:
        self._let_go()
        super()._destroy_test_db(test_database_name, verbosity)
        if not self.is_in_memory_db(test_database_name):
            for companion in ("-wal", "-shm"):
                Path(f"{test_database_name}{companion}").unlink(missing_ok=True)
