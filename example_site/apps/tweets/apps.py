"""Makes the models of ``tweets`` known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class TweetsConfig(AppConfig):
    """Tweets."""

    name = "example_site.apps.tweets"
    default_auto_field = "django.db.models.BigAutoField"
