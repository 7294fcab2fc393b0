"""Libraries in C that wait where no greenlet can run, and what to do about each.

Their waits are not Python's, so that no patch reaches them. gRPC has a mode for gevent,
which is switched on; the others are named by a check. ``docs/threads.md`` has the table.
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
        module: the module that shows that it is in use.
        name: what people call it.
        remedy: what to do.
        blocks: whether it does, as it is used in this process.
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
    """Switch on what libraries have for gevent, when they are imported."""
    when_imported("grpc", _init_grpc)


def _init_grpc(grpc: ModuleType) -> None:
    importlib.import_module("grpc.experimental.gevent").init_gevent()
