"""The service that people look at; it has no data and asks the others for theirs."""

from __future__ import annotations

from pathlib import Path

PORT = 8000
INSTALLED_APPS = [
    "example_site.pages",
    "example_site.timeline",
    "example_site.apps.ui",
    "example_site.apps.slowsql",
]
MIDDLEWARE = ["example_site.languages.LanguageMiddleware"]
LANGUAGES = [("en", "English"), ("es", "Español"), ("fr", "Français"), ("de", "Deutsch")]
LOCALE_PATHS = [Path(__file__).resolve().parents[2] / "locale"]
# The slow statements run on it; there are no tables.
LOGICAL_DATABASES = ["default"]
