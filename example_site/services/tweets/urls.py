"""URLs of the service that keeps tweets: the API, its description, and signing in."""

from __future__ import annotations

from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerView

from example_site.apps.tweets.health import healthcheck

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="docs")),
    path("tweet/", include("example_site.apps.tweets.urls")),
    path("healthcheck/", healthcheck, name="healthcheck"),
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("account/", include("rest_framework.urls")),
    path("", include("example_site.pages.urls")),
]

handler400 = "example_site.pages.errors.bad_request"
handler403 = "example_site.pages.errors.permission_denied"
handler404 = "example_site.pages.errors.page_not_found"
handler500 = "example_site.pages.errors.server_error"
