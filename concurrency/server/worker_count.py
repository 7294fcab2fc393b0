"""``python -m concurrency.server.worker_count``: how many workers `serve` would start here.

A process of its own, as it runs the project's `gunicorn.conf.py`, which may do anything.
"""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

import os
import sys

from concurrency.server import gunicorn_file
from concurrency.server.option_sources import variable

__all__ = ["main"]


def main() -> None:
    """Print the number; a configuration that cannot serve ends with its complaint."""
    os.environ[variable("no_metrics")] = "true"  # they would make a folder
    location = gunicorn_file.locate([])
    if location is not None:
        os.environ[gunicorn_file.VARIABLE] = location
    workers = gunicorn_file.merged()["workers"]
    asked = gunicorn_file.asked_of_gunicorn("workers", [])
    sys.stdout.write(f"\n{workers if asked is None else asked}\n")


if __name__ == "__main__":
    main()
