"""C libraries that block all greenlets while they wait, and the remedy for each.

They wait in C, where no patch takes effect. gRPC has a gevent mode, which is enabled here;
a check names the others. ``docs/threads.md`` has the table.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from concurrency.patching.imports import when_imported

_OFFLOAD = "Call it through concurrency.offload"


class Library(NamedTuple):
    """A library that blocks.

    Attributes:
        module: the module whose import shows that it is in use.
        name: its usual name.
        remedy: the recommended remedy.
        blocks: returns whether it blocks in the way this process uses it.
    """

    module: str
    name: str
    remedy: str
    blocks: Callable[[ModuleType], bool] = lambda _: True


def _is_thick(oracledb: Any) -> bool:
    return not oracledb.is_thin_mode()


def _is_not_green(zmq: Any) -> bool:
    return "zmq.green" not in sys.modules


LIBRARIES = (
    Library("pymssql", "pymssql", f"{_OFFLOAD}, or use python-tds."),
    Library("oracledb", "python-oracledb in thick mode", "Use its thin mode.", _is_thick),
    Library("cx_Oracle", "cx_Oracle", "Use python-oracledb in its thin mode."),
    Library("pyodbc", "pyodbc", f"{_OFFLOAD}."),
    Library("ibm_db", "ibm_db", f"{_OFFLOAD}."),
    Library("ldap", "python-ldap", f"{_OFFLOAD}, or use ldap3."),
    Library("confluent_kafka", "confluent-kafka", f"{_OFFLOAD}, or use kafka-python."),
    Library("zmq", "pyzmq", "Import zmq.green in its place.", _is_not_green),
    Library("pycurl", "PycURL", f"{_OFFLOAD}, or use concurrency.http.Session."),
    Library("pylibmc", "pylibmc", "Use pymemcache (PyMemcacheCache)."),
)


def blocking() -> Iterator[Library]:
    """Yield the libraries in use that block all greenlets while they wait."""
    for library in LIBRARIES:
        module = sys.modules.get(library.module)
        if module is not None and library.blocks(module):
            yield library


def install() -> None:
    """Enable the libraries' gevent modes when they are imported."""
    when_imported("grpc", _init_grpc)


def _init_grpc(grpc: ModuleType) -> None:
    importlib.import_module("grpc.experimental.gevent").init_gevent()
