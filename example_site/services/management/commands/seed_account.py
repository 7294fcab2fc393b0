"""``seed_account``: the account of the demonstration, for the admin and for writing."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

__all__ = ["Command"]


class Command(BaseCommand):
    """Make the account DEMO_USER with all rights, in development, unless it is there."""

    help = "Makes the account of the demonstration, in development."

    def handle(self, *args: Any, **options: Any) -> None:
        """Make it.

        Raises:
            CommandError: the service has no accounts.
        """
        if not settings.DEVELOPMENT:
            self.stdout.write("Only in development; elsewhere it is `manage.py createsuperuser`.")
            return
        if not apps.is_installed("django.contrib.auth"):
            raise CommandError(f"the service {settings.SERVICE} has no accounts: try the admin")
        from django.contrib.auth import get_user_model

        accounts = get_user_model().objects
        if not accounts.filter(username=settings.DEMO_USER).exists():
            accounts.create_superuser(settings.DEMO_USER, password=settings.DEMO_PASSWORD)
            self.stdout.write(f"The account {settings.DEMO_USER} is made.")
