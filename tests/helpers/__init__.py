"""What tests of all folders use, and which needs no fixture."""

from __future__ import annotations

from tests.helpers.waiting import LIMIT, until

__all__ = ["LIMIT", "until"]
