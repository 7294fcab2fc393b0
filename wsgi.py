"""The WSGI application, patched for gevent whoever serves it."""

from __future__ import annotations

import concurrency.patch  # noqa: F401 - importing it is what patches

# isort: split
from django.core.wsgi import get_wsgi_application

from settings.environment import select

__all__ = ["application"]

# What is missing goes out as it is. An exit would make gunicorn start worker after worker; its
# own configuration file asks the same before there is any.
select()

application = get_wsgi_application()
