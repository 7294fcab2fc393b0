"""A MariaDB of Debian's package, on a free port of loopback, in a temporary folder.

It needs no rights and no configuration of the machine, and leaves nothing behind.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import pymysql

_LIMIT = 30.0  # seconds for a start or a stop, on a machine that is busy

_INSTALL = ["--skip-test-db", "--innodb-use-native-aio=0"]

_OPTIONS = [
    "--bind-address=127.0.0.1",
    "--innodb-buffer-pool-size=32M",
    "--innodb-use-native-aio=0",  # of which a machine has few, and parallel runs would share them
    "--innodb-flush-log-at-trx-commit=0",
    "--max-connections=200",
    "--skip-name-resolve",
]


class MariaDB:
    """A server, with an ordinary user who may use two databases.

    Args:
        files: options that name files, which the server may not be able to reach where
            they are.

    Attributes:
        host: where it listens.
        port: its port.
        user: the ordinary user.
        password: the user's password.
        databases: the names of the databases.
    """

    host = "127.0.0.1"
    user = "app"
    password = "nothing secret"  # noqa: S105 - of a server that is thrown away
    databases = ("main", "other")

    def __init__(self, files: Mapping[str, Path] | None = None) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="mariadb-tests-"))
        self._as = []
        if os.geteuid() == 0:  # which it refuses to be
            account = pwd.getpwnam("mysql")
            os.chown(self._home, account.pw_uid, account.pw_gid)
            self._as = ["--user=mysql"]
        self._files = []
        for option, path in (files or {}).items():
            copy = Path(shutil.copy(path, self._home))
            copy.chmod(0o644)
            self._files.append(f"{option}={copy}")
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address of its first database."""
        password = quote(self.password)
        return f"mysql://{self.user}:{password}@{self.host}:{self.port}/{self.databases[0]}"

    def __enter__(self) -> MariaDB:
        data = f"--datadir={self._home / 'data'}"
        # In a common one, servers that start at the same time delete each other's files.
        temporary = f"--tmpdir={self._home}"
        method = "--auth-root-authentication-method=normal"
        command = ["mariadb-install-db", "--no-defaults", *self._as, data, temporary, method]
        try:
            _install([*command, *_INSTALL])
            self.start()
            self._create()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._process is not None:
            self.stop()
        shutil.rmtree(self._home)

    def start(self) -> None:
        """Start it, on the port that it had before if it had one."""
        with socket.create_server((self.host, self.port)) as free:
            self.port = free.getsockname()[1]
        log = self._home / "log"
        options = [
            f"--datadir={self._home / 'data'}",
            f"--tmpdir={self._home}",
            f"--socket={self._home / 'socket'}",
            f"--pid-file={self._home / 'pid'}",
            f"--port={self.port}",
            *_OPTIONS,
            *self._files,
        ]
        with log.open("ab") as out:
            command = ["mariadbd", "--no-defaults", *self._as, *options]
            self._process = subprocess.Popen(  # noqa: S603 - fixed arguments
                command,
                stdout=out,
                stderr=out,
                process_group=0,  # Ctrl-C comes to us alone
            )
        end = time.monotonic() + _LIMIT
        while True:
            try:
                socket.create_connection((self.host, self.port)).close()
                return
            except ConnectionRefusedError:
                if self._process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"MariaDB does not start: {log.read_text()}") from None
                time.sleep(0.02)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; the data stays."""
        process, self._process = self._running(), None
        process.send_signal(signal.SIGCONT)
        process.send_signal(number)
        try:
            process.wait(_LIMIT)
        finally:
            process.kill()

    def freeze(self) -> None:
        """Let it do nothing more, as a machine that is out of memory would."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)  # its threads take a moment

    def thaw(self) -> None:
        """Let it go on."""
        self._running().send_signal(signal.SIGCONT)

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("this MariaDB does not run")
        return self._process

    def root(self) -> Any:
        """Return a connection of the administrator's, which is not counted among the user's."""
        return pymysql.connect(unix_socket=str(self._home / "socket"), user="root", autocommit=True)

    def _create(self) -> None:
        with self.root() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER '{self.user}'@'%' IDENTIFIED BY '{self.password}'")
            for name in self.databases:
                cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
                cursor.execute(f"GRANT ALL ON {name}.* TO '{self.user}'@'%'")


def _install(command: list[str]) -> None:
    """Run the script that makes the data; when that is broken off, also end what it has started."""
    process = subprocess.Popen(  # noqa: S603 - fixed arguments
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        process_group=0,
    )
    try:
        printed, _ = process.communicate()
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()  # until none of them writes to the folder
        raise
    if process.returncode != 0:
        raise RuntimeError(f"MariaDB cannot be set up: {printed}")
