"""The site on this machine, from nothing to a URL: `make run`.

Owns the order of things (`.env`, PostgreSQL, migrations, gunicorn), and that all of it ends
together: by Ctrl-C, by SIGTERM, by a terminal that is closed, or because gunicorn died. Must not
import Django or the settings: both live in processes that it starts, of which each reads `.env`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from types import FrameType

from deploy import envfile
from deploy.binaries import LocalDatabaseError
from deploy.cluster import is_free
from deploy.localdb import CheckoutPostgres

START_LIMIT = 60  # seconds until gunicorn answers
STOP_LIMIT = 35  # seconds: gunicorn's graceful_timeout and a little
POLL = 0.05  # seconds
# Where the settings refuse an empty DATABASE_URL, no server is started in its place.
WITHOUT_LOCAL_DATABASE = ("settings.production", "settings.test")


class Failure(Exception):
    """The site cannot run; the message is for who typed `make run`."""


class Ending:
    """Remembers the first signal that asks for the end; nothing is broken off half-way by it."""

    def __init__(self) -> None:
        self.signal: int | None = None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._asked)

    def __bool__(self) -> bool:
        return self.signal is not None

    def _asked(self, number: int, _frame: FrameType | None) -> None:
        self.signal = self.signal or number


def main() -> int:
    """Run the site until a signal ends it.

    Returns:
        0 when it was asked to end, 1 when something failed.
    """
    ending = Ending()
    try:
        with contextlib.ExitStack() as stack:
            _prepare(ending, stack)
            if not ending:
                _serve(ending, stack)
    except (Failure, LocalDatabaseError) as error:
        with contextlib.suppress(OSError):  # the terminal may be gone
            sys.stderr.write(f"{error}\n")
        return 1
    return 0


def _prepare(ending: Ending, stack: contextlib.ExitStack) -> None:
    """Bring everything up that gunicorn needs."""
    if envfile.create():
        _say("Made .env from .env.template, with a SECRET_KEY of its own.")
    _refuse_taken_port()
    if not envfile.value_of("DATABASE_URL") and _environment() not in WITHOUT_LOCAL_DATABASE:
        server = CheckoutPostgres()
        if server.start():
            stack.callback(server.stop)
        _say(f"PostgreSQL listens on 127.0.0.1:{server.record.port}.")
    if ending:
        return
    with _process("manage.py", "migrate", "--no-input", "--verbosity", "0") as migrate:
        while migrate.poll() is None and not ending:
            time.sleep(POLL)
    if migrate.returncode and not ending:
        raise Failure("The database could not be migrated; the reason is above.")


def _serve(ending: Ending, stack: contextlib.ExitStack) -> None:
    """Run gunicorn until it ends or is asked to."""
    gunicorn = stack.enter_context(_process("-m", "gunicorn", "-c", "gunicorn.conf.py"))
    until = time.monotonic() + START_LIMIT
    while not ending and gunicorn.poll() is None and not _answers():
        if time.monotonic() > until:
            raise Failure(f"gunicorn does not answer after {START_LIMIT} s.")
        time.sleep(POLL)
    if not ending and gunicorn.poll() is None:
        _greet()
    while not ending and gunicorn.poll() is None:
        time.sleep(POLL)
    if not ending:
        raise Failure(f"gunicorn ended by itself, with exit code {gunicorn.returncode}.")
    # Whoever presses Ctrl-C wants it to end now; SIGTERM lets running requests finish.
    gunicorn.send_signal(signal.SIGINT if ending.signal == signal.SIGINT else signal.SIGTERM)


@contextlib.contextmanager
def _process(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments; on leaving, the process is ended if it still runs.

    In a session of its own, so that signals of the terminal come to us alone and all ends in order.
    """
    process = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
        [sys.executable, *arguments], cwd=envfile.ROOT, start_new_session=True
    )
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(STOP_LIMIT)
    # What is left of its session: workers whose gunicorn was killed, or all if it does not end.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _refuse_taken_port() -> None:
    host, port = _address()
    if not is_free(port, host):
        raise Failure(
            f"Port {port} on {host} is in use. Stop the program that uses it, or take another: "
            f"PORT={port + 1} make run"
        )


def _environment() -> str:
    return envfile.value_of("ENVIRONMENT")


def _address() -> tuple[str, int]:
    everywhere = "0.0.0.0" if _environment() == "settings.production" else "127.0.0.1"  # noqa: S104
    port = envfile.value_of("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Failure(f"PORT is {port!r}, not a number from 1 to 65535.")
    return envfile.value_of("BIND_HOST") or everywhere, int(port)


def _answers() -> bool:
    """Whether somebody speaks HTTP there; what is said does not matter."""
    host, port = _reachable()
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _reachable() -> tuple[str, int]:
    host, port = _address()
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


def _greet() -> None:
    host, port = _reachable()
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    user = envfile.value_of("DEMO_USER") or "user"
    password = envfile.value_of("DEMO_PASSWORD") or "password"
    known = "user:password" if (user, password) == ("user", "password") else "$DEMO_USER"
    _say(
        "",
        f"  {base}/",
        f"  {base}/ten-slow-requests/",
        f"  {base}/ten-slow-queries/",
        "",
        f"  curl -u {known} '{base}/ten-slow-requests/'",
        "",
        "Ctrl-C ends it.",
    )


def _say(*lines: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()


def _check_arguments(arguments: Sequence[str]) -> None:
    if arguments:
        sys.exit("python -m deploy.run takes no arguments; PORT and the rest are in .env.")


if __name__ == "__main__":
    _check_arguments(sys.argv[1:])
    sys.exit(main())
