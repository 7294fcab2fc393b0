"""A chart of work that ran at the same time: one bar each, from start to end.

A view measures with ``Stopwatch``, collects ``Bar`` objects in a ``Timeline``
and gives it to a template, which says ``{% load timeline %}`` and
``{% timeline chart %}``, with ``{% include "timeline/timeline.css" %}`` in the
style of its head. The SVG is drawn on the server; no script is needed.
"""

from __future__ import annotations

from example_site.timeline.chart import Bar, Stopwatch, Timeline

__all__ = ["Bar", "Stopwatch", "Timeline"]
