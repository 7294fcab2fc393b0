"""The template tag ``{% timeline chart %}``."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.text import slugify

from example_site.timeline.chart import Timeline
from example_site.timeline.drawing import draw

register = template.Library()


@register.inclusion_tag("timeline/timeline.html")
def timeline(chart: Timeline) -> dict[str, Any]:
    """Draw ``chart``: its picture, what the sum would have been, and a table of the numbers."""
    return {"drawing": draw(chart), "name": slugify(chart.title) or "timeline"}
