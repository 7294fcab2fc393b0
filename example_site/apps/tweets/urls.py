"""URLs of the tweets, below ``/tweet/``. Those of single ones end without a slash."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from example_site.apps.tweets.views import TimelineView, TweetViewSet

app_name = "tweets"

ALL = {"get": "list", "post": "create"}
ONE = {"get": "retrieve", "put": "update", "patch": "partial_update", "delete": "destroy"}

urlpatterns = [
    path("", TweetViewSet.as_view(ALL, name="Tweets"), name="tweets"),
    path("timeline/", TimelineView.as_view(), name="timeline"),
    path("timeline", RedirectView.as_view(pattern_name="tweets:timeline", query_string=True)),
    path("<str:pk>", TweetViewSet.as_view(ONE, name="Tweet"), name="tweet"),
]
