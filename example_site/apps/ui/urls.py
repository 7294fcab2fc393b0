"""URLs of the pages that greet."""

from __future__ import annotations

from django.urls import path

from example_site.apps.ui import views

app_name = "ui"

urlpatterns = [
    path("", views.greeting, name="index"),
    path("everyone/", views.everyone, name="everyone"),
]
