"""Greetings in the admin."""

from __future__ import annotations

from django.contrib import admin

from example_site.apps.greet.models import Greeting


@admin.register(Greeting)
class GreetingAdmin(admin.ModelAdmin):
    """Greetings with their times of day."""

    list_display = ("slug", "salutation", "start_time", "end_time")
    ordering = ("start_time", "slug")
    search_fields = ("slug", "salutation")
