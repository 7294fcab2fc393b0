"""The model of a greeting."""

from __future__ import annotations

from datetime import time

from django.core.validators import validate_slug
from django.db import models
from django.db.models import F, Q

__all__ = ["Greeting"]


class Greeting(models.Model):
    """A salutation, for a part of the day or for any time."""

    slug = models.CharField(max_length=30, unique=True, validators=[validate_slug])
    start_time = models.TimeField(null=True, blank=True)
    end_time = models.TimeField(null=True, blank=True)
    salutation = models.CharField(max_length=30)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="greeting_times",
                condition=Q(start_time__isnull=True, end_time__isnull=True)
                | Q(start_time__lte=F("end_time")),
                violation_error_message="Give both times, the start first, or neither.",
            )
        ]

    def __str__(self) -> str:
        return self.slug

    @classmethod
    def for_time_of_day(cls, moment: time, using: str | None = None) -> Greeting | None:
        """Return the greeting whose part of the day a time is in, None if there is none.

        Args:
            moment: the time of day; both ends of a part belong to it.
            using: alias of the database; None leaves it to the router.
        """
        found = cls.objects.using(using).filter(start_time__lte=moment, end_time__gte=moment)
        return found.order_by("start_time", "pk").first()
