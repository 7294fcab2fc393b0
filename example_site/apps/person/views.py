"""The API of persons."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from example_site.answers import Problem, api, fact
from example_site.apps.person.models import Person

__all__ = ["people", "person"]


@api
def people(request: HttpRequest) -> HttpResponse:
    """Answer the slugs of all persons in order, one a line."""
    slugs = list(Person.objects.order_by("slug").values_list("slug", flat=True))
    return fact(request, "".join(f"{slug}\n" for slug in slugs), {"people": slugs})


@api
def person(request: HttpRequest, slug: str) -> HttpResponse:
    """Answer the full name of a person."""
    found = Person.objects.filter(slug=slug).first() if slug.isprintable() else None
    if found is None:
        raise Problem(404, f"There is no person {slug[:40]!r}.")
    return fact(request, found.full_name, {"slug": found.slug, "full_name": found.full_name})
