"""Translations in the admin."""

from __future__ import annotations

from django.contrib import admin

from example_site.apps.translate.models import Translation


@admin.register(Translation)
class TranslationAdmin(admin.ModelAdmin):
    """Translations by greeting and language."""

    list_display = ("greeting", "lang", "translation")
    list_filter = ("lang",)
    ordering = ("greeting__slug", "lang")
    search_fields = ("translation",)
