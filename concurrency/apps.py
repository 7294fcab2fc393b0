"""The Django app: registers the checks, shares the clients of cache backends."""

from __future__ import annotations

from django.apps import AppConfig


class ConcurrencyConfig(AppConfig):  # type: ignore[misc]
    """Put ``"concurrency"`` into ``INSTALLED_APPS``."""

    name = "concurrency"
    verbose_name = "Concurrency"

    def ready(self) -> None:
        """Hook into Django; called by it when all apps are loaded."""
        from concurrency import caches, checks
        from concurrency._lateness import is_patched

        checks.register()
        if is_patched():
            caches.share_clients()
