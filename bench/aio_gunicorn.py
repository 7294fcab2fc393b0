"""How gunicorn serves the project of ``bench.aio_site``."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

worker_class = "gevent"
loglevel = "warning"
control_socket_disable = True
