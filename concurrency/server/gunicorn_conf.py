"""gunicorn's configuration: the project's own where `serve` found one, completed.

For a project that has none of its own::

    gunicorn -c python:concurrency.server.gunicorn_conf wsgi
"""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

from concurrency.server.gunicorn_file import merged

globals().update(merged())
