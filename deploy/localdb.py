"""A PostgreSQL of one's own for development and tests: `python -m deploy.localdb start`.

Owns which server belongs to which folder, its password, its port, and that two who start it at
once do not fight. Must not import Django, gevent or the project's packages: it is run unpatched.

Without `--data` it is the checkout's server: password and port are in `.env`, where the settings
find them. With `--data DIR` both are in `DIR/server.json`. The data are beside it, or for root,
whom PostgreSQL refuses, below /var/tmp and owned by an unprivileged user.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import itertools
import json
import secrets
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from deploy import envfile
from deploy.binaries import PREFIX, SHARED_FOLDER, LocalDatabaseError, server_user
from deploy.cluster import (
    DATABASE,
    HOST,
    MAX_CONNECTIONS,
    ROLE,
    Cluster,
    free_port,
    is_free,
)
from deploy.logical import make_databases

CHECKOUT_FOLDER = envfile.ROOT / ".local" / "postgres"
LOCK_LIMIT = 90  # seconds to wait for another process that starts or stops the same server
ATTEMPTS = 20  # ports to try
STOPPED = 3  # exit code of `status` and `url`, as service scripts have it


@dataclass(frozen=True, slots=True)
class Record:
    """What is remembered of a server between its runs."""

    password: str
    port: int
    temporary: bool = False


class LocalPostgres:
    """A PostgreSQL server in a folder: started, stopped, and its URL told.

    As a context manager it is started on entry, and stopped on exit if it did not run before.

    Args:
        home: The folder that it belongs to; made when missing.
        port: The port to listen on; 0 for the one it had, or any free one.
        password: The role's password; None for the one it had, or a new one.
        temporary: Fast instead of safe against a crash of the machine; `stop` deletes the data.
        max_connections: How many it allows.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int = 0,
        password: str | None = None,
        temporary: bool = False,
        max_connections: int = MAX_CONNECTIONS,
    ) -> None:
        self.home = home.absolute()
        self._port = port
        self._password = password
        self._temporary = temporary
        self._max_connections = max_connections
        self._started = False

    def __repr__(self) -> str:
        return f"<LocalPostgres {self.home} {'running' if self.running else 'stopped'}>"

    def __enter__(self) -> LocalPostgres:
        self._started = self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._started:
            self.stop()

    @property
    def running(self) -> bool:
        """Whether the server runs and accepts connections."""
        found = self._cluster().running()
        return found is not None and found.ready

    @property
    def record(self) -> Record:
        """The password and the port it has, or had when it last ran.

        Raises:
            LocalDatabaseError: It was never started.
        """
        record = self._read_record()
        if record is None:
            raise LocalDatabaseError(f"there is no database in {self.home} yet: start it first.")
        return record

    @property
    def url(self) -> str:
        """The address for DATABASE_URL, with the password in it."""
        record = self.record
        return f"postgres://{ROLE}:{quote(record.password, '')}@{HOST}:{record.port}/{DATABASE}"

    def start(self) -> bool:
        """Start the server; False when it ran already.

        Raises:
            LocalDatabaseError: It cannot be started; the message says why.
        """
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            old = self._read_record()
            password = self._password or (old.password if old else secrets.token_hex(32))
            cluster = self._cluster()
            same_password = old is not None and old.password == password
            running = cluster.running()
            if running is not None and running.ready and same_password:
                self._write_record(replace(self.record, port=running.port))
                return False
            if running is not None:  # half started by somebody who was killed, or another password
                cluster.stop()
            if not cluster.exists:
                cluster.create(password)
            elif not same_password:
                cluster.set_password(password)
            port = self._port or (old.port if old else 0)
            # Before the port is known, so that the password that was set is never lost.
            self._write_record(Record(password, port, cluster.unsafe))
            port = self._start_somewhere(cluster, port)
            self._write_record(Record(password, port, cluster.unsafe))
            return True

    def stop(self) -> bool:
        """Stop the server, and delete its data if it was temporary; False when it did not run."""
        return self._stop(delete=False)

    def delete(self) -> bool:
        """Stop the server and delete its data, for good; False when it did not run."""
        return self._stop(delete=True)

    def _stop(self, *, delete: bool) -> bool:
        if not self.home.is_dir():
            return False
        with self._locked():
            cluster = self._cluster()
            delete = delete or cluster.unsafe
            stopped = cluster.stop(orderly=not delete)
            if delete and cluster.folder.is_dir():
                shutil.rmtree(cluster.folder)
                self._record_file.unlink(missing_ok=True)
            return stopped

    def _start_somewhere(self, cluster: Cluster, wished: int) -> int:
        ports = [wished] if wished and is_free(wished) else []
        for port in itertools.chain(ports, (free_port() for _ in range(ATTEMPTS))):
            if cluster.start(port):
                return port
        raise LocalDatabaseError(f"none of {ATTEMPTS} ports of {HOST} could be had.")

    def _cluster(self) -> Cluster:
        if server_user().uid is None:
            folder = self.home / "server"
        else:
            digest = hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:16]
            folder = SHARED_FOLDER / f"{PREFIX}-{digest}"
        cluster = Cluster(folder, unsafe=self._temporary, max_connections=self._max_connections)
        if not cluster.exists:
            return cluster
        # What was made to be kept is never deleted because somebody says --temporary later.
        record = self._read_record()
        return replace(cluster, unsafe=record is not None and record.temporary)

    @property
    def _record_file(self) -> Path:
        return self.home / "server.json"

    def _read_record(self) -> Record | None:
        try:
            return Record(**json.loads(self._record_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError) as error:
            raise LocalDatabaseError(
                f"{self._record_file} cannot be read ({error}). Delete it; the data stay."
            ) from error

    def _write_record(self, record: Record) -> None:
        envfile.write_private(self._record_file, json.dumps(asdict(record)) + "\n")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.home / "lock").open("w") as file:
            until = time.monotonic() + LOCK_LIMIT
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        raise LocalDatabaseError(
                            f"another process has been starting or stopping the server in "
                            f"{self.home} for {LOCK_LIMIT} s."
                        ) from None
                    time.sleep(0.02)
            yield


class CheckoutPostgres(LocalPostgres):
    """The checkout's own server, whose password and port the settings read from `.env`."""

    def __init__(self, *, port: int = 0) -> None:
        known = envfile.value_of("LOCAL_DB_PORT") or "0"
        if not known.isdecimal() or int(known) > 65535:
            raise LocalDatabaseError(f"LOCAL_DB_PORT is {known!r}, not a port. Empty it in .env.")
        wished = port or int(known)
        password = envfile.value_of("LOCAL_DB_PASSWORD") or None
        super().__init__(CHECKOUT_FOLDER, port=wished, password=password)

    def start(self) -> bool:
        """Start the server and tell `.env` where it is; False when it ran already."""
        envfile.create()
        started = super().start()
        record = self.record
        facts = {"LOCAL_DB_PASSWORD": record.password, "LOCAL_DB_PORT": str(record.port)}
        if any(envfile.read().get(key) != value for key, value in facts.items()):
            envfile.write(facts)
        if envfile.value_of("LOCAL_DB_PORT") != str(record.port):  # the environment wins over .env
            raise LocalDatabaseError(
                f"the server listens on port {record.port}, but LOCAL_DB_PORT in the environment "
                "says another. Unset it: the port is in .env."
            )
        make_databases(self.url)
        return started


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; standard output has the URL or the state and nothing else."""
    parser = argparse.ArgumentParser(prog="python -m deploy.localdb", description=__doc__)
    parser.add_argument("verb", choices=("start", "stop", "status", "url", "delete"))
    parser.add_argument("--data", type=Path, help="folder of the server (default: the checkout's)")
    parser.add_argument("--port", type=int, default=0, help="0, the default: as before, or free")
    parser.add_argument("--temporary", action="store_true", help="fast; data deleted by stop")
    options = parser.parse_args(arguments)
    if not 0 <= options.port <= 65535:
        parser.error(f"argument --port: {options.port} is not a port")
    try:
        if options.data is None:
            server: LocalPostgres = CheckoutPostgres(port=options.port)
        else:
            server = LocalPostgres(options.data, port=options.port, temporary=options.temporary)
        return _run(options.verb, server)
    except LocalDatabaseError as error:
        sys.stderr.write(f"localdb: {error}\n")
        return 1


def _run(verb: str, server: LocalPostgres) -> int:
    if verb == "start":
        state = "started" if server.start() else "was running already"
        sys.stderr.write(f"PostgreSQL {state} on {HOST}:{server.record.port}\n")
        sys.stdout.write(f"{server.url}\n")
        return 0
    if verb in ("stop", "delete"):
        ran = server.stop() if verb == "stop" else server.delete()
        sys.stderr.write("PostgreSQL stopped\n" if ran else "PostgreSQL did not run\n")
        return 0
    if not server.running:
        (sys.stdout if verb == "status" else sys.stderr).write("stopped\n")
        return STOPPED
    sys.stdout.write(
        f"{server.url}\n" if verb == "url" else f"running on {HOST}:{server.record.port}\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
