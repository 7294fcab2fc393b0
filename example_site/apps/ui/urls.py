"""URLs of the pages that greet."""

from __future__ import annotations

from typing import Any

app_name = "ui"

urlpatterns: list[Any] = []
