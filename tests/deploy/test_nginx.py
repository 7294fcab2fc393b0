"""The example of nginx, run in front of two services: streams, large bodies, drain."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.cluster import free_port
from tests.concurrency.server.served import Served, ask
from tests.helpers import until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.nginx, pytest.mark.timeout(90)]


class Nginx:
    """nginx with the example's configuration, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        example = (ROOT / "deploy" / "nginx.conf").read_text()
        assert example.count("/run/shop/") > 4
        text = example.replace("/run/shop/", f"{folder}/").replace("8080", str(self.port))
        if os.getuid() == 0:  # its workers would be another user, who cannot reach the folder
            text = f"user root;\n{text}"
        (folder / "nginx.conf").write_text(text)
        self._log = folder / "nginx.log"
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                ["nginx", "-p", folder, "-c", folder / "nginx.conf", "-g", "daemon off;"],
                stderr=log,
            )
        until(self._answers, self._log.read_text())

    def _answers(self) -> bool:
        try:
            return ask(self.port, "/")[0] == 200
        except OSError:
            return False

    def __enter__(self) -> Nginx:
        return self

    def __exit__(self, *error: object) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """nginx and two services."""
    folder = tmp_path_factory.mktemp("nginx")
    with contextlib.ExitStack() as stack:
        services = []
        for name in "ab":
            (folder / name).mkdir()
            options = ["--bind", f"unix:{folder}/{name}.sock", "--max-body-size", str(30 << 20)]
            options += ["--worker-class", "concurrency.server.GeventWorker", "--no-metrics"]
            services.append(stack.enter_context(Served(folder / name, *options)))
        for service in services:
            service.is_ready()
        yield stack.enter_context(Nginx(folder)), services


def test_who_and_how_is_said_by_nginx(site):
    """The service sees https or not, and the client's address, as nginx says and not the client."""
    nginx, _ = site
    claims = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https", "Host": "shop.test"}
    seen = json.loads(ask(nginx.port, "/who/", headers=claims)[1])
    assert seen == {"address": "", "for": "127.0.0.1", "secure": False, "host": "shop.test"}


def test_a_stream_arrives_as_it_is_sent(site):
    """The first chunk is there before the last has been made."""
    nginx, _ = site
    client = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10)
    with contextlib.closing(client):
        client.request("GET", "/stream/")
        answer = client.getresponse()
        assert answer.read1() == b"first"
        assert answer.read() == b"last"


def test_a_slow_reader_is_left_to_nginx(site):
    """The service has written all of a large answer before its client reads the body."""
    nginx, services = site
    client = http.client.HTTPConnection("127.0.0.1", nginx.port, timeout=10)
    with contextlib.closing(client):
        client.request("GET", "/report/32/")
        answer = client.getresponse()
        until(
            lambda: any("the report is written" in service.text for service in services),
            "the service has written its answer",
        )
        assert answer.read() == b"x" * (32 << 20)


def test_a_large_body_passes(site):
    """Twenty megabytes arrive as a whole; what is beyond the service's limit is refused."""
    nginx, _ = site
    body = b"x" * (20 << 20)
    assert ask(nginx.port, "/read/", method="POST", body=body) == (200, b"%d" % len(body))
    assert ask(nginx.port, "/read/", method="POST", body=body + body)[0] == 413


def test_a_service_drains_behind_nginx(site):
    """While one of the two ends and starts again under load, no client sees an error."""
    nginx, (first, _) = site
    over = False

    def load(number: int) -> list[tuple[int, bytes]]:
        answers = []
        while not over:
            answers.append(ask(nginx.port, "/sleep/0.02/"))
        return answers

    with ThreadPoolExecutor(8) as threads:
        loads = [threads.submit(load, number) for number in range(8)]
        assert first.ends() == 0
        first.start()
        first.is_ready()
        over = True
        answers = [answer for each in loads for answer in each.result()]
    assert set(answers) == {(200, b"slept")}
