"""What the options mean for gunicorn: a dictionary of its settings.

A project's own `gunicorn.conf.py` takes it as it is, and changes what it likes::

    from concurrency.server.configuration import gunicorn_settings

    globals().update(gunicorn_settings())
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from concurrency.observe import metrics
from concurrency.server import folder
from concurrency.server.options import OptionError, ServeOptions
from concurrency.server.sources import current, resolve

__all__ = ["FILE", "collect_metrics", "gunicorn_settings", "translate"]

# The configuration for a project that has none.
FILE = Path(__file__).with_name("gunicorn_conf.py")


def gunicorn_settings(settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return gunicorn's settings for this process's options, and prepare for its metrics.

    A wrong option ends the process here, with one line, before there is any worker: one
    that cannot start would be replaced for ever.

    Args:
        settings: the setting `CONCURRENCY`; None reads it from Django's settings module.
    """
    try:
        options = current() if settings is None else resolve(settings=settings)
    except OptionError as error:
        sys.exit(f"gunicorn: {error}")
    collect_metrics(options)
    # The path of gunicorn's own control socket is one for each user: services would share it.
    return {**translate(options), "control_socket_disable": True}


def translate(options: ServeOptions) -> dict[str, Any]:
    """Return those of gunicorn's settings that an option decides."""
    return {
        "bind": options.address,
        "workers": options.worker_count,
        "worker_class": options.worker_class,
        "worker_connections": options.worker_connections,
        # Whoever looks at a breakpoint stops the hub for longer than any limit.
        "timeout": 0 if options.debugger else options.timeout,
        "graceful_timeout": options.graceful_timeout,
        "max_requests": options.max_requests,
        "max_requests_jitter": options.jitter,
        "forwarded_allow_ips": options.forwarded_allow_ips,
    }


def collect_metrics(options: ServeOptions) -> None:
    """Let prometheus-client of all workers count in one folder, if it is installed.

    It decides when it is imported, so this has to come before the application. A folder
    that the operator has named is used as it is.
    """
    if options.no_metrics or options.no_ops or not metrics.is_installed():
        return
    given = os.environ.get(metrics.FOLDER)
    if given is None or Path(given).is_relative_to(folder.runtime_folder()):
        mine = folder.make() / "metrics"
        mine.mkdir(exist_ok=True)
        os.environ[metrics.FOLDER] = str(mine)
    metrics.name_files("arbiter")
