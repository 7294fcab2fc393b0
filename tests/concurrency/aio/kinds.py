"""A model for tests of async code, whose table no other test and no migration makes."""

from __future__ import annotations

from django.db import models


class Kind(models.Model):
    """A row with a name that a test can look for."""

    app_label = models.CharField(max_length=100)
    model = models.CharField(max_length=100)

    class Meta:
        app_label = "aio_tests"
