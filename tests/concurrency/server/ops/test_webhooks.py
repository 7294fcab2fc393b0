"""Webhooks: what changes is posted, signed, in order, and again until somebody takes it."""

from __future__ import annotations

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from concurrency.server.webhooks import signature
from tests.concurrency.server.served import Served
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECRET = "a secret of the two"


class Receiver:
    """Takes webhooks, after it has refused the first tries of each."""

    def __init__(self, refusals: int) -> None:
        self.taken: list[dict[str, str]] = []
        self.tries: list[tuple[str, str | None, str | None, bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                names = ("X-Concurrency-Id", "X-Concurrency-Timestamp", "X-Concurrency-Signature")
                identity, timestamp, signed = (self.headers[name] for name in names)
                receiver.tries.append((identity, timestamp, signed, body))
                tries = [one[0] for one in receiver.tries].count(identity)
                self.send_response(204 if tries > refusals else 503)
                self.end_headers()
                if tries > refusals:
                    receiver.taken.append(json.loads(body))

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
                """Say nothing: the test says what matters."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> Receiver:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def states(self) -> list[tuple[str, str]]:
        return [(one["type"], one["status"]) for one in self.taken]


def test_changes_are_told_in_order_signed_and_retried(tmp_path):
    """Each change comes once, with its signature, although the first try of each is refused."""
    variables = {
        "CONCURRENCY_WEBHOOK_SECRET": SECRET,
        "CONCURRENCY_SERVICE_VERSION": "1.2.3",
        "POD_NAME": "shop-7",
    }
    with (
        Receiver(refusals=1) as receiver,
        Served(tmp_path, "--webhook-url", receiver.url, **variables) as server,
    ):
        server.is_ready()
        until(lambda: ("readiness", "succeeded") in receiver.states(), "it is told")
        (tmp_path / "app_of_test" / "unpaid").touch()
        until(lambda: ("readiness", "failed") in receiver.states(), "it is told")
        (tmp_path / "app_of_test" / "unpaid").unlink()
        until(lambda: len(receiver.taken) == 4, "it is told")
        assert receiver.states() == [
            ("startup", "succeeded"),
            ("readiness", "succeeded"),
            ("readiness", "failed"),
            ("readiness", "succeeded"),
        ]
        told = receiver.taken[2]
        assert set(told) == {"type", "status", "info", "timestamp", "podname", "version"}
        assert (told["podname"], told["version"]) == ("shop-7", "1.2.3")
        assert "shop.E001" in told["info"]
        assert "12345" not in told["info"]
        for _, timestamp, signed, body in receiver.tries:
            assert signed == signature(SECRET, timestamp, body)
        assert len({identity for identity, *_ in receiver.tries}) == 4
        assert SECRET not in server.text
        os.kill(server.ops_process(), signal.SIGKILL)
        server.is_ready()
        (tmp_path / "app_of_test" / "unpaid").touch()
        until(lambda: len(receiver.taken) == 5, "it is told")
        assert receiver.states()[4] == ("readiness", "failed"), "what was told is not told again"
        assert server.ends() == 0


def test_a_start_that_failed_is_told(tmp_path):
    """The last word of a service that did not start is why, and it waits for it to be taken."""
    with (
        Receiver(refusals=1) as receiver,
        Served(
            tmp_path, "--webhook-url", receiver.url, "--command", "say --code 7", "--no-metrics"
        ) as server,
    ):
        assert server.process.wait(timeout=60) == 7
        assert receiver.states() == [("startup", "failed")]
        assert "`say --code 7` ended with exit code 7" in receiver.taken[0]["info"]
