"""The Django app: registers checks and hooks, and installs what needs Django."""

from __future__ import annotations

import sys

from django.apps import AppConfig


class ConcurrencyConfig(AppConfig):  # type: ignore[misc]
    """Put ``"concurrency"`` into ``INSTALLED_APPS``."""

    name = "concurrency"
    verbose_name = "Concurrency"

    def ready(self) -> None:
        """Hook into Django; called by it when all apps are loaded."""
        from concurrency import aio, caches, checks, connections
        from concurrency.aio import atomic, marker
        from concurrency.db.wrapper import lifecycle
        from concurrency.observe import failures, logs, requests
        from concurrency.patching.lateness import is_patched

        checks.register()
        logs.install()
        # Every hook of ``concurrency.hooks``.
        lifecycle.register()
        requests.register()
        if "gunicorn.arbiter" in sys.modules:
            from concurrency.server import hosting

            hosting.examine()
        if is_patched():
            failures.install()
            caches.share_clients()
            connections.install()
            # For a process that another tool has patched; concurrency.patch has done it already.
            marker.install()
            aio.install()
            atomic.install()
