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

from concurrency.server.hooks import post_worker_init, worker_exit  # noqa: F401 - gunicorn's
from settings import environment

try:
    _settings = environment.select()
    _production = _settings == "settings.production"
    _port = sys.modules[_settings].PORT
    _host = environment.text("BIND_HOST", "0.0.0.0" if _production else "127.0.0.1")  # noqa: S104
    _workers = environment.integer(
        "WEB_CONCURRENCY", (os.cpu_count() or 1) if _production else 1, least=1
    )
except environment.SettingsError as error:
    # Said here, before any worker exists: a worker that cannot start is replaced for ever.
    sys.exit(f"gunicorn: {error}")
environment.forget()

wsgi_app = "wsgi:application"
worker_class = "gevent"
workers = _workers
bind = f"[{_host}]:{_port}" if ":" in _host else f"{_host}:{_port}"
chdir = str(environment.ROOT)
accesslog = None if _production else "-"

# Connections a client keeps open for its next request count towards `worker_connections`.
keepalive = 5
graceful_timeout = 30

# Its path is one for each user, so two services of one user would share it.
control_socket_disable = True
