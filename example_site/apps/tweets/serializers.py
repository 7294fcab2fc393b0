"""What tweets look like as JSON, and what may be asked for.

Knows fields and their rules, and nothing of requests.
"""

from __future__ import annotations

from rest_framework import serializers

from example_site.apps.tweets.models import Tweet

__all__ = ["Chapter", "ListQuery", "Problem", "TimelineQuery", "TweetSerializer"]

# So many persons fit into one timeline.
MAX_PEOPLE = 20


class TweetSerializer(serializers.ModelSerializer):
    """A tweet: its text, when it came, its address, and whose it is; empty when it is nobody's."""

    class Meta:
        model = Tweet
        fields = ("text", "timestamp", "href", "person")
        extra_kwargs = {
            "href": {"view_name": "tweets:tweet"},
            "person": {"help_text": "The slug of a person; empty for nobody."},
        }


class ListQuery(serializers.Serializer):
    """What a list may be narrowed by."""

    person = serializers.CharField(
        required=False, allow_blank=True, help_text="Only tweets of the person of this slug."
    )


class TimelineQuery(serializers.Serializer):
    """Of whom a timeline is."""

    people = serializers.CharField(help_text="Slugs of persons, separated by commas.")

    def validate_people(self, value: str) -> list[str]:
        """Return the slugs, each once, in the order in which they were given."""
        people = list(dict.fromkeys(slug for part in value.split(",") if (slug := part.strip())))
        if not people:
            raise serializers.ValidationError("Name at least one person.")
        if len(people) > MAX_PEOPLE:
            raise serializers.ValidationError(
                f"Name at most {MAX_PEOPLE} persons, not {len(people)}."
            )
        return people


class Chapter(serializers.Serializer):
    """One person of a timeline, with the newest tweets."""

    person = serializers.CharField(help_text="The slug, as it was asked for.")
    name = serializers.CharField(allow_null=True, help_text="The full name; null without one.")
    problem = serializers.CharField(
        allow_null=True, help_text="Why there is no name; null when there is one."
    )
    tweets = TweetSerializer(many=True)


class Problem(serializers.Serializer):
    """What is wrong with a request."""

    detail = serializers.CharField()
