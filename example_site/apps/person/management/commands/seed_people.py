"""``seed_people COUNT``: invented persons, for pages that greet many."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from example_site.apps.person.models import Person

__all__ = ["Command"]

# Five digits, so that they sort as they count.
MOST = 99_999


class Command(BaseCommand):
    """Make invented persons; those that are there already stay as they are."""

    help = "Makes COUNT invented persons, person-00001 and on."

    def add_arguments(self, parser: Any) -> None:
        """Take their number."""
        parser.add_argument("count", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        """Make them.

        Raises:
            CommandError: the number cannot be one.
        """
        count = options["count"]
        if not 0 < count <= MOST:
            raise CommandError(f"{count} is not a number from 1 to {MOST}")
        before = Person.objects.count()
        Person.objects.bulk_create(
            [
                Person(slug=f"person-{number:05}", full_name=f"Person Number {number}")
                for number in range(1, count + 1)
            ],
            batch_size=500,
            ignore_conflicts=True,
        )
        after = Person.objects.count()
        self.stdout.write(f"{after - before} persons made; there are {after}.")
