"""The arbiter's side of the ops process: its port, its start, its end, its successor.

A socket pair connects the two. The arbiter keeps one end: when it closes, in whatever way
the arbiter ends, the ops process ends. When the other end closes, the ops process has died
and the arbiter starts another one. The listening socket stays with the arbiter, so no client
is refused in the meantime. Needs a patched process, in which its waits block nothing else.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from concurrency.hub.background import start
from concurrency.observe import metrics
from concurrency.server.options import ServeOptions

__all__ = ["Keeper"]

# A new arbiter, started by SIGUSR2 beside the old one, takes its port over.
INHERITED = "CONCURRENCY_OPS_DESCRIPTOR"

# The ops process of an arbiter that was killed needs a moment to end.
# gunicorn tries as long for its own port.
_BIND_TRIES, _BIND_PAUSE = 50, 0.1  # times, seconds
_LEAST_LIFE = 1.0  # seconds; a process that dies sooner is restarted after a pause
_AGAIN = 1.0  # seconds until the next attempt after a failed start


class Child:
    """One ops process, and the arbiter's end of the socket pair."""

    def __init__(self, listener: socket.socket, plan: dict[str, Any]) -> None:
        self.channel, theirs = socket.socketpair()
        self.born = time.monotonic()
        # It runs what the applications import, without greenlets of its own.
        environ = {**os.environ, "CONCURRENCY_PATCH": "0"}
        environ.pop(metrics.FOLDER, None)  # it reads the files of others, and writes none
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
                [
                    sys.executable,
                    "-m",
                    "concurrency.server.ops.process",
                    str(theirs.fileno()),
                    str(listener.fileno()),
                ],
                pass_fds=[theirs.fileno(), listener.fileno(), plan["board"]],
                env=environ,
            )
        with contextlib.suppress(BrokenPipeError):  # already dead, which is detected elsewhere
            self.channel.sendall(json.dumps(plan).encode() + b"\n")

    def __repr__(self) -> str:
        return f"<ops process {self.process.pid}>"


class Keeper:
    """Keeps one ops process running.

    Args:
        options: the service's options.
        address: host and port of the ops port.
        board: descriptor of its board.
        server: gunicorn's arbiter.

    Raises:
        OSError: the port cannot be taken.
    """

    def __init__(
        self, options: ServeOptions, address: tuple[str, int], board: int, server: Any
    ) -> None:
        self._log = server.log
        self._plan: dict[str, Any] = {
            "board": board,
            "announce": True,
            "successor": False,
            "application": getattr(server.app, "app_uri", None),
        }
        self._set(options)
        self._address = address
        self._listener = _inherited() or _listen(address)
        self._child: Child | None = None
        self._ended = False
        self._starting = threading.Lock()

    def __repr__(self) -> str:
        return f"<Keeper of {self._child} at {self._address}>"

    def start(self) -> None:
        """Start the ops process, and keep one running from now on."""
        start(self._keep, self._spawn())

    def replace(self, options: ServeOptions) -> None:
        """Start one with new code and options; the old one serves until the new one is ready."""
        self._set(options)
        self._plan["announce"] = False
        start(self._keep, Child(self._listener, {**self._plan, "successor": True}))

    def stop(self) -> None:
        """End the ops process; called when the arbiter ends."""
        self._ended = True
        self._listener.close()
        if self._child is not None:
            # It may still have to report something, such as why the start failed.
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self._child.channel.shutdown(socket.SHUT_WR)
                self._child.process.wait(timeout=15)

    def forget(self) -> None:
        """Close what a worker inherits: it must hold neither the port nor the socket pair."""
        self._ended = True
        self._listener.close()
        if self._child is not None:
            self._child.channel.close()

    def pass_on(self, environ: dict[str, str]) -> None:
        """Pass the port on to the arbiter that is about to be executed in this process."""
        self._listener.set_inheritable(True)
        environ[INHERITED] = str(self._listener.fileno())

    def _set(self, options: ServeOptions) -> None:
        folder = None if options.no_metrics else os.environ.get(metrics.FOLDER)
        self._plan |= {"options": asdict(options), "metrics": folder}

    def settle(self) -> None:
        """Wait until no ops process is about to start; before a worker is forked.

        A worker would inherit the pipe whose end signals that the ops process has started.
        """
        with self._starting:
            pass

    def _spawn(self) -> Child:
        with self._starting:
            self._child = Child(self._listener, self._plan)
        self._plan["announce"] = False  # a successor must not report the start again
        return self._child

    def _keep(self, child: Child) -> None:
        """Wait until it is ready, then until it is dead, then start another."""
        own = os.getpid()
        while not self._ended and os.getpid() == own:
            try:
                said = child.channel.recv(1)
            except OSError:
                return  # stopped, or forgotten in a worker
            if said:
                self._take_over(child)
                continue
            child.channel.close()
            child.process.wait()
            if self._ended or child is not self._child:
                return
            self._log.error("%r has ended, another is started", child)
            time.sleep(max(0.0, _LEAST_LIFE - (time.monotonic() - child.born)))
            child = self._spawn_at_last(child)

    def _spawn_at_last(self, child: Child) -> Child:
        """Retry the start until it works; return the old one at the end of the service."""
        while not self._ended:
            try:
                return self._spawn()
            except OSError as error:  # there is no free descriptor, process or memory
                self._log.error("the ops process cannot be started, it is tried again: %s", error)
            time.sleep(_AGAIN)
        return child

    def _take_over(self, child: Child) -> None:
        before, self._child = self._child, child
        if before is not None and before is not child:
            with contextlib.suppress(OSError):  # it has died meanwhile
                before.channel.shutdown(socket.SHUT_WR)


def _inherited() -> socket.socket | None:
    descriptor = os.environ.pop(INHERITED, None)
    if descriptor is None:
        return None
    try:
        return socket.socket(fileno=int(descriptor))
    except OSError:
        return None  # not this process's: the variable comes from an earlier arbiter


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    for left in reversed(range(_BIND_TRIES)):
        try:
            return socket.create_server(address, family=family, backlog=128)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not left:
                raise
        time.sleep(_BIND_PAUSE)
    raise AssertionError("the last try returns or raises")
