"""URLs of the admin service."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("", include("example_site.pages.urls")),
]

handler400 = "example_site.pages.errors.bad_request"
handler403 = "example_site.pages.errors.permission_denied"
handler404 = "example_site.pages.errors.page_not_found"
handler500 = "example_site.pages.errors.server_error"
