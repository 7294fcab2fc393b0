"""The model of a tweet."""

from __future__ import annotations

from django.core.validators import validate_slug
from django.db import models

__all__ = ["Tweet"]


class Tweet(models.Model):
    """A text of at most 140 characters, of a person or of nobody."""

    text = models.CharField(max_length=140)
    timestamp = models.DateTimeField(auto_now_add=True)
    # Persons are in another database, so this is no relation; there may be none of that slug.
    person = models.CharField(max_length=20, blank=True, default="", validators=[validate_slug])

    class Meta:
        indexes = [models.Index(fields=["person", "-id"], name="tweets_of_person")]

    def __str__(self) -> str:
        return self.text
