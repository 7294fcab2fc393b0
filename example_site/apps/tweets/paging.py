"""Pages of tweets that stay as they are while others write.

A page begins after a tweet and not after a number of them, so nothing comes twice or is
left out when tweets are added or removed in between. The list itself is a plain array;
where the neighbours of a page are stands in the header ``Link`` (RFC 8288).
"""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import NotFound
from rest_framework.pagination import CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response

__all__ = ["TweetPages"]

# More digits than a key of the database has.
TOO_LONG = 19


class TweetPages(CursorPagination):
    """The newest first, by the key: it is unique, so the order is the same each time."""

    page_size = 20
    page_size_query_param = "page_size"
    max_page_size = 100
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Any:
        """Return what a cursor says.

        Raises:
            NotFound: it is not one of ours.
        """
        cursor = super().decode_cursor(request)
        position = cursor and cursor.position
        if position is not None and not (position.isdecimal() and len(position) < TOO_LONG):
            raise NotFound(self.invalid_cursor_message)
        return cursor

    def get_paginated_response(self, data: Any) -> Response:
        """Return the page, with links to those before and after it."""
        links = {"next": self.get_next_link(), "prev": self.get_previous_link()}
        header = ", ".join(f'<{url}>; rel="{name}"' for name, url in links.items() if url)
        return Response(data, headers={"Link": header} if header else None)

    def get_paginated_response_schema(self, schema: Any) -> Any:
        """Return the schema of a page: that of the array."""
        return schema
