"""PyMySQL under the name ``MySQLdb``, by which Django imports its driver.

It knows nothing of Django, because ``concurrency.patch`` needs it first.
"""

from __future__ import annotations

import sys


def install() -> bool:
    """Give the name to PyMySQL, with all its modules; return whether it has it now.

    PyMySQL's own ``install_as_MySQLdb`` names the package alone, so that
    ``MySQLdb.err`` would be loaded once more, with error classes that nobody raises.
    """
    import pymysql

    if sys.modules.setdefault("MySQLdb", pymysql) is not pymysql:
        return False
    for name, module in sys.modules.copy().items():
        if name.startswith("pymysql."):
            sys.modules.setdefault(f"MySQLdb{name.removeprefix('pymysql')}", module)
    return True
