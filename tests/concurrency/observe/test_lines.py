"""Lines of the log: whose request they belong to, and that nobody outside can write one."""

from __future__ import annotations

import contextlib
import logging.config

import pytest

from concurrency.observe import logging_config
from concurrency.text import printable
from tests.concurrency.server.gunicorns import Client, Gunicorn
from tests.servers import until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/plain/%20path", "/plain/%20path"),
        ("/caf\u00e9/", "/caf\u00e9/"),
        ("/a\nb\r\tc", "/a\\nb\\r\\tc"),
        ("/\x1b[31m\x9b\x7f", "/\\x1b[31m\\x9b\\x7f"),
        ("/\u2028\u202e\ud800", "/\\u2028\\u202e\\ud800"),
    ],
)
def test_text_from_outside_is_printable(text, shown):
    """Line ends, escapes, directions and surrogates are shown as escapes, once."""
    assert printable(text) == shown
    assert printable(printable(text)) == shown


def test_one_line_of_settings_shows_requests_and_pools(capsys):
    """`LOGGING = logging_config()` is a configuration that Python takes, with the request id."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        logging.config.dictConfig(logging_config())
        logging.getLogger("concurrency.request").info("GET /")
        assert " INFO [-] concurrency.request: GET /\n" in capsys.readouterr().out
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


def test_the_path_cannot_forge_a_line(tmp_path):
    """Neither Django, nor this package, nor the access log write raw control characters."""
    with Gunicorn(tmp_path, "--access-logfile", "-") as server:
        until(lambda: "views are imported" in server.text(), "it serves", 40)
        with contextlib.closing(Client(server.port)) as client:
            client.send("/none/%0AERROR%20forged%1b%5b31m/", "X-Request-ID: abc")
            assert client.receive()[0] == 404
        server.wait_for("Not Found")
        server.wait_for("GET - 404")
        text = server.text()
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line.startswith("ERROR forged")]


def test_djangos_line_of_an_error_has_the_request_id(tmp_path):
    """What `django.request` says after the response is of the same request, and says it once."""
    with Gunicorn(tmp_path) as server:
        until(lambda: "views are imported" in server.text(), "it serves", 40)
        server.get("/none/", "X-Request-ID: not-here")
        server.wait_for("Not Found: /none/ [not-here]")
        server.wait_for("SQL [not-here]")
        lines = [line for line in server.text().splitlines() if "not-here" in line]
    assert [line.count("not-here") for line in lines] == [1, 1]
