"""URLs of the tweets, below ``/tweet/``."""

from __future__ import annotations

from typing import Any

app_name = "tweets"

urlpatterns: list[Any] = []
