"""All services on this machine, from nothing to their URLs: `make run`.

Owns the order of things (`.env`, PostgreSQL, migrations, the Procfile), and that all of it ends
together: by Ctrl-C, by SIGTERM, by a terminal that is closed, or because a service died. Must not
import Django or the settings: both live in processes that it starts, of which each reads `.env`.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from types import FrameType

from deploy import envfile, services
from deploy.binaries import LocalDatabaseError
from deploy.cluster import is_free
from deploy.localdb import CheckoutPostgres
from deploy.services import Service

START_LIMIT = 60  # seconds until all services answer
STOP_LIMIT = 15  # seconds; honcho kills what does not end in five
POLL = 0.05  # seconds
TELL = 5.0  # seconds without a word
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
    """Bring everything up that the services need."""
    if envfile.create():
        _say("Made .env from .env.template, with a SECRET_KEY of its own.")
    _refuse_taken_ports()
    if not envfile.value_of("DATABASE_URL") and _has_local_database():
        server = CheckoutPostgres()
        with _telling("Starting PostgreSQL; the first time its data are made"):
            started = server.start()
        if started:
            stack.callback(server.stop)
        _say(f"PostgreSQL listens on 127.0.0.1:{server.record.port}.")
    for what, *command in (
        ("Migrating the databases", "migrate", "--no-input", "--verbosity", "0"),
        ("Making the account of the demonstration", "seed_account"),
    ):
        if ending:
            return
        with _telling(what), _process("manage.py", *command) as process:
            while process.poll() is None and not ending:
                time.sleep(POLL)
        if process.returncode and not ending:
            raise Failure("The databases could not be prepared; the reason is above.")


def _serve(ending: Ending, stack: contextlib.ExitStack) -> None:
    """Run the services until one ends or all are asked to."""
    mark = secrets.token_hex(8)
    # Those that honcho has started live on when it is killed.
    stack.callback(services.end_those_with, mark)
    honcho = stack.enter_context(_process("-m", "deploy.procfile", mark=mark))
    until = time.monotonic() + START_LIMIT
    silent = _services()
    while silent and not ending and honcho.poll() is None:
        silent = [service for service in silent if not _answers(service, mark)]
        if time.monotonic() > until:
            raise Failure(f"{silent[0].name} does not answer after {START_LIMIT} s.")
        time.sleep(POLL)
    if not ending and honcho.poll() is None:
        _greet()
    while not ending and honcho.poll() is None:
        time.sleep(POLL)
    if not ending:
        raise Failure("A service ended by itself; the reason is above.")


@contextlib.contextmanager
def _process(*arguments: str, mark: str = "") -> Iterator[subprocess.Popen[bytes]]:
    """Run Python with these arguments; on leaving, the process is ended if it still runs.

    In a session of its own, so that signals of the terminal come to us alone and all ends in order.
    """
    # The Procfile says `python`, which is to be this one.
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{os.environ.get('PATH', os.defpath)}"  # noqa: PTH120
    addresses: dict[str, str] = {}
    for service in _services():
        addresses |= service.environment
    process = subprocess.Popen(  # noqa: S603 - fixed arguments, no shell
        [sys.executable, *arguments],
        cwd=envfile.ROOT,
        env={**addresses, **os.environ, "PATH": path, services.MARK: mark},
        start_new_session=True,
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
    # What is left of its session, if it does not end.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _refuse_taken_ports() -> None:
    for service in _services():
        if not is_free(service.port, service.host):
            first = _address()[1]
            raise Failure(
                f"Port {service.port} on {service.host}, of the service {service.name}, is in "
                f"use. Stop the program that uses it, or take others: PORT={first + 100} make run"
            )


def _environment() -> str:
    return envfile.value_of("ENVIRONMENT")


def _has_local_database() -> bool:
    """Return whether the settings take the local one; if there are none, the migration says so."""
    name = _environment()
    try:
        found = find_spec(name)
    except (ImportError, ValueError):  # no package of that name, or no name at all
        return False
    return found is not None and name not in WITHOUT_LOCAL_DATABASE


def _address() -> tuple[str, int]:
    everywhere = "0.0.0.0" if _environment() == "settings.production" else "127.0.0.1"  # noqa: S104
    port = envfile.value_of("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise Failure(f"PORT is {port!r}, not a number from 1 to 65535.")
    return envfile.value_of("BIND_HOST") or everywhere, int(port)


def _services() -> list[Service]:
    return services.read(*_address())


def _answers(service: Service, mark: str) -> bool:
    """Whether a service answers HTTP there, with whatever status; the request is not logged."""
    connection = http.client.HTTPConnection(service.reachable, service.port, timeout=5)
    try:
        # For the icon no service asks another.
        connection.request("GET", "/favicon.ico", headers={"X-Request-ID": mark})
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def _greet() -> None:
    base = {service.name: service.url for service in _services()}
    user = envfile.value_of("DEMO_USER") or "user"
    password = envfile.value_of("DEMO_PASSWORD") or "password"
    known = "user:password" if (user, password) == ("user", "password") else "$DEMO_USER"
    first = base[services.FIRST]
    table = [
        (f"{first}/?person=sherlock&lang=es", "one person, three calls to two services"),
        (f"{first}/everyone/?lang=fr", "all persons at the same time"),
        (f"{first}/ten-slow-requests/", f"ten slow requests in the time of one ({known})"),
        (f"{first}/ten-slow-queries/", "ten slow SQL statements, the same"),
        (f"{base.get('tweets', '')}/tweet/", "tweets, in a browser or as JSON"),
        (f"{base.get('tweets', '')}/tweet/timeline/?people=sherlock,watson", "theirs, in parallel"),
        (f"{base.get('tweets', '')}/docs/", "what the API of tweets takes and answers"),
        (f"{base.get('admin', '')}/admin/", f"the data of all services ({known})"),
        (f"{base.get('user', '')}/person/sherlock/", "what the frontend asks for a name"),
        (f"{base.get('welcome', '')}/greet/tod/18:03:09/", "and for a greeting"),
    ]
    shown = "\n".join(url for url, _ in table)
    table += [(f"{url}/", f"the service {name}") for name, url in base.items() if url not in shown]
    width = max(len(url) for url, _ in table)
    _say(
        "",
        *(f"  {url:{width}}  {what}" for url, what in table if url.startswith("http")),
        "",
        f"  curl -u {known} '{first}/ten-slow-requests/'",
        "",
        "Ctrl-C ends it.",
    )


@contextlib.contextmanager
def _telling(what: str) -> Iterator[None]:
    """Say what is being done, and every few seconds that it still is."""
    _say(f"{what} ...")
    over = threading.Event()
    begun = time.monotonic()

    def tell() -> None:
        while not over.wait(TELL):
            _say(f"  {time.monotonic() - begun:.0f} s")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


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
