"""One PostgreSQL data folder: made, started, stopped, and looked at.

Owns the calls of `initdb`, `pg_ctl` and `postgres` and the server's settings. Must not know where
passwords and ports are kept, nor who else may be starting it: that is `deploy.localdb`.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

from deploy import processes
from deploy.binaries import Binaries, LocalDatabaseError, locate, own_folder, server_user

HOST = "127.0.0.1"
ROLE = DATABASE = "concurrency"
MAX_CONNECTIONS = 200
START_LIMIT = 60  # seconds; recovery after a crash is part of it
STOP_LIMIT = 30  # seconds

# A login costs both sides this many rounds of SHA-256 (default 4096, a third of a connection's
# price). The rounds protect passwords that people choose from being guessed; ours has 256 random
# bits, which nobody can guess at any speed. Ten new connections at once feel the difference.
SCRAM_ITERATIONS = 64

SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
# Only for data that nobody wants back: a crash of the machine destroys them.
UNSAFE_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

# Free ports are looked for below the range that Linux hands to outgoing connections, so that none
# of those takes our port while the server is down.
PORTS = range(15_000, 30_000)


@dataclass(frozen=True, slots=True)
class Running:
    """A server that runs: its process, its port, and whether it accepts connections."""

    pid: int
    port: int
    ready: bool


@dataclass(frozen=True, slots=True)
class Cluster:
    """A PostgreSQL data folder and its log, in a folder that belongs to the server's user."""

    folder: Path
    unsafe: bool = False
    max_connections: int = MAX_CONNECTIONS

    @property
    def data(self) -> Path:
        """The data folder, PGDATA."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """The server's log."""
        return self.folder / "log"

    @property
    def exists(self) -> bool:
        """Whether the data folder was made, completely."""
        return (self.data / "PG_VERSION").is_file()

    def create(self, password: str) -> None:
        """Make the data folder, with the role, its password and its database.

        It gets its name when it is complete, so that what an interruption leaves is never used.
        """
        own_folder(self.folder, server_user(), 0o700)
        binaries = locate()
        draft = self.folder / "data.new"
        shutil.rmtree(draft, ignore_errors=True)
        # The superuser gets no password: with SCRAM asked from everybody, nobody can log in as it.
        answer = binaries.run(
            "initdb", "--pgdata", draft, "--username=postgres", "--encoding=UTF8",
            "--locale=C", "--auth-local=peer", "--auth-host=scram-sha-256",
            "--no-instructions", *(["--no-sync"] if self.unsafe else []),
        )  # fmt: skip
        if answer.returncode != 0:
            raise LocalDatabaseError(f"initdb failed: {answer.stdout.strip()}")
        _execute(
            binaries,
            draft,
            f"CREATE ROLE {ROLE} LOGIN CREATEDB PASSWORD {_literal(password)}",
            f"CREATE DATABASE {DATABASE} OWNER {ROLE}",
        )
        draft.rename(self.data)

    def set_password(self, password: str) -> None:
        """Give the role another password; the server must not run."""
        _execute(self._binaries(), self.data, f"ALTER ROLE {ROLE} PASSWORD {_literal(password)}")

    def start(self, port: int) -> bool:
        """Start the server on a port; False when somebody else has that port.

        Raises:
            LocalDatabaseError: It does not start, for another reason; the log's end is in it.
        """
        self._forget_dead_server()
        until = time.monotonic() + START_LIMIT
        while True:
            self.log.unlink(missing_ok=True)
            answer = self._binaries().run(
                "pg_ctl", "start", "--pgdata", self.data, "--log", self.log, "--silent",
                "--wait", "--timeout", str(START_LIMIT), "--options", self._options(port),
            )  # fmt: skip
            if answer.returncode == 0:
                return True
            said = self._log_end() or answer.stdout.strip()
            if "could not bind" in said:
                return False
            # Backends whose server was killed need a moment to notice it.
            if "shared memory block" not in said or time.monotonic() > until:
                raise LocalDatabaseError(f"PostgreSQL did not start in {self.data}: {said}")
            time.sleep(0.1)

    def stop(self, *, orderly: bool = True) -> bool:
        """Stop the server, breaking off what its clients do; False when it did not run.

        Args:
            orderly: Write everything down first, so that the next start has nothing to recover.
        """
        running = self.running()
        if running is None:
            return False
        # A server that is stopped by a signal, as in a test, would not hear of it.
        for pid in (running.pid, *processes.children(running.pid)):
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGCONT)
        for mode in ("fast", "immediate") if orderly else ("immediate",):
            answer = self._binaries().run(
                "pg_ctl", "stop", "--pgdata", self.data, "--silent",
                "--wait", "--timeout", str(STOP_LIMIT), "--mode", mode,
            )  # fmt: skip
            if answer.returncode == 0 or self.running() is None:
                return True
        raise LocalDatabaseError(f"PostgreSQL in {self.data} does not stop: {answer.stdout}")

    def running(self) -> Running | None:
        """Return what runs in this data folder, judged by the process, not by its file alone."""
        try:
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            pid, port = int(lines[0]), int(lines[3])
        except (FileNotFoundError, IndexError, ValueError):
            return None
        if not _serves(pid, self.data):
            return None
        return Running(pid, port, ready=len(lines) > 7 and lines[7].strip() == "ready")

    def _binaries(self) -> Binaries:
        return locate(int((self.data / "PG_VERSION").read_text(encoding="utf-8")))

    def _options(self, port: int) -> str:
        settings = {**SETTINGS, **(UNSAFE_SETTINGS if self.unsafe else {})}
        settings |= {"port": str(port), "max_connections": str(self.max_connections)}
        return " ".join(f"-c {name}='{value}'" for name, value in settings.items())

    def _forget_dead_server(self) -> None:
        # After a reboot the number in the file may be that of any process of the same user, and
        # PostgreSQL would refuse to start. We know better: that process has another folder open.
        if self.running() is None:
            (self.data / "postmaster.pid").unlink(missing_ok=True)

    def _log_end(self) -> str:
        if not self.log.is_file():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:])


def is_free(port: int, host: str = HOST) -> bool:
    """Return whether a server could listen on that port now."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a port that is free now; somebody may still be faster."""
    while True:
        port = random.choice(PORTS)  # noqa: S311 - to be spread, not to be secret
        if is_free(port):
            return port


def _execute(binaries: Binaries, data: Path, *statements: str) -> None:
    """Run statements as the superuser without a server, so nobody needs its password."""
    answer = binaries.run(
        "postgres", "--single", "-D", data, "-c", "exit_on_error=on",
        "-c", f"scram_iterations={SCRAM_ITERATIONS}", "postgres",
        text="\n".join(statements) + "\n",
    )  # fmt: skip
    if answer.returncode != 0 or "FATAL" in answer.stdout:
        reason = "\n".join(line for line in answer.stdout.splitlines() if "PASSWORD" not in line)
        raise LocalDatabaseError(f"PostgreSQL refused to set up its role: {reason}")


def _literal(text: str) -> str:
    if not text.isprintable():
        raise LocalDatabaseError("LOCAL_DB_PASSWORD holds a character that cannot be printed.")
    return "'" + text.replace("'", "''") + "'"


def _serves(pid: int, data: Path) -> bool:
    """Whether the process lives and works in that data folder, as a PostgreSQL server does."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it lives, as another user
    try:
        return Path(f"/proc/{pid}/cwd").resolve(strict=True) == data.resolve()
    except PermissionError:
        return False
    except FileNotFoundError:
        return not Path("/proc/self").exists()  # no such file system: believe the file
