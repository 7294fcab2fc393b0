"""URLs of translations, below ``/translate/``."""

from __future__ import annotations

from django.urls import path

from example_site.apps.translate import views

app_name = "translate"

urlpatterns = [path("<str:slug>/<str:lang>/", views.translation, name="translation")]
