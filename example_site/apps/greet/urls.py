"""URLs of greetings, below ``/greet/``."""

from __future__ import annotations

from django.urls import path

from example_site.apps.greet import views

app_name = "greet"

urlpatterns = [
    path("tod/<str:moment>/", views.by_time, name="by-time"),
    path("<str:slug>/", views.by_slug, name="by-slug"),
]
