"""Makes the models of ``person`` known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class PersonConfig(AppConfig):
    """Persons."""

    name = "example_site.apps.person"
    default_auto_field = "django.db.models.AutoField"
