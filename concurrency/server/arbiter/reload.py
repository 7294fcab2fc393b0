"""Restarts gunicorn when a file changes: `python -m concurrency.server.arbiter.reload ...`.

The parent of a gunicorn, for development. It is unpatched and does not load the
application, so an error in the code does not end it: it waits for the next change.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType

from watchfiles import Change, watch

from concurrency.server.arbiter import survey
from concurrency.server.option_sources import resolve
from concurrency.server.options import ServeOptions

__all__ = ["main"]

_WATCHED = (".py", ".html", ".env")
_IGNORED = frozenset({"__pycache__", "node_modules", "site-packages"})
_END = 5.0  # seconds until a server that does not exit is killed


def is_watched(change: Change, path: str) -> bool:
    """Whether a change of this file restarts the server."""
    parts = Path(path).parts
    return path.endswith(_WATCHED) and not any(
        part in _IGNORED or (part.startswith(".") and part != ".env") for part in parts[1:]
    )


class _Server:
    """The current gunicorn."""

    def __init__(self, arguments: list[str]) -> None:
        self._command = [sys.executable, "-m", "gunicorn", *arguments]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)  # noqa: S603 - what we were called with

    def stop(self) -> None:
        # In development a restart does not wait for requests to end.
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _run(command: list[str]) -> None:
    subprocess.run([sys.executable, "-m", "concurrency", *command], check=False)  # noqa: S603


def main() -> None:
    """Serve, and restart at each change, until a signal comes."""
    options: ServeOptions = resolve()
    ended = threading.Event()

    def end(number: int, frame: FrameType | None) -> None:
        ended.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    static = [Path(folder).resolve() for folder in options.static_watch]
    server = _Server(sys.argv[1:])
    survey.take()  # the start screen is for the first start
    try:
        for changes in watch(Path.cwd(), *static, watch_filter=None, stop_event=ended):
            paths = {path for change, path in changes if is_watched(change, path)}
            collect = any(
                Path(path).is_relative_to(folder) for _, path in changes for folder in static
            )
            if collect:
                _run(["collectstatic", "--no-input", "--clear", "--verbosity", "0"])
            if paths:
                sys.stderr.write(f"{min(paths)} has changed, the server restarts.\n")
                server.stop()
                server.start()
    finally:
        server.stop()


if __name__ == "__main__":
    main()
