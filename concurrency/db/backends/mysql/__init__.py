"""MySQL and MariaDB, through PyMySQL."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured

from concurrency.patching import mysqldb

# A process that is not patched has not done it yet, and Django's backend comes next.
if not mysqldb.install():
    raise ImproperlyConfigured(
        "concurrency.db.backends.mysql needs PyMySQL, but mysqlclient was imported before, "
        "which blocks all greenlets. Uninstall mysqlclient."
    )
