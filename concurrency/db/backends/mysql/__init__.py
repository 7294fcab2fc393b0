"""MySQL and MariaDB, through PyMySQL."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from concurrency.patching import mysqldb

# An unpatched process has not installed it yet, and Django's backend is imported next.
if not mysqldb.install():
    raise ImproperlyConfigured(
        "concurrency.db.backends.mysql needs PyMySQL, but mysqlclient was imported before, "
        "which blocks all greenlets. Uninstall mysqlclient."
    )
