"""The deadline of a request, through Django's handler and a real database."""

from __future__ import annotations
