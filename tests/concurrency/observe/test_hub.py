"""A blocked hub is noticed from outside, and who blocks it is named."""

from __future__ import annotations

import logging
import re

import gevent
import pytest
from django.db import connection
from django.http import HttpResponse
from gevent.monkey import get_original

from concurrency import gather
from concurrency.observe.hub import Monitor
from tests.concurrency.asking import ask
from tests.helpers import until

pytestmark = pytest.mark.slow
block = get_original("time", "sleep")


@pytest.fixture(autouse=True)
def monitor():
    """Watch the hub of the test, impatiently."""
    watching = Monitor(0.1)
    watching.start()
    yield watching
    watching.stop()


def reports(caplog) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "concurrency.hub"]


def test_a_blocked_hub_is_logged_once_with_the_stack_that_blocks_it(caplog):
    """Its request and the last statement on its connection are there too."""

    def view(request):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'before'")
        block(0.4)
        return HttpResponse()

    ask(view, x_request_id="abc")
    gevent.sleep(0)
    until(lambda: bool(reports(caplog)), "it is logged")
    (record,) = reports(caplog)
    text = record.getMessage()
    assert "GET /some/where/ id abc" in text
    assert "SQL \"SELECT 'before'\"" in text
    assert re.match(r"test_hub.py:\d+ in view, `block\(0.4\)`: the hub is blocked for 0.", text)


def test_a_child_that_blocks_the_hub_is_logged_with_its_request(caplog):
    """What it inherited tells for whom it works."""

    def view(request):
        gather(lambda: block(0.3))
        return HttpResponse()

    ask(view, x_request_id="abc")
    until(lambda: bool(reports(caplog)), "it is logged")
    assert "GET /some/where/ id abc" in reports(caplog)[0].getMessage()


def test_a_hub_that_only_waits_is_not_blocked(monitor, caplog):
    """However often the monitor checks while nothing happens."""
    enough = monitor.checks + 16
    until(lambda: monitor.checks >= enough, "the monitor has checked")
    assert reports(caplog) == []
