"""The service that knows how to greet, and in which language."""

from __future__ import annotations

PORT = 8020
INSTALLED_APPS = ["example_site.pages", "example_site.apps.greet", "example_site.apps.translate"]
MIDDLEWARE = ["example_site.gatekeeper.ServiceTokenMiddleware"]
LOGICAL_DATABASES = ["greetings"]
ABOUT = {
    "sentence": "Knows greetings, for times of day and in four languages. Other services ask it.",
    "paths": ["/greet/hello/", "/greet/tod/18:03:09/", "/translate/goodevening/es/"],
}
