"""Makes the models of ``greet`` known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class GreetConfig(AppConfig):
    """Greetings, some for a time of day."""

    name = "example_site.apps.greet"
    default_auto_field = "django.db.models.AutoField"
