"""gunicorn's configuration for a project that has none of its own::

gunicorn -c python:concurrency.server.gunicorn_conf wsgi
"""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

from concurrency.server.configuration import gunicorn_settings
from concurrency.server.hooks import *  # noqa: F403 - gunicorn's, all of them

globals().update(gunicorn_settings())
