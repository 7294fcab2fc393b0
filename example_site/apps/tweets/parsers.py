"""Reads bodies of JSON that are deeper than Python can go."""

from __future__ import annotations

from typing import Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser

__all__ = ["ShallowJSONParser"]


class ShallowJSONParser(JSONParser):
    """The framework's parser, to which brackets without end are the caller's mistake."""

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Return what a body says.

        Raises:
            ParseError: it is no JSON, or nested too deeply.
        """
        try:
            return super().parse(*args, **kwargs)
        except RecursionError:
            raise ParseError("JSON parse error - nested too deeply") from None
