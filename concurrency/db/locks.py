"""Advisory locks in the database, for work that only one process at a time may do.

Typical uses are migrations on several hosts that start together, a nightly job, or a cache
rebuild: ``with advisory_lock("name"):`` admits one process at a time. A process that dies
leaves no lock behind: the server ends its session, or the kernel closes its file, and
either releases the lock.
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

# Seconds between two attempts to take a lock that is held elsewhere: first and longest pause.
_FIRST_LOOK, _LAST_LOOK = 0.01, 0.25

Attempt = Callable[[], bool]


@contextmanager
def advisory_lock(
    name: str, *, using: str = DEFAULT_DB_ALIAS, timeout: float = 60.0
) -> Iterator[None]:
    """Hold an advisory lock of the database for the length of the block.

    Only one process, greenlet or thread at a time holds the lock of a given name in a
    database. The lock is not reentrant: do not take it again inside the block. PostgreSQL
    uses a session-level advisory lock, MySQL and MariaDB use ``GET_LOCK``, and SQLite uses a
    file beside the database. The greenlet keeps its connection for the block; if the
    connection is lost or closed inside the block, the lock is lost too.

    Args:
        name: name of the lock; any text.
        using: alias of the database that keeps the lock.
        timeout: seconds to wait while the lock is held elsewhere, float; 0 does not wait.

    Raises:
        LockTimeout: the lock did not become free in time (a ``TimeoutError``).
        TransactionManagementError: called inside ``atomic``, where the lock would be
            released before the work done under it is committed.
        NotSupportedError: the database has no advisory locks.
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
    """Poll until the lock is taken. A wait in the database would not see a deadline."""
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
    # Lock names are global to the server and have at most 64 characters.
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

    # The pool recognises the lock statement and leaves the session with its greenlet.
    try:
        yield attempt
    finally:
        if taken:
            _release(connection, release)


def _release(connection: Any, release: Statement) -> None:
    """Release the lock; a session that is gone has already released it."""
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
    """Lock a file beside the database; the file exists only as long as the lock."""
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
            # Unlink while it is locked: a process that has already opened the file then
            # finds that the path no longer names it.
            path.unlink(missing_ok=True)
            os.close(descriptor)


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(path: Path, descriptor: int) -> bool:
    """Return whether the path still names the open file."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _lock_file(connection: Any, name: str) -> Path:
    database = str(connection.settings_dict["NAME"])
    digest = _digest(name).hex()
    if connection.is_in_memory_db():
        # No other process can reach this database.
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
