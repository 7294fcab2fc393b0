"""The model of a tweet."""

from __future__ import annotations

from django.db import models

__all__ = ["Tweet"]


class Tweet(models.Model):
    """A text of at most 140 characters."""

    text = models.CharField(max_length=140)
    timestamp = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.text
