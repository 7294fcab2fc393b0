"""Whom the application believes."""

from __future__ import annotations

import pytest

from concurrency.server.worker.wrapping import Forwarded


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


def test_a_prefix_that_a_stranger_claims_is_part_of_the_path():
    """gunicorn has believed the header where its own list of proxies is longer than ours."""
    environ = {
        "REMOTE_ADDR": "10.1.2.3",
        "HTTP_SCRIPT_NAME": "/a%20b",
        "SCRIPT_NAME": "/a%20b",
        "PATH_INFO": "/shop/",
    }
    Forwarded(lambda environ, start: [], "127.0.0.1")(environ, None)
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("", "/a b/shop/")
    assert "HTTP_SCRIPT_NAME" not in environ
