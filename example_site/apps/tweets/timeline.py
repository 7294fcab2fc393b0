"""Gathers names and tweets of several people: all of it at the same time.

Names come from the service ``user``, tweets from the database. Does not depend on requests.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from concurrency import deadline, gather, map_each, remaining
from concurrency.errors import DeadlineExceeded
from example_site import backends
from example_site.apps.tweets.models import Tweet

__all__ = ["Person", "timeline"]

logger = logging.getLogger(__name__)

# Persons at the same time, with a call and a query each.
AT_ONCE = 10
# Tweets of one person, the newest.
NEWEST = 10
# Of the time that is left, so much is for a name: tweets without it are better than nothing.
FOR_NAME = 0.5


@dataclass(frozen=True, slots=True)
class Person:
    """One person of a timeline.

    Attributes:
        person: the slug.
        name: the full name; None when there is none, or it could not be had.
        problem: why not; None when there is a name.
        tweets: the newest first.
    """

    person: str
    name: str | None
    problem: str | None
    tweets: list[Tweet]


def timeline(people: list[str]) -> list[Person]:
    """Return people with their names and newest tweets, in the order in which they are given.

    Raises:
        DeadlineExceeded: the time of the block around has run out.
        django.db.Error: the tweets cannot be read.
    """
    return map_each(_person, people, limit=AT_ONCE)


def _person(slug: str) -> Person:
    (name, problem), tweets = gather(lambda: _name(slug), lambda: _tweets(slug))
    return Person(slug, name, problem, tweets)


def _name(slug: str) -> tuple[str | None, str | None]:
    """Return a person's full name, or why there is none."""
    left = remaining()
    try:
        with deadline(None if left is None else FOR_NAME * left):
            answer = backends.ask("user", "person", slug)
            return backends.text_of("user", answer, "full_name"), None
    except (backends.NotThere, backends.Refused):
        return None, f"There is no person {slug[:40]!r}."
    except (backends.BackendError, DeadlineExceeded) as error:
        logger.warning("the name of %r is left out: %s", slug[:40], error)
        return None, "The service 'user' does not answer as it should."


def _tweets(slug: str) -> list[Tweet]:
    return list(Tweet.objects.filter(person=slug).order_by("-id")[:NEWEST])
