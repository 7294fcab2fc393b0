"""The translations that the example begins with."""

from __future__ import annotations

from typing import Any

from django.db import migrations

LANGUAGES = ("en", "es", "fr", "de")
# "How are you" has none, which shows what is answered then.
TRANSLATIONS = {
    "hello": ("Hello", "Hola", "Allo", "Hallo"),
    "goodmorning": ("Good morning", "Buenos días", "Bonjour", "Guten Morgen"),
    "goodevening": ("Good evening", "Buenas tardes", "Bonsoir", "Guten Abend"),
    "goodnight": ("Good night", "Buenas noches", "Bonne nuit", "Gute Nacht"),
}


def add(apps: Any, schema_editor: Any) -> None:
    """Add them, as far as somebody has not done it by hand."""
    alias = schema_editor.connection.alias
    greetings = apps.get_model("greet", "Greeting").objects.using(alias)
    translations = apps.get_model("translate", "Translation").objects.using(alias)
    for slug, texts in TRANSLATIONS.items():
        greeting = greetings.get(slug=slug)
        for lang, text in zip(LANGUAGES, texts, strict=True):
            translations.get_or_create(greeting=greeting, lang=lang, defaults={"translation": text})


def remove(apps: Any, schema_editor: Any) -> None:
    """Remove those that are as they were added; what people changed or added is theirs."""
    translations = apps.get_model("translate", "Translation")
    for slug, texts in TRANSLATIONS.items():
        for lang, text in zip(LANGUAGES, texts, strict=True):
            translations.objects.using(schema_editor.connection.alias).filter(
                greeting__slug=slug, lang=lang, translation=text
            ).delete()


class Migration(migrations.Migration):
    """Add sixteen translations: four greetings in four languages."""

    dependencies = [("translate", "0001_initial"), ("greet", "0002_data")]
    operations = [migrations.RunPython(add, remove)]
