"""Greets people, with what other services know.

``greet`` greets one, ``greet_everyone`` all at once. Does not depend on requests, pages
or languages of pages.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from concurrency import deadline, gather, map_each, remaining
from concurrency.errors import DeadlineExceeded
from example_site.apps.ui.calls import Calls
from example_site.backends import BackendDown, BackendError, BackendSlow, NotThere, Refused

__all__ = ["BadTime", "UnknownLanguage", "UnknownPerson", "Welcome", "greet", "greet_everyone"]

logger = logging.getLogger(__name__)

# Persons who are greeted at the same time, with two calls each.
AT_ONCE = 20
# A page without its translation is better than none: of the time that is left, so much is for it.
FOR_TRANSLATION = 0.8
# And so much for one of many persons, who must not take the others down.
FOR_ONE_PERSON = 0.5


class UnknownPerson(Exception):
    """Nobody has that name."""


class UnknownLanguage(Exception):
    """There is no greeting in that language."""


class BadTime(Exception):
    """There is no such time of day."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What is said at a time of day, in English."""

    slug: str
    salutation: str


@dataclass(frozen=True, slots=True)
class Welcome:
    """A person's greeting, or that it failed.

    Attributes:
        person: the slug of the person.
        name: the full name; empty when it could not be had.
        salutation: what is said.
        translated: whether that is in the language that was asked for.
        failed: the service whose failure it is that there is no greeting; else empty.
    """

    person: str
    name: str = ""
    salutation: str = ""
    translated: bool = True
    failed: str = ""


def greet(calls: Calls, person: str, lang: str, moment: str) -> Welcome:
    """Greet one person: the name is fetched while the greeting is found and translated.

    Args:
        calls: asks the services.
        person: the slug of the person.
        lang: the language, as two letters.
        moment: the time of day, such as ``18:03:09``.

    Raises:
        UnknownPerson, UnknownLanguage, BadTime: what was asked for there is not.
        BackendDown, BackendSlow: a service that is needed failed.
        DeadlineExceeded: the time of the block around has run out.
    """

    def salutation() -> tuple[str, bool]:
        return _translate(calls, _greeting(calls, moment), lang)

    name, (text, translated) = gather(lambda: _name(calls, person), salutation)
    return Welcome(person, name, text, translated)


def greet_everyone(calls: Calls, lang: str, moment: str) -> list[Welcome]:
    """Greet all persons at the same time, in the order of their slugs.

    A person who fails is told by ``Welcome.failed``. Arguments and errors are those of
    ``greet``; what is needed for all may raise.
    """
    people, greeting = gather(
        lambda: calls.words("user", "people", "person"), lambda: _greeting(calls, moment)
    )

    def one(person: str) -> Welcome:
        try:
            with deadline(_part(FOR_ONE_PERSON)):
                name, (text, translated) = gather(
                    lambda: _name(calls, person), lambda: _translate(calls, greeting, lang)
                )
        except (BackendDown, BackendSlow) as error:
            logger.warning("%r is not greeted: %s", person, error)
            return Welcome(person, failed=error.service)
        except (UnknownPerson, DeadlineExceeded):
            return Welcome(person, failed="user")
        return Welcome(person, name, text, translated)

    return map_each(one, people, limit=AT_ONCE)


def _name(calls: Calls, person: str) -> str:
    try:
        return calls.text("user", "full_name", "person", person)
    except (NotThere, Refused):
        raise UnknownPerson(person) from None


def _greeting(calls: Calls, moment: str) -> Greeting:
    try:
        found = calls.texts("welcome", "greet", "tod", moment, keys=("slug", "salutation"))
    except Refused:
        raise BadTime(moment) from None
    except NotThere as error:
        # It knows a greeting for every time, so it is not what it should be.
        raise BackendDown("welcome", error.why) from error
    return Greeting(*found)


def _translate(calls: Calls, greeting: Greeting, lang: str) -> tuple[str, bool]:
    """Return the greeting in a language; as it is, and False, when nobody can translate it now."""
    try:
        with deadline(_part(FOR_TRANSLATION)):
            return calls.text("welcome", "translation", "translate", greeting.slug, lang), True
    except (NotThere, Refused):
        raise UnknownLanguage(lang) from None
    except (BackendError, DeadlineExceeded) as error:
        logger.warning("%r is not translated into %r: %s", greeting.slug, lang, error)
        return greeting.salutation, False


def _part(share: float) -> float | None:
    """Return a part of the time that is left, in seconds; None without a limit."""
    left = remaining()
    return None if left is None else share * left
