"""Tweets in the admin."""

from __future__ import annotations

from django.contrib import admin

from example_site.apps.tweets.models import Tweet


@admin.register(Tweet)
class TweetAdmin(admin.ModelAdmin):
    """The newest first, with whose it is and when it came."""

    list_display = ("text", "person", "timestamp")
    search_fields = ("text", "person")
    ordering = ("-id",)
