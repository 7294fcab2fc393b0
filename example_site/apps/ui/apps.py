"""Makes the templates and texts of the pages known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class UiConfig(AppConfig):
    """The pages; they have no models."""

    name = "example_site.apps.ui"
