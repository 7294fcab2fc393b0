"""Makes the templates and the template tag of the timeline known to Django."""

from __future__ import annotations

from django.apps import AppConfig


class TimelineConfig(AppConfig):
    """The timeline component; it has no models."""

    name = "example_site.timeline"
