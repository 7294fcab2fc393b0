"""URLs of the service that knows persons."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [
    path("person/", include("example_site.apps.person.urls")),
    path("", include("example_site.pages.urls")),
]

handler400 = "example_site.pages.errors.bad_request"
handler403 = "example_site.pages.errors.permission_denied"
handler404 = "example_site.pages.errors.page_not_found"
handler500 = "example_site.pages.errors.server_error"
