"""Processes of a measurement, each on the core that it is given, and stopped at the end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from bench.server import ROOT, ServerError

__all__ = ["Cores", "on", "process", "wait_for"]

_START_LIMIT = 60.0  # seconds until a server has to answer
_STOP_LIMIT = 15.0  # seconds, then it is killed


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores are the server's, and which those of the database and the clients.

    With one core, all share it.
    """

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_process(cls) -> Cores:
        """Return the first core for the server, and all others for the others."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(frozenset(allowed[:1]), frozenset(allowed[1:] or allowed))


@contextmanager
def on(cores: frozenset[int]) -> Iterator[None]:
    """Run the block, and all that it starts, on some cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def process(
    arguments: Sequence[str], environment: Mapping[str, str], cores: frozenset[int]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments for the length of the block.

    Raises:
        ServerError: the block failed since the process had ended; the text has the end of its log.
    """
    with tempfile.TemporaryFile() as log:
        with on(cores):
            running = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
                [sys.executable, *arguments],
                cwd=ROOT,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C comes to us alone
            )
        try:
            yield running
        except (OSError, HTTPException) as error:
            size = os.fstat(log.fileno()).st_size
            said = os.pread(log.fileno(), 2000, max(0, size - 2000)).decode(errors="replace")
            raise ServerError(f"{error or type(error).__name__}\n{said}".strip()) from error
        finally:
            _stop(running)


def _stop(running: subprocess.Popen[bytes]) -> None:
    running.terminate()
    try:
        running.wait(_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        pass
    finally:
        # Workers that have outlived their parent.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def wait_for(running: subprocess.Popen[bytes], port: int, path: str, body: str) -> None:
    """Return when a server gives the right answer.

    Raises:
        OSError: it has ended, or gives no answer, or a wrong one.
    """
    end = time.monotonic() + _START_LIMIT
    while running.poll() is None and time.monotonic() < end:
        with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                text = answer.read().decode()
            except ConnectionRefusedError:
                time.sleep(0.05)
                continue
        if (answer.status, text) != (200, body):
            raise OSError(f"{path} gave {answer.status}: {text[:500]}")
        return
    raise OSError(f"no answer on port {port}; exit code {running.poll()}")
