"""URLs of persons, below ``/person/``."""

from __future__ import annotations

from django.urls import path

from example_site.apps.person import views

app_name = "person"

urlpatterns = [
    path("", views.people, name="people"),
    path("<str:slug>/", views.person, name="person"),
]
