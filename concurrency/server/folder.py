"""The private folder of one running service: its board, its metrics, its sockets.

The arbiter creates it, readable only by its user, below `runtime_folder()`, where commands of
that user find it. The arbiter removes it at its end. If the arbiter was killed, the last of
its processes does so; if all were killed, the service that starts next. A lock, held as long
as one of its processes lives, shows whether the folder is in use.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "UPKEEP",
    "VARIABLE",
    "FolderError",
    "leave",
    "make",
    "own",
    "remove",
    "remove_left",
    "restore",
    "running",
    "runtime_folder",
]

# The path of this process's service folder; workers inherit it.
VARIABLE = "CONCURRENCY_SERVICE_FOLDER"

#: Seconds between two checks for files that a cleanup job has removed.
UPKEEP = 2.0

_LOCK = "lock"

# A folder has this name until it is locked, which takes a moment; an older one was left behind.
_NEW = ".new-"
_MOMENT = 60.0  # seconds

# The lock's descriptor and the process that took it. It stays open: workers inherit it.
_held: tuple[int, int] | None = None


class FolderError(PermissionError):
    """The path is not a private folder; the message is one line and names the remedy."""


def runtime_folder() -> Path:
    """Return the folder that contains the folders of this user's services.

    `CONCURRENCY_RUNTIME_FOLDER` in the environment replaces the system's folder for
    temporary files.

    Raises:
        FolderError: the path exists and is not a private folder of this user.
        OSError: the folder cannot be created, for example on a full disk.
    """
    base = Path(os.environ.get("CONCURRENCY_RUNTIME_FOLDER") or tempfile.gettempdir())
    if not base.is_dir():
        raise FolderError(
            f"{base} is no folder: make it, or set CONCURRENCY_RUNTIME_FOLDER to one that is there."
        )
    folder = base / f"concurrency-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise FolderError(
            f"{folder} is not a folder that only you can read: remove it, or set "
            f"CONCURRENCY_RUNTIME_FOLDER to a folder of your own."
        )
    return folder


def make() -> Path:
    """Create the folder of this arbiter's service, once.

    Called again, for example when gunicorn reloads its configuration, it returns the same.
    """
    global _held
    folder = own()
    if folder is not None and _held is not None and _held[1] == os.getpid():
        return folder
    base = runtime_folder()
    for left in [*_named(base), *_never_named(base)]:
        remove_left(left)
    # Renamed once it is locked, so that no other process takes it for a leftover.
    new = Path(tempfile.mkdtemp(prefix=_NEW, dir=base))
    descriptor = os.open(new / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    folder = new.rename(base / f"{os.getpid()}-{new.name.removeprefix(_NEW)}")
    _held = (descriptor, os.getpid())
    os.environ[VARIABLE] = str(folder)
    return folder


def restore() -> bool:
    """Create the folder again if a cleanup job has removed it; for the arbiter.

    Returns:
        Whether it was gone, with its contents.

    Raises:
        OSError: it cannot be created.
    """
    global _held
    folder = own()
    if folder is None or _held is None or _held[1] != os.getpid() or (folder / _LOCK).exists():
        return False
    runtime_folder()
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.close(_held[0])
    _held = (descriptor, os.getpid())
    return True


def own() -> Path | None:
    """Return the folder of the service that this process belongs to, if it has one."""
    value = os.environ.get(VARIABLE)
    return Path(value) if value else None


def running() -> Iterator[tuple[int, Path]]:
    """Yield the arbiter's pid and the folder of each running service of this user."""
    for path in _named(runtime_folder()):
        if not _is_free(path):
            yield int(path.name.partition("-")[0]), path


def remove() -> None:
    """Remove the folder when its arbiter ends."""
    folder = own()
    if folder is not None and _held is not None and _held[1] == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


def leave() -> None:
    """Release the folder; for a worker that ends.

    A killed arbiter cannot remove it, so its last worker does.
    """
    global _held
    folder = own()
    if folder is not None and _held is not None and _held[1] != os.getpid():
        os.close(_held[0])
        _held = None
        remove_left(folder)


def remove_left(folder: Path) -> None:
    """Remove the folder of a service without processes."""
    if _is_free(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _never_named(base: Path) -> list[Path]:
    """Return folders whose arbiter was killed before they had a name."""
    newest = time.time() - _MOMENT
    return [path for path in base.glob(f"{_NEW}*") if path.stat().st_mtime < newest]


def _named(base: Path) -> list[Path]:
    return sorted(path for path in base.iterdir() if path.name.partition("-")[0].isdecimal())


def _is_free(folder: Path) -> bool:
    """Whether no process holds its lock."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # Another process is removing it; or its arbiter was killed before there was a lock.
        return folder.name.startswith(_NEW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
