"""The ids of a request on its way through services that call each other."""

from __future__ import annotations

import re

import pytest

from tests.concurrency.server.gunicorns import Gunicorn
from tests.servers import until


@pytest.mark.slow
def test_the_request_id_goes_across_three_services(tmp_path):
    """Each logs its own request with the id that the first was given."""
    with Gunicorn(tmp_path) as server:
        until(lambda: "views are imported" in server.text(), "it serves", 40)
        status, head, body = server.get("/chain/3/", "X-Request-ID: from-far-away")
        assert (status, body) == (200, b"the end")
        assert "X-Request-ID: from-far-away\r\n" in f"{head}\r\n"
        server.wait_for(" SQL [from-far-away]", 3)
        found = r"^GET /chain/<length>/ 200 .* SQL \[(.*)\]$"
        lines = re.findall(found, server.text(), re.MULTILINE)
    assert lines == ["from-far-away"] * 3
