"""The greetings that the example begins with."""

from __future__ import annotations

from datetime import time
from typing import Any

from django.db import migrations

GREETINGS: list[dict[str, Any]] = [
    {"slug": "hello", "salutation": "Hello", "start_time": None, "end_time": None},
    {"slug": "howareyou", "salutation": "How are you", "start_time": None, "end_time": None},
    {
        "slug": "goodmorning",
        "salutation": "Good morning",
        "start_time": time(5),
        "end_time": time(11, 59, 59),
    },
    {
        "slug": "goodevening",
        "salutation": "Good evening",
        "start_time": time(17),
        "end_time": time(20, 59, 59),
    },
    {
        "slug": "goodnight",
        "salutation": "Good night",
        "start_time": time(21),
        "end_time": time(23, 59, 59),
    },
]


def add(apps: Any, schema_editor: Any) -> None:
    """Add them, as far as somebody has not done it by hand."""
    greetings = apps.get_model("greet", "Greeting").objects.using(schema_editor.connection.alias)
    for greeting in GREETINGS:
        greetings.get_or_create(slug=greeting["slug"], defaults=greeting)


def remove(apps: Any, schema_editor: Any) -> None:
    """Remove those that are as they were added; what people changed or added is theirs."""
    greetings = apps.get_model("greet", "Greeting").objects.using(schema_editor.connection.alias)
    for greeting in GREETINGS:
        greetings.filter(**greeting).delete()


class Migration(migrations.Migration):
    """Add five greetings, of which two have no time."""

    dependencies = [("greet", "0001_initial")]
    operations = [migrations.RunPython(add, remove)]
