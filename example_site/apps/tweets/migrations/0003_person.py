"""Whose tweet it is; the two of the beginning get somebody each."""

from __future__ import annotations

from typing import Any

from django.core.validators import validate_slug
from django.db import migrations, models

AUTHORS = {"This is a test": "sherlock", "This is another test": "watson"}


def attribute(apps: Any, schema_editor: Any) -> None:
    """Say whose the first two are."""
    tweets = apps.get_model("tweets", "Tweet").objects.using(schema_editor.connection.alias)
    for text, person in AUTHORS.items():
        tweets.filter(text=text, person="").update(person=person)


class Migration(migrations.Migration):
    """Add the slug of a person, which goes again with its column."""

    dependencies = [("tweets", "0002_data")]
    operations = [
        migrations.AddField(
            "tweet",
            "person",
            models.CharField(blank=True, default="", max_length=20, validators=[validate_slug]),
        ),
        migrations.AddIndex(
            "tweet",
            models.Index(fields=["person", "-id"], name="tweets_of_person"),
        ),
        migrations.RunPython(attribute, migrations.RunPython.noop),
    ]
