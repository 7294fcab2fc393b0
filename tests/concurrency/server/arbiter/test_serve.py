"""`manage.py serve`: what happens before the port opens, and what is around the application."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deploy.cluster import free_port
from tests.concurrency.server.served import Served, ask, environment, run, write_project
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """One service with limits and files, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("served")
    for name in ("collected", "media"):
        (folder / name).mkdir()
    (folder / "collected" / "site.css").write_text("p {}")
    options = ["--static", "--media", "--max-body-size", "1000"]
    with Served(folder, *options, "--bind", f"unix:{folder}/socket") as server:
        yield server.is_ready()


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self._path)


def by_socket(served, path, *, method="GET", body=None, headers=None, chunked=False):
    """Ask a service on its unix socket; return status and body, and whether it was closed."""
    with contextlib.closing(_UnixConnection(f"{served.folder}/socket")) as connection:
        connection.request(method, path, body, headers or {}, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.will_close


def test_one_screen_at_the_start(served):
    """The screen has versions, workers, what the pools may need of the server, and addresses."""
    lines = served.text.splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("  ") and "Python" in line)
    screen = "\n".join(line for line in lines[first : first + 10] if line.startswith("  "))
    assert "gevent" in screen
    assert "1 of concurrency.server.GeventWorker" in screen
    assert 'off (CONCURRENCY["SHED_AFTER"])' in screen
    assert "Django" in screen
    assert "20 connections for the worker; the server allows" in screen
    assert f"http://127.0.0.1:{served.ops_port} /startup /alive /ready /metrics" in screen
    assert f"unix:{served.folder}/socket" in screen
    assert len(screen.splitlines()) < 10


def test_static_files_and_media(served):
    """Collected files are served, and uploads that appear while it runs."""
    assert by_socket(served, "/static/site.css")[:2] == (200, b"p {}")
    assert by_socket(served, "/static/no.css")[0] == 404
    assert by_socket(served, "/static/../settings_of_test.py")[0] == 404
    (served.folder / "media" / "cat.txt").write_text("miau")
    assert by_socket(served, "/media/cat.txt")[:2] == (200, b"miau")


def test_a_body_that_is_too_large_is_refused(served):
    """413 for a body beyond the limit, with a length or in chunks, and the connection ends."""
    assert by_socket(served, "/take/", method="POST", body=b"x" * 1000)[:2] == (200, b"1000")
    for size in (1001, 5_000_000):  # the second one is still on its way when it is refused
        status, _, closed = by_socket(served, "/take/", method="POST", body=b"x" * size)
        assert (status, closed) == (413, True)
    chunked = {"Transfer-Encoding": "chunked"}

    def pieces(count):
        return (b"x" * 100 for _ in range(count))

    fits = by_socket(
        served, "/read/", method="POST", body=pieces(10), headers=chunked, chunked=True
    )
    assert fits[:2] == (200, b"1000")
    status, _, closed = by_socket(
        served, "/read/", method="POST", body=pieces(11), headers=chunked, chunked=True
    )
    assert (status, closed) == (413, True)


def test_forwarded_headers_are_believed_from_a_socket(served):
    """Behind a unix socket the proxy's word counts: the request was https."""
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    seen = json.loads(by_socket(served, "/who/", headers=headers)[1])
    assert (seen["secure"], seen["for"]) == (True, "203.0.113.7")
    # A client chooses no prefix, also through a proxy that passes on all it gets.
    assert by_socket(served, "/who/", headers={"SCRIPT_NAME": "/who"})[0] == 200
    assert by_socket(served, "/who/", headers={"SCRIPT_NAME": "/other"})[0] == 200


def test_forwarded_headers_of_strangers_are_dropped(start):
    """Who is not an allowed proxy can neither claim https nor another address."""
    options = ["--forwarded-allow-ips", "192.0.2.1", "--no-metrics", "--log-probes"]
    server = start(*options, "--", "--keep-alive", "7").is_ready()
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
    seen = json.loads(server.get("/who/", headers=headers)[1])
    assert (seen["secure"], seen["for"]) == (False, "")
    assert server.status("/metrics") == 404
    server.says('"GET /metrics HTTP/1.1" 404')
    command = Path(f"/proc/{server.process.pid}/cmdline").read_text().split("\0")
    assert command[command.index("--keep-alive") + 1] == "7", "gunicorn's own options follow --"


def test_commands_run_in_order_before_the_port_opens(start, tmp_path):
    """Commands run one after the other; until they have ended the probes say which one runs."""
    server = start("--command", "say first", "--command", f"say second --until {tmp_path}/go")
    until(lambda: server.status("/startup") == 503, "probes answer")
    until(lambda: "second" in server.probe("/startup")[1]["parts"]["service"], "it is the second")
    server.says("said second")
    assert server.status("/alive") == 200
    assert server.status("/ready") == 503
    with pytest.raises(OSError, match="refused"):
        server.get("/")
    assert server.text.index("said first") < server.text.index("said second")
    (tmp_path / "go").touch()
    server.is_ready()
    assert server.text.index("said second") < server.text.index("Listening at")


@pytest.mark.parametrize(("command", "code"), [("say --code 7", 7), ("say --code -9", 128 + 9)])
def test_a_failing_command_ends_it_with_its_exit_code(start, command, code):
    """The first failure is the last command, and its exit code, or signal, that of the service."""
    server = start("--command", command, "--command", "say never")
    assert server.process.wait(timeout=60) == code
    assert f"`{command}` ended with exit code {code}, so the service does not start" in server.text
    assert "never" not in server.text
    assert not list(server.folder.glob("concurrency-*/*-*"))


def test_a_start_can_be_broken_off(start):
    """SIGTERM during a command ends the command and the service, which did not start."""
    server = start("--command", "say on --until never")
    server.says("said on")
    assert server.ends() == 128 + signal.SIGTERM


def test_a_command_that_hears_nothing_is_killed_by_the_second_signal(start):
    """So the start of a service can always be broken off."""
    server = start("--command", "say on --deaf --until never")
    server.says("said on")
    server.process.terminate()
    server.says("heard nothing")
    assert server.ends() == 128 + signal.SIGTERM


def answers(port, path):
    """Return the status of an answer; 0 where nobody answers."""
    try:
        return ask(port, path)[0]
    except OSError:
        return 0


def test_the_stock_start_works_as_well(tmp_path):
    """Plain gunicorn with the library's configuration has ops port and all, by the environment."""
    write_project(tmp_path)
    port, ops = free_port(), free_port()
    variables = {"CONCURRENCY_OPS_PORT": str(ops), "CONCURRENCY_PORT": str(port)}
    command = [sys.executable, "-m", "gunicorn", "-k", "gevent"]
    command += ["-c", "python:concurrency.server.gunicorn_conf", "wsgi_of_test"]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            command,
            cwd=tmp_path,
            env=environment(tmp_path, **variables),
            stdout=log,
            stderr=log,
        )
    try:
        asked = {"CONCURRENCY_RUNTIME_FOLDER": str(tmp_path), **variables}

        def probe(kind):
            return subprocess.run(
                [sys.executable, "-m", "concurrency.server.probe", kind],
                cwd=tmp_path,
                env=environment(tmp_path, **asked),
                capture_output=True,
                text=True,
            )

        until(lambda: answers(ops, "/ready") == 200, "ready")
        assert probe("ready").returncode == 0
        assert json.loads(probe("alive").stdout)["status"] == "ok"
        by_manage = run(tmp_path, "probe", "startup", **asked)
        assert (by_manage.returncode, by_manage.stderr) == (0, "")
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port)) as client:
            client.request("GET", "/")
            assert client.getresponse().status == 200
    finally:
        server.terminate()
        assert server.wait(timeout=60) == 0
    by_manage = run(tmp_path, "probe", "ready", **asked)
    assert by_manage.returncode == 1
    assert "nobody answers" in by_manage.stderr


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--reload", "--debugger"], "do not go together"),
        (["--static"], "--static serves STATIC_ROOT"),
        (["--port", "0x50"], "invalid int value"),
    ],
)
def test_what_cannot_work_is_said_at_once(tmp_path, arguments, complaint):
    """Wrong options end the command with a line and a code that is not 0."""
    write_project(tmp_path)
    done = run(tmp_path, "serve", *arguments)
    assert done.returncode != 0
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_that_grows_is_replaced(start):
    """Beyond max-memory a worker drains and is replaced; under load no request is lost."""
    worker = ["--worker-class", "concurrency.server.GeventWorker"]
    server = start("--max-memory", "250", "--workers", "2", *worker).is_ready()
    grown = {int(server.get("/keep/300/")[1])}
    pids: set[int] = set()

    def load(_):
        answers = []
        while not grown.isdisjoint(running()):
            status, body = server.get("/sleep/0.02/")
            answers.append((status, body))
        return answers

    def running():
        try:
            os.kill(next(iter(grown)), 0)
        except ProcessLookupError:
            return set()
        return grown

    with ThreadPoolExecutor(4) as threads:
        answers = [answer for each in threads.map(load, range(4)) for answer in each]
    assert set(answers) == {(200, b"slept")}
    assert "it drains and is replaced" in server.text
    pids.add(int(server.get("/")[1]))
    assert pids.isdisjoint(grown)


def test_a_change_restarts_it(start, tmp_path):
    """With --reload a changed file restarts the server, also after a mistake in it."""
    static = tmp_path / "app_of_test" / "static"
    static.mkdir(parents=True)
    apps = {"APPS_OF_TEST": "django.contrib.staticfiles"}
    server = start("--reload", "--static-watch", str(static), **apps)
    until(lambda: server.status("/ready") == 200, "ready")
    urls = server.folder / "urls_of_test.py"
    good = urls.read_text()
    urls.write_text("this is no Python\n")
    server.says("the server restarts")
    urls.write_text(good.replace('"slept"', '"dreamt"'))

    def dreams():
        with contextlib.suppress(OSError, http.client.HTTPException):
            return server.get("/sleep/0/") == (200, b"dreamt")
        return False

    until(dreams, server.text)
    (static / "new.css").write_text("p {}")
    until(lambda: (tmp_path / "collected" / "new.css").is_file(), "static files are collected")
    assert server.ends() == 0


def test_a_debugger_can_attach_from_here_alone(start):
    """debugpy listens on loopback and answers in its protocol."""
    port = free_port()
    server = start("--debugger", "--debugger-port", str(port)).is_ready()
    listening = subprocess.run(["ss", "-ltnH"], capture_output=True, text=True).stdout
    assert f"127.0.0.1:{port}" in listening
    assert f"0.0.0.0:{port}" not in listening
    with socket.create_connection(("127.0.0.1", port), timeout=30) as client:
        body = b'{"seq": 1, "type": "request", "command": "initialize", "arguments": {}}'
        client.sendall(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert client.recv(100).startswith(b"Content-Length: ")
    assert server.get("/count/") == (200, b"1")
