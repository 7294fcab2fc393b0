"""Whom the application believes."""

from __future__ import annotations

import pytest

from concurrency.server.wrapping import Forwarded


@pytest.mark.parametrize(
    ("address", "allowed", "believed"),
    [
        ("127.0.0.1", "127.0.0.1,::1", True),
        ("10.1.2.3", "10.0.0.0/8", True),
        ("::1", "127.0.0.1,::1", True),
        ("::ffff:127.0.0.1", "127.0.0.1", True),
        ("", "192.0.2.1", True),
        ("10.1.2.3", "127.0.0.1", False),
        ("::ffff:10.1.2.3", "10.1.2.4", False),
    ],
)
def test_headers_of_proxies_are_those_of_allowed_proxies(address, allowed, believed):
    """From others they are dropped, the one that the settings name as well, and nothing else."""
    claims = {
        "HTTP_X_FORWARDED_FOR": "203.0.113.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_FORWARDED": "proto=https",
        "HTTP_X_REAL_IP": "203.0.113.7",
        "HTTP_X_SCHEME": "https",
    }
    environ = {"REMOTE_ADDR": address, "HTTP_HOST": "shop.test", **claims}
    seen = {}
    application = Forwarded(lambda environ, start: seen.update(environ), allowed, "HTTP_X_SCHEME")
    application(environ, None)
    assert set(claims) & set(seen) == (set(claims) if believed else set())
    assert seen["HTTP_HOST"] == "shop.test"
