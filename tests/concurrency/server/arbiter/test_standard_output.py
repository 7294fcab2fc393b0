"""A service whose standard output cannot be written."""

from __future__ import annotations

import pytest

from tests.concurrency.server.served import Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_it_serves_without_a_standard_output(tmp_path, redirection):
    """A full disk or a closed descriptor costs the start screen, not the service."""
    with Served(tmp_path, redirection=redirection) as server:
        server.is_ready()
        assert server.get("/")[0] == 200
        assert server.ends() == 0
    assert "Traceback" not in server.text
