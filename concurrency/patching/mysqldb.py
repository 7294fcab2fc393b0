"""Installs PyMySQL under the name ``MySQLdb``, by which Django imports its driver.

Does not import Django, because ``concurrency.patch`` runs before it.
"""

from __future__ import annotations

import sys


def install() -> bool:
    """Register PyMySQL and all its modules under the name; return whether that succeeded.

    PyMySQL's own ``install_as_MySQLdb`` registers only the package. ``MySQLdb.err`` would
    then be loaded a second time, with error classes that PyMySQL never raises.
    """
    import pymysql

    if sys.modules.setdefault("MySQLdb", pymysql) is not pymysql:
        return False
    for name, module in sys.modules.copy().items():
        if name.startswith("pymysql."):
            sys.modules.setdefault(f"MySQLdb{name.removeprefix('pymysql')}", module)
    return True
