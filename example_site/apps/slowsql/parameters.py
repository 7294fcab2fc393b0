"""Reads ``x`` and ``seconds`` from a query string, or says what is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["ParameterError", "read_seconds", "read_x"]

X_LIMIT = 10**9
SECONDS_LIMIT = 20
DEFAULT_SECONDS = 5.0
# What is longer is no number in range, and turning it into one costs time.
_LONGEST = 40


class ParameterError(ValueError):
    """A parameter is missing or out of range; the text is a sentence for the caller.

    Attributes:
        name: the parameter.
        text: what was given, None when it is missing.
    """

    def __init__(self, name: str, text: str | None, rule: str) -> None:
        self.name = name
        self.text = text
        self.rule = rule
        super().__init__(name, text, rule)

    def __str__(self) -> str:
        if self.text is None:
            return f"The parameter {self.name} is missing: it has to be {self.rule}."
        shown = self.text if len(self.text) <= _LONGEST else self.text[:_LONGEST] + "..."
        return f"The parameter {self.name} has to be {self.rule}, not {shown!a}."


def read_x(parameters: Mapping[str, str]) -> int:
    """Return ``x``, an integer of at most 10^9 either way.

    Raises:
        ParameterError: it is missing, not an integer, or out of range.
    """
    text = parameters.get("x")
    rule = f"an integer from -{X_LIMIT} to {X_LIMIT}"
    try:
        x = int(_bounded(text))
    except ValueError:
        raise ParameterError("x", text, rule) from None
    if abs(x) > X_LIMIT:
        raise ParameterError("x", text, rule)
    return x


def read_seconds(parameters: Mapping[str, str]) -> float:
    """Return ``seconds``, a number from 0 to 20; 5.0 when it is not given.

    Raises:
        ParameterError: it is not a number, not finite, or out of range.
    """
    text = parameters.get("seconds")
    if text is None:
        return DEFAULT_SECONDS
    rule = f"a number of seconds from 0 to {SECONDS_LIMIT}"
    try:
        value = float(_bounded(text))
    except ValueError:
        raise ParameterError("seconds", text, rule) from None
    # Written so that NaN, which compares with nothing, is refused as well.
    if not 0 <= value <= SECONDS_LIMIT:
        raise ParameterError("seconds", text, rule)
    return abs(value)  # minus zero is zero


def _bounded(text: str | None) -> str:
    if text is None or len(text) > _LONGEST or "_" in text or not text.isascii():
        raise ValueError
    return text
