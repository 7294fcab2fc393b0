"""Locks that the database keeps, for work that one process at a time may do.

Migrations of several hosts that start together, a nightly job, a cache that is built:
``with advisory_lock("name"):`` lets one of them on. Nobody has to clean up after one
that died: its session ends, or the system closes its file, and the lock is free.
Knows nothing of what is done under a lock.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.transaction import TransactionManagementError
from django.db.utils import DatabaseError, NotSupportedError

from concurrency.errors import LockTimeout

__all__ = ["advisory_lock"]

logger = logging.getLogger("concurrency.db")

# Seconds between two looks at a lock that somebody else has.
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.25

Attempt = Callable[[], bool]


@contextmanager
def advisory_lock(
    name: str, *, using: str = DEFAULT_DB_ALIAS, timeout: float = 60.0
) -> Iterator[None]:
    """Hold a lock of the database for the length of the block.

    One process, greenlet or thread at a time has the lock of a name in a database; do not
    take the same one again inside. PostgreSQL keeps it as an advisory lock of the session,
    MySQL and MariaDB by ``GET_LOCK``, for SQLite by a file beside the database. The
    greenlet keeps its connection for the block; if the connection is lost, or closed in the
    block, so is the lock.

    Args:
        name: what is locked; any text.
        using: alias of the database that keeps the lock.
        timeout: seconds to wait for somebody else's lock, float; 0 does not wait.

    Raises:
        LockTimeout: somebody else had it all the time (a ``TimeoutError``).
        TransactionManagementError: inside ``atomic``, where the lock would end before what
            was done under it is committed.
        NotSupportedError: the database knows no such lock.
    """
    connection = connections[using]
    if connection.in_atomic_block:
        raise TransactionManagementError(
            f"advisory_lock({name!r}) inside atomic would be free again before the transaction "
            f"is committed: take the lock first, and begin the transaction in its block."
        )
    lock = _LOCKS.get(connection.vendor)
    if lock is None:
        raise NotSupportedError(f"there are no advisory locks for {connection.vendor}")
    with lock(connection, name) as attempt:
        _wait(attempt, name, using, timeout)
        yield


def _wait(attempt: Attempt, name: str, using: str, timeout: float) -> None:
    """Try until the lock is there. The database does not wait: that would hide a deadline."""
    end, pause = time.monotonic() + timeout, _FIRST_LOOK
    while not attempt():
        left = end - time.monotonic()
        if left <= 0:
            raise LockTimeout(name, using, seconds=timeout)
        time.sleep(min(pause, left))
        pause = min(2 * pause, _LAST_LOOK)


@contextmanager
def _postgresql(connection: Any, name: str) -> Iterator[Attempt]:
    key = int.from_bytes(_digest(name), signed=True)
    with _session_lock(
        connection,
        ("SELECT pg_try_advisory_lock(%s)", [key]),
        ("SELECT pg_advisory_unlock(%s)", [key]),
    ) as attempt:
        yield attempt


@contextmanager
def _mysql(connection: Any, name: str) -> Iterator[Attempt]:
    # One name space for the whole server, and 64 characters at most.
    database = str(connection.settings_dict["NAME"])
    key = f"concurrency-{_digest(f'{database}/{name}').hex()}"
    with _session_lock(
        connection, ("SELECT GET_LOCK(%s, 0)", [key]), ("SELECT RELEASE_LOCK(%s)", [key])
    ) as attempt:
        yield attempt


Statement = tuple[str, list[Any]]


@contextmanager
def _session_lock(connection: Any, take: Statement, release: Statement) -> Iterator[Attempt]:
    taken = False

    def attempt() -> bool:
        nonlocal taken
        taken = _answer(connection, take)
        return taken

    # The pool sees by the statement that the session has a lock, and leaves it to its greenlet.
    try:
        yield attempt
    finally:
        if taken:
            _release(connection, release)


def _release(connection: Any, release: Statement) -> None:
    """Give the lock back; a session that is gone has done so already."""
    try:
        held = _answer(connection, release)
    except DatabaseError:
        logger.warning("%s: the session of a lock was lost", connection.alias, exc_info=True)
        return
    if not held:
        logger.warning("%s: a lock was lost in its block, with its session", connection.alias)


def _answer(connection: Any, statement: Statement) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(*statement)
        row = cursor.fetchone()
    return bool(row and row[0])


@contextmanager
def _sqlite(connection: Any, name: str) -> Iterator[Attempt]:
    """Lock a file beside the database, which is there as long as the lock is."""
    path = _lock_file(connection, name)
    taken: list[int] = []

    def attempt() -> bool:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _lock(descriptor) and _is_still(path, descriptor):
            taken.append(descriptor)
            return True
        os.close(descriptor)
        return False

    try:
        yield attempt
    finally:
        for descriptor in taken:
            # While it is locked: who has opened it by now finds out that it is another file.
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether an open file is the one that has its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock_file(connection: Any, name: str) -> Path:
    database = str(connection.settings_dict["NAME"])
    digest = _digest(name).hex()
    if connection.is_in_memory_db():
        # Nobody outside of this process can see it.
        return Path(gettempdir()) / f"sqlite-{os.getpid()}-{_digest(database).hex()}-{digest}.lock"
    path = Path(database)
    return path.with_name(f"{path.name}-{digest}.lock")


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


_LOCKS: dict[str, Callable[[Any, str], AbstractContextManager[Attempt]]] = {
    "postgresql": _postgresql,
    "mysql": _mysql,
    "sqlite": _sqlite,
}
