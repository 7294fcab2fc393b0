"""The services of the Procfile: where they listen, and that none of their processes is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from deploy import processes, services

SLEEPER = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); "


def test_all_ports_move_with_the_first() -> None:
    """Services listen as far from each other as in the Procfile, wherever the first one does."""
    ports = {service.name: service.port for service in services.read("127.0.0.1", 9000)}
    assert ports == {"frontend": 9000, "admin": 9001, "user": 9010, "welcome": 9020, "tweets": 9030}


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),  # noqa: S104 - nothing is bound
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
    ],
)
def test_the_address_from_this_machine(host: str, url: str) -> None:
    """A service that listens everywhere is reached on loopback; others are told where."""
    first = services.read(host, 8000)[0]
    assert first.url == url
    assert first.environment == {"SERVICE_URL_FRONTEND": url, "PORT_FRONTEND": "8000"}


def sleeper(mark: str, prelude: str = "") -> subprocess.Popen[bytes]:
    """Start a process with a mark; it runs when this returns."""
    process = subprocess.Popen(
        [SLEEPER[0], "-c", prelude + SLEEPER[2]],
        env={**os.environ, services.MARK: mark},
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


@pytest.mark.slow
def test_those_with_a_mark_are_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """All processes that have the mark are ended, the deaf ones by force; others live on."""
    monkeypatch.setattr(processes, "STOP_LIMIT", 3.0)
    with sleeper("one") as polite, sleeper("one", DEAF) as deaf, sleeper("two") as other:
        services.end_those_with("one")
        others = other.poll()
        other.kill()
        assert (polite.wait(5), deaf.wait(5)) == (-signal.SIGTERM, -signal.SIGKILL)
        assert others is None
