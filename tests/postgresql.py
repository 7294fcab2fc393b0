"""A PostgreSQL of one's own, for tests that stop it, restart it or freeze it."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import psutil
import psycopg2

from deploy import cluster
from deploy.localdb import LocalPostgres

ROOT = Path(__file__).resolve().parents[1]


class OwnPostgres:
    """A server in a temporary folder, on a free port that it keeps."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="postgresql-tests-")
        self._frozen: list[psutil.Process] = []
        #: Where it is, with the password.
        self.url = ""

    def __enter__(self) -> OwnPostgres:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.thaw()
        self._localdb("delete")
        self._folder.cleanup()

    def start(self) -> None:
        """Start it, on the port that it had before if it had one."""
        # Not a temporary one, which would lose its data with its first stop.
        self.url = self._localdb("start")

    def stop(self) -> None:
        """Stop it, whatever its clients do; the data stays."""
        self._localdb("stop")

    def make_roles(self, *names: str) -> None:
        """Make roles without a login, which the role of the tests may take; starts it anew."""
        self.stop()
        made = [f"CREATE ROLE {name}" for name in names]
        granted = f"GRANT {', '.join(names)} TO {cluster.ROLE}"
        found = LocalPostgres(Path(self._folder.name))._cluster()
        cluster._execute(cluster.locate(), found.data, *made, granted)
        self.start()

    def _localdb(self, verb: str) -> str:
        # In a process of its own, where psycopg 3 can be imported.
        command = [sys.executable, "-m", "deploy.localdb", verb, "--data", self._folder.name]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"the PostgreSQL of a test does not {verb}: {done.stderr}"
        return done.stdout.strip()

    def freeze(self) -> None:
        """Let none of its processes do anything, as a machine that is out of memory would."""
        session = psycopg2.connect(self.url)
        server = psutil.Process(session.info.backend_pid).parent()
        session.close()
        assert server is not None, "it does not run"
        server.suspend()  # first, so that no others begin
        self._frozen = [server, *server.children()]
        for process in self._frozen:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
                while process.status() not in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE):
                    time.sleep(0.001)

    def thaw(self) -> None:
        """Let them go on."""
        for process in self._frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()
        self._frozen = []
