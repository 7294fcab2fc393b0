"""The model of a person."""

from __future__ import annotations

from django.core.validators import validate_slug
from django.db import models

__all__ = ["Person"]


class Person(models.Model):
    """Somebody who can be greeted."""

    slug = models.CharField(max_length=20, unique=True, validators=[validate_slug])
    full_name = models.CharField(max_length=50)

    def __str__(self) -> str:
        return self.slug
