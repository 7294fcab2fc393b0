"""The model of a translation."""

from __future__ import annotations

from typing import Any

from django.core.validators import RegexValidator
from django.db import models

from example_site.apps.greet.models import Greeting

__all__ = ["Translation"]


class TranslationManager(models.Manager):
    """Brings the greeting along: without it a translation cannot even say its name."""

    def get_queryset(self) -> Any:
        """Return all translations, each with its greeting."""
        return super().get_queryset().select_related("greeting")


class Translation(models.Model):
    """A greeting in a language, which is two small letters such as ``es``."""

    greeting = models.ForeignKey(Greeting, on_delete=models.CASCADE)
    lang = models.CharField(
        max_length=2, validators=[RegexValidator(r"\A[a-z]{2}\Z", "Give two small letters.")]
    )
    translation = models.CharField(max_length=20)

    objects = TranslationManager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["greeting", "lang"], name="greeting_lang"),
        ]

    def __str__(self) -> str:
        return f"{self.greeting.slug} in {self.lang}"
