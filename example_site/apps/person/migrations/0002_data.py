"""The persons that the example begins with."""

from __future__ import annotations

from typing import Any

from django.db import migrations

PERSONS = {
    "sherlock": "Sherlock Holmes",
    "watson": "John Watson",
    "lestrade": "Inspector G. Lestrade",
    "hudson": "Mrs. Hudson",
    "adler": "Irene Adler",
    "moriarty": "James Moriarty",
}


def add(apps: Any, schema_editor: Any) -> None:
    """Add them, as far as somebody has not done it by hand."""
    persons = apps.get_model("person", "Person").objects.using(schema_editor.connection.alias)
    for slug, full_name in PERSONS.items():
        persons.get_or_create(slug=slug, defaults={"full_name": full_name})


def remove(apps: Any, schema_editor: Any) -> None:
    """Remove those that are as they were added; what people changed or added is theirs."""
    persons = apps.get_model("person", "Person").objects.using(schema_editor.connection.alias)
    for slug, full_name in PERSONS.items():
        persons.filter(slug=slug, full_name=full_name).delete()


class Migration(migrations.Migration):
    """Add six persons."""

    dependencies = [("person", "0001_initial")]
    operations = [migrations.RunPython(add, remove)]
