"""Open files: the process's limit of them, files without a name, and room on a disk."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile


def raise_limit() -> None:
    """Raise the soft limit of open files to the hard one, as far as the system lets it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        # macOS calls the hard one infinite and refuses it for the soft one.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def nameless(name: str, size: int) -> int:
    """Return the descriptor of a new file that no full disk and no cleaner of folders can harm.

    Where there is none in memory (Linux has it) it is a temporary one, without a name.

    Args:
        name: for people who look at ``/proc``.
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
    """Have the disk keep this many bytes for a file.

    A file that only has a size has no place on a disk yet. To write to it through a
    mapping when the disk is full kills the process (SIGBUS); this raises.

    Raises:
        OSError: the disk is full, or the file would be larger than a limit.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    missing = size - os.fstat(descriptor).st_size
    if missing > 0:
        os.pwrite(descriptor, bytes(missing), size - missing)
