"""Words for true and false, and what is wrong with a value."""

from __future__ import annotations

import math

import pytest

from concurrency.values import problem_of_choice, problem_of_number, problem_of_truth, truth_of


@pytest.mark.parametrize("text", ["1", "true", "Yes", "ON", "y", " t "])
def test_words_for_true(text):
    """In any case, with space around them."""
    assert truth_of(text) is True


@pytest.mark.parametrize("text", ["0", "false", "No", "OFF", "n", "f"])
def test_words_for_false(text):
    """In any case."""
    assert truth_of(text) is False


@pytest.mark.parametrize("text", ["", "maybe", "2"])
def test_other_words_mean_nothing(text):
    """The caller says what to write instead."""
    assert truth_of(text) is None


def test_only_true_and_false_are_truths():
    """A number or a word is not taken for one."""
    assert problem_of_truth(False) is None
    assert problem_of_truth(1) == "must be True or False, not 1"


def test_a_choice_names_what_there_is():
    """And what was given."""
    assert problem_of_choice("a", ("a", "b")) is None
    assert problem_of_choice("c", ["a", "b"]) == "must be one of ('a', 'b'), not 'c'"


@pytest.mark.parametrize(
    ("value", "whole", "expected"),
    [
        (3, True, None),
        (2.5, False, None),
        (1, False, None),
        (2.5, True, "must be a number, not 2.5"),
        ("3", True, "must be a number, not '3'"),
        (True, False, "must be a number, not True"),
        (0, True, "must be at least 1, not 0"),
        (math.nan, False, "must be at least 1, not nan"),
    ],
)
def test_a_number_has_a_type_and_a_least(value, whole, expected):
    """True is no number, and what is no number at all is not large enough."""
    assert problem_of_number(value, noun="a number", whole=whole, least=1) == expected


def test_a_number_may_have_no_least():
    """Then any will do."""
    assert problem_of_number(-5, noun="a number", whole=True) is None
