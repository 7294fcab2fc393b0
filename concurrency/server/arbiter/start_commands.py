"""Runs the steps before the port opens: migrations and management commands, in order.

Each runs in a process of its own, so the arbiter does not load the application.
"""

from __future__ import annotations

import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from concurrency.server.options import ServeOptions

__all__ = ["StepError", "planned", "run"]


class StepError(Exception):
    """A step failed, or a signal came; the service does not start.

    Attributes:
        step: the management command.
        code: the exit code of the service.
    """

    def __init__(self, step: str, code: int) -> None:
        self.step = step
        self.code = code
        super().__init__(step, code)

    def __str__(self) -> str:
        return f"`{self.step}` ended with exit code {self.code}, so the service does not start"


def planned(options: ServeOptions) -> list[str]:
    """Return the management commands to run, in order."""
    limit = f"--timeout={options.migrations_timeout:g}"
    found = [f"migrations --apply {limit}"] if options.apply_migrations else []
    found += options.command
    # Last, because one of the commands may apply the migrations.
    return found + ([f"migrations --wait {limit}"] if options.wait_for_migrations else [])


def run(options: ServeOptions, say: Callable[[str], None]) -> None:
    """Run all steps; stop at the first failure.

    SIGTERM and SIGINT end the running step, by the same signal; the second one kills it.

    Raises:
        StepError: with the exit code of the step, or 128 and the signal's number.
    """
    for step in planned(options):
        say(f"runs {step}")
        _step(step)


def _step(step: str) -> None:
    came: list[int] = []
    command = [sys.executable, "-m", "concurrency", *shlex.split(step)]
    with subprocess.Popen(command) as process:  # noqa: S603 - the operator's own command

        def end(number: int, frame: FrameType | None) -> None:
            process.send_signal(signal.SIGKILL if came else number)
            came.append(number)

        with _handling(end):
            code = process.wait()
    if came:
        raise StepError(step, 128 + came[0])
    if code:
        raise StepError(step, code if code > 0 else 128 - code)


@contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
