"""Makes the command ``startservice`` known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class ServicesConfig(AppConfig):
    """The services; they have no models."""

    name = "example_site.services"
