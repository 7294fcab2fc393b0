"""Makes the shared templates known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class PagesConfig(AppConfig):
    """The frame of all pages; it has no models."""

    name = "example_site.pages"
