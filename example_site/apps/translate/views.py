"""The API of translations."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from example_site.answers import Problem, api, fact
from example_site.apps.translate.models import Translation

__all__ = ["translation"]


@api
def translation(request: HttpRequest, slug: str, lang: str) -> HttpResponse:
    """Answer a greeting in a language; ``ES`` is ``es``."""
    found = None
    if slug.isprintable() and lang.isprintable():
        wanted = Translation.objects.filter(greeting__slug=slug, lang=lang.lower())
        found = wanted.first()
    if found is None:
        raise Problem(404, f"There is no translation of {slug[:40]!r} into {lang[:40]!r}.")
    return fact(
        request,
        found.translation,
        {"slug": found.greeting.slug, "lang": found.lang, "translation": found.translation},
    )
