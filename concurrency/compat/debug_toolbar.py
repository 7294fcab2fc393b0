"""What django-debug-toolbar does not promise: which panel watches a database wrapper."""

from __future__ import annotations

import sys
from typing import Any

from concurrency.compat.names import Names

__all__ = ["NAMES", "show"]

NAMES = Names(
    "django-debug-toolbar",
    "debug_toolbar.panels.sql.tracking:NormalCursorMixin()._djdt_logger",
    "debug_toolbar.panels.sql.tracking:wrap_cursor(connection)",
)


def show(wrapper: Any, ancestor: Any) -> None:
    """Have the panel that watches the wrapper of an ancestor see another wrapper, too."""
    panel = getattr(ancestor, "_djdt_logger", None)
    if panel is not None:
        sys.modules["debug_toolbar.panels.sql.tracking"].wrap_cursor(wrapper)
    if hasattr(wrapper, "_djdt_logger"):
        wrapper._djdt_logger = panel
