"""gunicorn's configuration for measurements: the patch and the hooks, nothing else."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

from concurrency.server.hooks import *  # noqa: F403 - gunicorn's, all of them

control_socket_disable = True
