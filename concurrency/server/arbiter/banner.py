"""The start screen: what an operator sees when the port is open.

It is read from the running arbiter, except for the facts that `serve` has found out about
the project, see ``survey.py``. Loads no application.
"""

from __future__ import annotations

import math
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from concurrency.observe import metrics
from concurrency.server import worker_class
from concurrency.server.arbiter.survey import Survey
from concurrency.server.extras import remedy
from concurrency.server.options import ServeOptions

__all__ = ["screen"]

_PACKAGES = ("Django", "gunicorn", "gevent", "django-gevent-concurrency")


def screen(server: Any, options: ServeOptions, found: Survey) -> str:
    """Return the lines of the start screen.

    Args:
        server: gunicorn's arbiter, which listens.
        options: the effective options.
        found: the survey of the project.
    """
    versions = [f"Python {'.'.join(map(str, sys.version_info[:3]))}"]
    versions += [f"{name} {there}" for name in _PACKAGES if (there := _version(name))]
    lines = [
        ("", ", ".join(versions)),
        *(("application", address) for address in _addresses(server)),
        *_workers(server),
        ("shedding", _shedding(server, found["shed_after"])),
        *(_pool(pool, server.num_workers) for pool in found["pools"]),
        *_ops(options),
    ]
    return "\n".join(f"  {name:<12} {text}".rstrip() for name, text in lines) + "\n"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _addresses(server: Any) -> list[str]:
    listening = [str(listener) for listener in server.LISTENERS] or server.cfg.bind
    return [f"{one}/" if one.startswith("http") else one for one in listening]


def _workers(server: Any) -> list[tuple[str, str]]:
    lines = [("workers", f"{server.num_workers} of {server.cfg.worker_class_str}")]
    if not worker_class.has_everything(server.worker_class):
        lines.append(("", f"without {worker_class.LACKING}, which {worker_class.DEFAULT} has"))
    return lines


def _shedding(server: Any, chosen: float | None) -> str:
    after = chosen or getattr(server.worker_class, "shed_after", None)
    if after is None or after == math.inf:
        return 'off (CONCURRENCY["SHED_AFTER"])'
    return f'503 after {after:g} s of overload (CONCURRENCY["SHED_AFTER"])'


def _pool(pool: dict[str, Any], workers: int) -> tuple[str, str]:
    """Return a line on the connections that workers may open and the server allows."""
    name = "pool" if pool["alias"] == "default" else f"pool {pool['alias']!r}"
    size, allowed = pool["size"], pool.get("allowed")
    if size is None:
        text = f"none: {pool['vendor']} without limit"
    elif workers == 1:
        text = f"{size} connections for the worker"
    else:
        text = f"{size} connections for each of {workers} workers, {size * workers} in all"
    if "error" in pool:
        return name, f"{text}; THE DATABASE DOES NOT ANSWER: {pool['error']}"
    if size is not None and allowed is not None:
        text += f"; the server allows {allowed}{', TOO FEW' * (allowed < size * workers)}"
    return name, text


def _ops(options: ServeOptions) -> list[tuple[str, str]]:
    if options.no_ops:
        return [("ops port", "none")]
    host, port = options.ops_address
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    paths = [options.startup_path, options.alive_path, options.ready_path]
    if options.no_metrics:
        return [("ops port", " ".join([base, *paths]))]
    if not metrics.is_installed():
        return [("ops port", " ".join([base, *paths])), ("metrics", f"off: {remedy('metrics')}")]
    return [("ops port", " ".join([base, *paths, options.metrics_path]))]
