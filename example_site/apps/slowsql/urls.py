"""URLs of the demonstration."""

from __future__ import annotations

from django.urls import path

from example_site.apps.slowsql import views

app_name = "slowsql"

urlpatterns = [
    path("slow-sql/", views.slow_sql, name="slow-sql"),
    path("ten-slow-requests/", views.ten_slow_requests, name="ten-slow-requests"),
    path("ten-slow-queries/", views.ten_slow_queries, name="ten-slow-queries"),
]
