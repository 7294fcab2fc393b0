"""The tweets that the example begins with."""

from __future__ import annotations

from typing import Any

from django.db import migrations

TEXTS = ("This is a test", "This is another test")


def add(apps: Any, schema_editor: Any) -> None:
    """Add them."""
    tweets = apps.get_model("tweets", "Tweet").objects.using(schema_editor.connection.alias)
    for text in TEXTS:
        tweets.create(text=text)


def remove(apps: Any, schema_editor: Any) -> None:
    """Remove what says the same."""
    tweets = apps.get_model("tweets", "Tweet").objects.using(schema_editor.connection.alias)
    tweets.filter(text__in=TEXTS).delete()


class Migration(migrations.Migration):
    """Add two tweets."""

    dependencies = [("tweets", "0001_initial")]
    operations = [migrations.RunPython(add, remove)]
