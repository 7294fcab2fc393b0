"""Makes the models of ``translate`` known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class TranslateConfig(AppConfig):
    """Greetings in other languages."""

    name = "example_site.apps.translate"
    default_auto_field = "django.db.models.AutoField"
