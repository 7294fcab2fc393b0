"""The signature of a webhook, for those who receive one."""

from __future__ import annotations

from concurrency.server.ops.webhooks import signature

__all__ = ["signature"]
