"""URLs of the example site: each app brings its own."""

from __future__ import annotations

from django.urls import include, path

urlpatterns = [path("", include("example_site.apps.slowsql.urls"))]
