"""Open files: their limit, files without a name, and allocation of disk space."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, as far as the system permits."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS reports an infinite hard limit, but refuses it as the soft one.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def nameless(name: str, size: int) -> int:
    """Return the descriptor of a new file that is safe from full disks and cleanup jobs.

    On Linux it is in memory; elsewhere it is a temporary file without a name.

    Args:
        name: shown in ``/proc``.
        size: bytes, all of them allocated and zero.

    Raises:
        OSError: there is no memory for it, or no descriptor.
    """
    if sys.platform == "linux":
        descriptor = os.memfd_create(name)
    else:
        descriptor, path = tempfile.mkstemp(prefix=name)
        os.unlink(path)  # noqa: PTH108 - imported first, by everything
    try:
        os.write(descriptor, bytes(size))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def allocate(descriptor: int, size: int) -> None:
    """Allocate this many bytes on the disk for a file.

    A sparse file has a size but no blocks on the disk. Writing to it through a mapping
    while the disk is full kills the process (SIGBUS); this function raises instead.

    Raises:
        OSError: the disk is full, or the file would be larger than a limit.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    missing = size - os.fstat(descriptor).st_size
    if missing > 0:
        os.pwrite(descriptor, bytes(missing), size - missing)
