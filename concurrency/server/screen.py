"""What an operator sees first: versions, addresses, workers, and whether the pools fit."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from django.db import connections
from django.db.utils import DatabaseError

from concurrency.db.wrapper import PooledDatabaseWrapper
from concurrency.deadlines import deadline
from concurrency.errors import DeadlineExceeded
from concurrency.server.databases import aliases
from concurrency.server.options import ServeOptions

__all__ = ["screen"]

_PACKAGES = ("Django", "gunicorn", "gevent", "django-gevent-concurrency")
_LIMIT = 5.0  # seconds for asking a database


def screen(options: ServeOptions) -> str:
    """Return the lines that are printed at the start."""
    versions = [f"Python {'.'.join(map(str, sys.version_info[:3]))}"]
    versions += [f"{name} {found}" for name in _PACKAGES if (found := _version(name))]
    lines = [
        ("", ", ".join(versions)),
        ("application", _url(options.address)),
        ("workers", f"{options.worker_count} of {options.worker_class}"),
        *_pools(options.worker_count),
        *_ops(options),
    ]
    return "\n".join(f"  {name:<12} {text}".rstrip() for name, text in lines) + "\n"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _url(address: str) -> str:
    return address if address.startswith(("unix:", "fd://")) else f"http://{address}/"


def _ops(options: ServeOptions) -> list[tuple[str, str]]:
    if options.no_ops:
        return [("ops port", "none")]
    host, port = options.ops_address
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    paths = [options.startup_path, options.alive_path, options.ready_path]
    paths += [] if options.no_metrics else [options.metrics_path]
    return [("ops port", " ".join([base, *paths]))]


def _pools(workers: int) -> list[tuple[str, str]]:
    """Say for each database what the workers may need and what its server allows."""
    lines = []
    for alias in aliases():
        connection: Any = connections[alias]
        name = f"pool {alias!r}" if alias != "default" else "pool"
        if not isinstance(connection, PooledDatabaseWrapper):
            lines.append((name, f"none: {connection.vendor} without limit"))
            continue
        size = connection.pool_options().max_size
        text = f"{size} connections for each of {workers} workers, {size * workers} in all"
        lines.append((name, text + _allowed(connection, size * workers)))
    return lines


def _allowed(connection: Any, needed: int) -> str:
    """Say whether a server allows as many, if it is one that has a limit."""
    ask = getattr(connection, "connections_allowed", None)
    if ask is None:
        return ""
    try:
        with deadline(_LIMIT):
            allowed = int(ask())
    except (DatabaseError, DeadlineExceeded) as error:
        return f"; the server does not say what it allows: {type(error).__name__}"
    finally:
        connection.close()
    return f"; the server allows {allowed}{', TOO FEW' if allowed < needed else ''}"
