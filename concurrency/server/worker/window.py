"""``Window``: a private socket through which a worker shows its greenlets.

Served by a native thread, so it also answers while a greenlet blocks the hub. The socket is
in the service's folder, which its user alone can enter.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gevent.monkey import get_original

from concurrency.observe.greenlets import look
from concurrency.server.project import folder_of_project, settings_name

__all__ = ["PATTERN", "Window", "read"]

#: The names of the sockets in a service's folder.
PATTERN = "greenlets-*.sock"

_LIMIT = 5.0  # seconds that either side waits for the other
_PAUSE = 0.2  # seconds after an error, such as that there is no free descriptor

_socket: Any = get_original("socket", "socket")
_start_new_thread = get_original("_thread", "start_new_thread")
_get_ident = get_original("_thread", "get_ident")
_sleep = get_original("time", "sleep")


class Window:
    """The socket of this process.

    Args:
        folder: the service's folder.
        addresses: where the service listens, for people to read.
    """

    def __init__(self, folder: Path, addresses: str = "") -> None:
        self._path = folder / f"greenlets-{os.getpid()}.sock"
        self._service = {
            "addresses": addresses,
            "settings": settings_name(),
            "project": folder_of_project(),
        }
        self._thread = _get_ident()
        self._listener: Any = None

    def open(self) -> None:
        """Show the greenlets of this thread's hub to whoever connects.

        Raises:
            OSError: the folder is not there, or its path is too long for a socket.
        """
        listener = _socket(socket.AF_UNIX)
        # Whoever finds it by its name can connect: a socket that does not listen yet refuses.
        hidden = self._path.with_name(f".{self._path.name}")
        try:
            listener.bind(str(hidden))
            listener.listen()
            hidden.rename(self._path)
        except BaseException:
            listener.close()
            raise
        self._listener = listener
        _start_new_thread(self._serve, (listener,))

    def restore(self) -> None:
        """Be in the folder again, if a cleaner of temporary folders has removed the socket.

        Raises:
            OSError: the folder is not there.
        """
        if self._listener is not None and not self._path.exists():
            before = self._listener
            self.open()
            before.shutdown(socket.SHUT_RDWR)  # ends the wait of its thread

    def close(self) -> None:
        """Take the socket away."""
        self._listener = None
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()

    def _serve(self, listener: Any) -> None:
        while self._listener is listener:
            try:
                client, _ = listener.accept()
                with client:
                    self._show(client)
            except Exception:  # noqa: BLE001 - a native thread shares no lock, so it logs nothing
                _sleep(_PAUSE)
        listener.close()

    def _show(self, client: Any) -> None:
        client.settimeout(_LIMIT)
        seen = [asdict(one) for one in look(self._thread)]
        client.sendall(json.dumps({"service": self._service, "greenlets": seen}).encode())


def read(path: Path) -> dict[str, Any]:
    """Return what a worker shows: its ``service`` and its ``greenlets``.

    Raises:
        OSError: it has ended, also while it was asked.
    """
    with _socket(socket.AF_UNIX) as client:
        client.settimeout(_LIMIT)
        client.connect(str(path))
        data = b"".join(iter(lambda: client.recv(65536), b""))
    if not data:
        raise ConnectionResetError(errno.ECONNRESET, f"no answer from {path}")
    found: dict[str, Any] = json.loads(data)
    return found
