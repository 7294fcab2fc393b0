"""What a value of a setting or a variable means, and what is wrong with it.

Each sentence of a complaint begins after the name of the option, for the caller to add.
Imports nothing, so that it may be used before the patch.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = [
    "problem_of_choice",
    "problem_of_number",
    "problem_of_truth",
    "truth_of",
]

_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_FALSE = frozenset({"0", "false", "no", "off", "n", "f"})


def truth_of(text: str) -> bool | None:
    """Return what a word means, in any case; None if it means neither true nor false."""
    word = text.strip().lower()
    if word in _TRUE:
        return True
    return False if word in _FALSE else None


def problem_of_truth(value: object) -> str | None:
    """Return what is wrong with a value that has to be True or False."""
    return None if isinstance(value, bool) else f"must be True or False, not {value!r}"


def problem_of_choice(value: object, choices: Sequence[object]) -> str | None:
    """Return what is wrong with a value that has to be one of a few."""
    return None if value in choices else f"must be one of {tuple(choices)}, not {value!r}"


def problem_of_number(
    value: object, *, noun: str, whole: bool, least: float | None = None
) -> str | None:
    """Return what is wrong with a value that has to be a number.

    Args:
        value: the value; True and False are no numbers here.
        noun: what it has to be, such as "a number of seconds".
        whole: whether it has to be an integer.
        least: the least that it may be; None: any.
    """
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        return f"must be {noun}, not {value!r}"
    if least is not None and not value >= least:
        return f"must be at least {least}, not {value!r}"
    return None
