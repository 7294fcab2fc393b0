"""The tweets do what their schema says, whatever it allows and whatever it forbids."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from tests.example_site.tweeting import Tweeting

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
EXAMPLES = 10
OF_THE_BEGINNING = {1, 2}


@pytest.mark.parametrize("mode", GenerationMode)
def test_every_answer_is_one_of_the_schema(tweets: Tweeting, mode: GenerationMode) -> None:
    """Right and wrong requests are answered as the schema tells, and never with a 500."""
    schema = schemathesis.openapi.from_url(f"{tweets.server.url}/schema/?format=json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) == 7
    try:
        for operation in operations:
            ask(tweets, operation, mode)
    finally:
        tweets.tidy()


def ask(tweets: Tweeting, operation: Any, mode: GenerationMode) -> None:
    """Send generated requests for an operation; those of the beginning stay as they are."""
    own = int(tweets.ask("POST", "/tweet/", json={"text": "x"}).headers["Location"].split("/")[-1])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        if case.path_parameters.get("id") in OF_THE_BEGINNING:
            case.path_parameters["id"] = own
        case.call_and_validate(headers=tweets.account, checks=CHECKS)

    check()
