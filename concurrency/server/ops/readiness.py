"""What readiness asks besides the board: every database, and the project's own checks.

Loads the application, in the ops process, with Django's own database backends: a probe
needs one connection for each database, and no pool of greenlets.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.core.checks import run_checks

from concurrency.patching import mysqldb
from concurrency.patching.abstention import stay_unpatched
from concurrency.server import databases
from concurrency.server.ops.loading import without_threads

__all__ = ["Examination"]

logger = logging.getLogger("concurrency.server")

OK = "ok"
_MIGRATED_FOR = 60.0  # seconds until a migrated database is asked again
_OURS, _DJANGOS = "concurrency.db.backends.", "django.db.backends."


class Examination:
    """Examines the databases and runs the checks that are tagged `readiness`.

    Args:
        application: what gunicorn serves, as it was told; None if it was told by nobody.
        loaded: called once, with whether the application could be loaded.
    """

    def __init__(self, application: str | None, loaded: Callable[[bool], None]) -> None:
        self._application = application
        self._migrated: dict[str, float] = {}
        self._told = loaded
        self._is_good: bool | None = None
        # A thread that takes long to load is replaced by another, see `Examiner`.
        self._loading = threading.Lock()

    def __call__(self) -> dict[str, Any]:
        """Return the parts of readiness, each "ok" or what is wrong with it."""
        with self._loading:
            if self._is_good is None:
                self._is_good = _is_loaded(self._application)
                self._told(self._is_good)
        if not self._is_good:
            # Django cannot be set up a second time.
            return {"application": "it cannot be loaded; the log says why"}
        return {
            "databases": {alias: self._database(alias) for alias in databases.aliases()},
            "checks": _checks(),
        }

    def _database(self, alias: str) -> str:
        error = databases.unreachable(alias)
        if error is not None:
            return f"unreachable: {error}"
        now = time.monotonic()
        if now - self._migrated.get(alias, -_MIGRATED_FOR) >= _MIGRATED_FOR:
            if state := databases.unmigrated(alias):
                return state
            self._migrated[alias] = now
        return OK


def _is_loaded(application: str | None) -> bool:
    try:
        with without_threads():
            _load(application)
    except Exception:
        logger.exception("the application cannot be loaded to examine it")
        return False
    return True


def _load(application: str | None) -> None:
    import django
    from django.conf import settings

    stay_unpatched()
    if application is not None and not os.environ.get("DJANGO_SETTINGS_MODULE"):
        # Then its own code is what calls `settings.configure()`.
        import_module(application.partition(":")[0])
    for database in settings.DATABASES.values():
        if database.get("ENGINE", "").startswith(_OURS):
            database["ENGINE"] = _DJANGOS + database["ENGINE"].removeprefix(_OURS)
            database.get("OPTIONS", {}).pop("pool", None)
        # It is this process's one connection, and it is asked every second.
        database["CONN_MAX_AGE"] = None
    if find_spec("pymysql") is not None:
        mysqldb.install()
    django.setup()


def _checks() -> str | dict[str, str]:
    """Run the checks; their texts are the project's own and go to the log."""
    found = {}
    for message in run_checks(tags=["readiness"], include_deployment_checks=True):
        if message.is_serious() and not message.is_silenced():
            found[message.id or "check"] = "failed"
            logger.warning("readiness check: %s", message)
    return found or OK
