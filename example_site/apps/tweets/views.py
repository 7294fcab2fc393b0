"""The API of tweets: REST, and the timeline of several people."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from concurrency import deadline
from concurrency.errors import DeadlineExceeded
from example_site.apps.tweets.errors import Late, TooLarge
from example_site.apps.tweets.models import Tweet
from example_site.apps.tweets.paging import TweetPages
from example_site.apps.tweets.serializers import (
    Chapter,
    ListQuery,
    Problem,
    TimelineQuery,
    TweetSerializer,
)
from example_site.apps.tweets.timeline import timeline

__all__ = ["TimelineView", "TweetViewSet"]

INVALID, NOT_FOUND = {400: OpenApiTypes.OBJECT}, {404: Problem}
# Of every view, and of those that write.
ALWAYS = {429: Problem}
WRITING = {**INVALID, 401: Problem, 403: Problem, 413: Problem, 415: Problem, **ALWAYS}
KEY = OpenApiParameter("id", int, OpenApiParameter.PATH, description="The key of a tweet.")
LINK = OpenApiParameter(
    "Link",
    str,
    OpenApiParameter.HEADER,
    response=[200],
    description="The addresses of the next and the previous page, if there are any.",
)
LOCATION = OpenApiParameter(
    "Location",
    OpenApiTypes.URI,
    OpenApiParameter.HEADER,
    response=[201],
    description="The address of the new tweet.",
)


@extend_schema_view(
    list=extend_schema(
        summary="List tweets, the newest first",
        parameters=[ListQuery, LINK],
        responses={200: TweetSerializer(many=True), **INVALID, **NOT_FOUND, **ALWAYS},
    ),
    create=extend_schema(
        summary="Add a tweet",
        parameters=[LOCATION],
        responses={201: TweetSerializer, **WRITING},
    ),
    retrieve=extend_schema(
        summary="Read a tweet",
        parameters=[KEY],
        responses={200: TweetSerializer, **NOT_FOUND, **ALWAYS},
    ),
    update=extend_schema(
        summary="Replace a tweet",
        parameters=[KEY],
        responses={200: TweetSerializer, **NOT_FOUND, **WRITING},
    ),
    partial_update=extend_schema(
        summary="Change a tweet",
        parameters=[KEY],
        responses={200: TweetSerializer, **NOT_FOUND, **WRITING},
    ),
    destroy=extend_schema(
        summary="Remove a tweet",
        parameters=[KEY],
        responses={204: None, **NOT_FOUND, **WRITING},
    ),
)
class TweetViewSet(ModelViewSet):
    """Short texts with the time at which they came. To write takes an account."""

    queryset = Tweet.objects.all()
    serializer_class = TweetSerializer
    pagination_class = TweetPages

    def check_permissions(self, request: Request) -> None:
        """Refuse who may not; a method that there is not is a 405 to everybody, never a 401."""
        if request.method in self.allowed_methods:
            super().check_permissions(request)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is too large, before it is read into memory."""
        super().initial(request, *args, **kwargs)
        length = int(request.META.get("CONTENT_LENGTH") or 0)
        if length > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
            raise TooLarge

    def get_queryset(self) -> QuerySet[Tweet]:
        """Return the tweets; a list may be of one person."""
        tweets: QuerySet[Tweet] = super().get_queryset()
        if self.action != "list":
            return tweets
        query = ListQuery(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        person = query.validated_data.get("person")
        return tweets.filter(person=person) if person else tweets


class TimelineView(APIView):
    """The names and the newest tweets of several people, gathered in parallel."""

    permission_classes = [AllowAny]

    @extend_schema(
        summary="Gather the tweets of several people",
        parameters=[TimelineQuery],
        responses={200: Chapter(many=True), **INVALID, **ALWAYS, 504: Problem},
    )
    def get(self, request: Request) -> Response:
        """Answer one entry for each person that was asked for, in that order."""
        query = TimelineQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        try:
            with deadline(settings.PAGE_DEADLINE):
                found = timeline(query.validated_data["people"])
        except DeadlineExceeded as error:
            raise Late from error
        context: dict[str, Any] = {"request": request}
        return Response(Chapter(found, many=True, context=context).data)
