"""The service that knows persons."""

from __future__ import annotations

PORT = 8010
INSTALLED_APPS = ["example_site.pages", "example_site.apps.person"]
MIDDLEWARE = ["example_site.gatekeeper.ServiceTokenMiddleware"]
LOGICAL_DATABASES = ["users"]
ABOUT = {
    "sentence": "Knows persons: a slug and a full name. Other services ask it.",
    "paths": ["/person/", "/person/sherlock/"],
}
