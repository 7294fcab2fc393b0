"""What a run makes on this machine goes with it, however it ends: `guard.start("tests-")`.

For test runs and benchmarks. All their temporary files go below one folder, which TMPDIR names,
and everything that they start inherits that. A process of its own waits until the run has ended,
also by SIGKILL. Then it stops the run's PostgreSQL servers, ends every other process that has
that TMPDIR, and removes the folder. Must not import Django, gevent or the project's packages.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path

from deploy import processes
from deploy.binaries import LocalDatabaseError
from deploy.localdb import LocalPostgres

__all__ = ["start"]

_ROOT = Path(__file__).resolve().parent.parent
_IGNORED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

# The guard waits for the end of this pipe, which stays open as long as this process lives.
_kept: list[int] = []


def start(prefix: str) -> Path:
    """Begin to guard this process, and return the folder of its temporary files.

    Args:
        prefix: how the folder's name begins.
    """
    folder = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    folder.chmod(0o711)  # servers that refuse to run as root have folders of their own in it
    theirs, ours = os.pipe()
    _kept.append(ours)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-m", "deploy.guard", str(folder)],
        {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(_ROOT)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, theirs, 0),
            # Whoever reads what the run prints must not wait for the guard.
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
        setpgroup=0,  # signals of the terminal go to the run alone
    )
    os.close(theirs)
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    return folder


def main() -> None:
    """Wait for the end of the run, then clear up after it."""
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    clear_up(Path(sys.argv[1]))


def clear_up(folder: Path) -> None:
    """Stop and remove what belongs to a run that has ended."""
    # First, and by their own program: a server whose processes are killed one by one may leave
    # some of them, and the data are elsewhere when root has started it.
    _delete_servers(folder, "server.json")
    processes.end_those_with("TMPDIR", str(folder))
    _delete_servers(folder, "lock")  # those that were killed while they were made
    shutil.rmtree(folder, ignore_errors=True)


def _delete_servers(folder: Path, file: str) -> None:
    for path in list(folder.rglob(file)):
        with contextlib.suppress(LocalDatabaseError, OSError):
            LocalPostgres(path.parent).delete()


if __name__ == "__main__":
    main()
