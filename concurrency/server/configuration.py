"""Translates the options into a dictionary of gunicorn's settings.

A project's own `gunicorn.conf.py` can take them all, and then override some::

    from concurrency.server.configuration import gunicorn_settings

    globals().update(gunicorn_settings())
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from gunicorn.config import Config

from concurrency.observe import metrics
from concurrency.server import django_settings, folder
from concurrency.server.option_sources import current, resolve
from concurrency.server.options import OptionError, ServeOptions

__all__ = [
    "DECIDED_BY",
    "FILE",
    "collect_metrics",
    "effective",
    "gunicorn_settings",
    "private_folder",
    "read_options",
    "refuse_http2",
    "translate",
]

# The configuration that `serve` gives to gunicorn. A path and no module: gunicorn reads it
# again when it reloads.
FILE = Path(__file__).with_name("gunicorn_conf.py")

#: Which options decide a setting of gunicorn, where it is not the one of the same name.
DECIDED_BY = {
    "bind": ("bind", "port"),
    "timeout": ("timeout", "debugger"),
    "workers": ("workers", "debugger"),
    "max_requests_jitter": ("max_requests", "max_requests_jitter"),
}


def gunicorn_settings(settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return gunicorn's settings for this process's options, and prepare for its metrics.

    A wrong option ends the process here, with one line, before there is any worker: one
    that cannot start would be replaced for ever.

    Args:
        settings: the setting `CONCURRENCY`; None reads it from Django's settings module.
    """
    # The path of gunicorn's own control socket is one for each user: services would share it.
    options = read_options(settings)
    collect_metrics(options)
    return {**translate(options), "control_socket_disable": True}


def read_options(
    settings: Mapping[str, Any] | None = None, *, file: Mapping[str, Any] | None = None
) -> ServeOptions:
    """Return this process's options; a wrong one ends the process.

    Args:
        settings: as `gunicorn_settings`.
        file: options out of a `gunicorn.conf.py`.
    """
    django_settings.note(_application())
    try:
        options = current(file=file) if settings is None else resolve(settings=settings, file=file)
    except OptionError as error:
        sys.exit(f"gunicorn: {error}")
    return options


def _application() -> str | None:
    """Return the application on gunicorn's command line, if this process has one."""
    if Path(sys.argv[0]).parent.name != "gunicorn" and Path(sys.argv[0]).name != "gunicorn":
        return None
    given = Config(prog="gunicorn").parser().parse_known_args(sys.argv[1:])[0].args
    return given[0] if given else None


def translate(options: ServeOptions) -> dict[str, Any]:
    """Return the gunicorn settings that an option determines."""
    return {
        "bind": options.address,
        "workers": options.worker_count,
        "worker_class": options.worker_class,
        "worker_connections": options.worker_connections,
        # A breakpoint blocks the hub for longer than any limit.
        "timeout": 0 if options.debugger else options.timeout,
        "graceful_timeout": options.graceful_timeout,
        "max_requests": options.max_requests,
        "max_requests_jitter": options.jitter,
        "forwarded_allow_ips": options.forwarded_allow_ips,
        # A proxy that passes the headers of clients on would let them choose the prefix of URLs.
        "forwarder_headers": "",
    }


def effective(options: ServeOptions, cfg: Any, listeners: Sequence[Any] = ()) -> ServeOptions:
    """Return the options with gunicorn's effective values.

    A `gunicorn.conf.py` and gunicorn's own command line may have overridden them.

    Args:
        options: the options from their sources.
        cfg: gunicorn's configuration.
        listeners: gunicorn's sockets, once they exist.
    """
    found: dict[str, Any] = {
        name: cfg.settings[name].get()
        for name in ("workers", "worker_connections", "timeout", "graceful_timeout")
    }
    found |= {name: cfg.settings[name].get() for name in ("max_requests", "max_requests_jitter")}
    found["worker_class"] = cfg.worker_class_str
    found["forwarded_allow_ips"] = ",".join(cfg.forwarded_allow_ips)
    first = listeners[0].getsockname() if listeners else cfg.address[0]
    if isinstance(first, int):  # a socket that was passed to gunicorn, which will close it
        with socket.socket(fileno=os.dup(first)) as passed:
            first = passed.getsockname()
    if isinstance(first, tuple):
        found["bind"], found["port"] = first[:2]
    else:
        found["bind"] = f"unix:{first}"
    return replace(options, **found)


def refuse_http2(cfg: Any) -> None:
    """End the process if gunicorn's configuration asks for HTTP/2, which is not served.

    Args:
        cfg: gunicorn's configuration.
    """
    if "h2" in cfg.http_protocols:
        sys.exit(
            "gunicorn: HTTP/2 is not supported: take h2 out of http_protocols, and let a proxy "
            "in front speak HTTP/2 with browsers."
        )


def collect_metrics(options: ServeOptions) -> None:
    """Let prometheus-client of all workers count in one folder, if it is installed.

    It decides when it is imported, so this has to come before the application. A folder
    that the operator has named is used as it is.
    """
    if options.no_metrics or options.no_ops or not metrics.is_installed():
        return
    given, before = os.environ.get(metrics.FOLDER), folder.own()
    is_own = given is None or (before is not None and Path(given).parent == before)
    mine = private_folder()
    chosen = Path(given) if given is not None else None
    if is_own:
        chosen = None if mine is None else mine / "metrics"
    try:
        if chosen is not None:
            chosen.mkdir(exist_ok=True)
    except OSError as error:
        _tell(f"no metrics for this service, as their folder cannot be made: {error}")
        chosen = None
    if chosen is None:
        os.environ.pop(metrics.FOLDER, None)
        return
    os.environ[metrics.FOLDER] = str(chosen)
    metrics.name_files("arbiter")


def private_folder() -> Path | None:
    """Create the service's folder, or report why the service runs without one.

    A path that is not a private folder ends the process, with one line. A full disk does
    not: without the folder the service has no metrics, but it serves.
    """
    try:
        return folder.make()
    except folder.FolderError as error:
        sys.exit(f"gunicorn: {error}")
    except OSError as error:
        _tell(
            f"no metrics and no `manage.py greenlets` for this service, as its folder cannot be "
            f"made: {error}. CONCURRENCY_RUNTIME_FOLDER names another place."
        )
        return None


@cache
def _tell(sentence: str) -> None:
    """Print a message once."""
    sys.stderr.write(f"gunicorn: {sentence}\n")
