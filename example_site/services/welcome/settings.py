"""The service that knows how to greet, and in which language."""

from __future__ import annotations

PORT = 8020
INSTALLED_APPS = ["example_site.pages", "example_site.apps.greet", "example_site.apps.translate"]
MIDDLEWARE = ["example_site.gatekeeper.ServiceTokenMiddleware"]
LOGICAL_DATABASES = ["greetings"]
