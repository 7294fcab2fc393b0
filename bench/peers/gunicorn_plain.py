"""gunicorn's configuration of the plain recipe: its worker patches, and psycogreen the driver."""

from __future__ import annotations

from typing import Any

control_socket_disable = True
worker_class = "gevent"


def post_fork(server: Any, worker: Any) -> None:
    """Let psycopg2 wait in greenlets."""
    from psycogreen.gevent import patch_psycopg

    patch_psycopg()
