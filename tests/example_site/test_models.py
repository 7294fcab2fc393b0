"""The models, with the data of their migrations, in a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time, timedelta

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connections, transaction
from django.utils import timezone

from concurrency.db.pool import registry
from example_site.apps.greet.models import Greeting
from example_site.apps.person.models import Person
from example_site.apps.translate.models import Translation
from example_site.apps.tweets.models import Tweet
from settings.databases import from_url

ALIAS = "services"


@pytest.fixture(autouse=True)
def _database(services_url: str) -> Iterator[None]:
    """Make the services' database known to this process, and undo what a test does there."""
    connections.settings[ALIAS] = connections.configure_settings(
        {"default": {}, ALIAS: from_url(services_url)}
    )[ALIAS]
    try:
        with transaction.atomic(using=ALIAS):
            yield
            transaction.set_rollback(True, using=ALIAS)
    finally:
        connections[ALIAS].close()
        del connections[ALIAS], connections.settings[ALIAS]
        registry.forget(ALIAS)


def test_six_persons() -> None:
    """There are six persons, who are called by their slugs."""
    names = dict(Person.objects.using(ALIAS).values_list("slug", "full_name"))
    assert len(names) == 6
    assert names["lestrade"] == "Inspector G. Lestrade"
    assert str(Person(slug="adler")) == "adler"


@pytest.mark.parametrize(
    ("moment", "slug"),
    [
        (time(9, 30, 57), "goodmorning"),
        (time(18, 3, 9), "goodevening"),
        (time(23, 47, 45), "goodnight"),
        (time(5), "goodmorning"),
        (time(11, 59, 59), "goodmorning"),
        (time(12), None),
        (time(3, 3, 3), None),
    ],
)
def test_the_greeting_for_a_time(moment: time, slug: str | None) -> None:
    """A part of the day has its greeting, to both of its ends; between them there is none."""
    found = Greeting.for_time_of_day(moment, using=ALIAS)
    assert (found and str(found)) == slug


def test_sixteen_translations() -> None:
    """Four of five greetings have a translation into each of four languages."""
    found = Translation.objects.using(ALIAS).filter(greeting__slug="hello").order_by("lang")
    assert [one.translation for one in found] == ["Hallo", "Hello", "Hola", "Allo"]
    assert str(found[0]) == "hello in de"
    assert Translation.objects.using(ALIAS).count() == 16


def test_two_tweets() -> None:
    """There are two tweets to begin with, of a person each."""
    found = {str(tweet): tweet.person for tweet in Tweet.objects.using(ALIAS).all()}
    assert found == {"This is a test": "sherlock", "This is another test": "watson"}


def test_a_tweet_knows_when_it_came() -> None:
    """The time of a tweet is that of its first saving, whatever is said; it may be nobody's."""
    before = timezone.now()
    tweet = Tweet(text="x" * 140, timestamp=before - timedelta(days=1))
    tweet.save(using=ALIAS)
    came = tweet.timestamp
    assert (came >= before, tweet.person) == (True, "")
    tweet.text = "changed"
    tweet.save(using=ALIAS)
    assert Tweet.objects.using(ALIAS).get(pk=tweet.pk).timestamp == came


@pytest.mark.parametrize(
    ("name", "value"), [("text", "x" * 141), ("person", "a b"), ("person", "x" * 21)]
)
def test_what_a_tweet_cannot_have(name: str, value: str) -> None:
    """A text that is too long, and a person that no slug can name, are refused."""
    with pytest.raises(ValidationError):
        Tweet._meta.get_field(name).clean(value, None)


def test_what_is_there_once_cannot_be_twice() -> None:
    """Slugs, and a greeting's translations into a language, are unique in the database."""
    hello = Greeting.objects.using(ALIAS).get(slug="hello")
    for double in (
        Person(slug="adler"),
        Greeting(slug="hello"),
        Translation(greeting=hello, lang="es"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic(using=ALIAS):
            double.save(using=ALIAS)


def test_a_part_of_the_day_begins_before_it_ends() -> None:
    """A greeting with its times the wrong way round is refused by the database."""
    with pytest.raises(IntegrityError), transaction.atomic(using=ALIAS):
        Greeting(slug="x", start_time=time(12), end_time=time(11)).save(using=ALIAS)


@pytest.mark.parametrize("lang", ["e", "ES", "e1", "e\n"])
def test_a_language_is_two_small_letters(lang: str) -> None:
    """What people enter as a language is checked."""
    with pytest.raises(ValidationError):
        Translation._meta.get_field("lang").clean(lang, None)
