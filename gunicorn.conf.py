"""How gunicorn serves the example site: `gunicorn -c gunicorn.conf.py`.

SERVICE says which of its services; without it, it is the frontend.

The patch comes first, so that all is right with `--preload` too, where the application is imported
before any worker could patch.
"""

from __future__ import annotations

import os
import sys

# gunicorn reads this file before it adds the project to the path.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

from concurrency.server.configuration import gunicorn_settings
from concurrency.server.hooks import *  # noqa: F403 - gunicorn's, all of them
from settings import environment

try:
    _settings = environment.select()
except environment.SettingsError as error:
    # Said here, before any worker exists: a worker that cannot start is replaced for ever.
    sys.exit(f"gunicorn: {error}")
globals().update(gunicorn_settings(sys.modules[_settings].CONCURRENCY))
environment.forget()

wsgi_app = "wsgi:application"
chdir = str(environment.ROOT)
# Each request has a line already, by `concurrency.request`.
accesslog = None

# Connections a client keeps open for its next request count towards `worker_connections`.
keepalive = 5
