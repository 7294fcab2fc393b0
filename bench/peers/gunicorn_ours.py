"""gunicorn's configuration with this package, as its README has it."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split

from concurrency.server.configuration import gunicorn_settings
from concurrency.server.hooks import *  # noqa: F403 - gunicorn's, all of them

globals().update(gunicorn_settings())
