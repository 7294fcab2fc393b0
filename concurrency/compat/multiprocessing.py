"""What ``multiprocessing`` does not promise. It imports nothing of it: it is handed the modules."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from concurrency.compat.names import Names

__all__ = [
    "NAMES",
    "around_child",
    "around_semaphores",
    "around_spawning",
    "transfer_by",
    "wait_by",
]

NAMES = Names(
    "Python",
    "multiprocessing.connection:Connection._recv.__defaults__",
    "multiprocessing.connection:Connection._send.__defaults__",
    "multiprocessing.connection:_WaitSelector",
    "multiprocessing.process:BaseProcess._bootstrap",
    "multiprocessing.synchronize:SemLock._make_methods(self)",
    "multiprocessing.util:spawnv_passfds(path, args, passfds)",
)

Around = Callable[[Callable[..., Any]], Callable[..., Any]]


def wait_by(connection: ModuleType, selector: Any) -> None:
    """Have ``multiprocessing.connection.wait`` use a class of selectors."""
    vars(connection)["_WaitSelector"] = selector


def transfer_by(
    connection: ModuleType, read: Callable[[int, int], bytes], write: Callable[[int, Any], int]
) -> None:
    """Have connections read and write by functions, which get a descriptor as ``os.read`` does."""
    connection.Connection._send.__defaults__ = (write,)
    connection.Connection._recv.__defaults__ = (read,)


def around_semaphores(synchronize: ModuleType, around: Around) -> None:
    """Put something around what gives a semaphore, or a lock, its methods."""
    base: Any = synchronize.SemLock
    base._make_methods = around(base._make_methods)


def around_child(process: ModuleType, around: Around) -> None:
    """Put something around all that a child process does."""
    base: Any = process.BaseProcess
    base._bootstrap = around(base._bootstrap)


def around_spawning(util: ModuleType, around: Around) -> None:
    """Put something around the function that starts a program and returns its process id."""
    vars(util)["spawnv_passfds"] = around(vars(util)["spawnv_passfds"])
