"""Persons in the admin."""

from __future__ import annotations

from django.contrib import admin

from example_site.apps.person.models import Person


@admin.register(Person)
class PersonAdmin(admin.ModelAdmin):
    """Persons, found by slug or name."""

    list_display = ("slug", "full_name")
    ordering = ("slug",)
    search_fields = ("slug", "full_name")
