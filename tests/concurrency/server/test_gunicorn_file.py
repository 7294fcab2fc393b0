"""The project's own `gunicorn.conf.py` beneath `serve`: precedence, hooks, what is refused."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from concurrency.server import hooks
from deploy.cluster import free_port
from tests.concurrency.server.served import Served, ask, run, write_project
from tests.servers import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


WRITE = 'worker_class = "concurrency.server.GeventWorker"'


@pytest.fixture
def start(tmp_path):
    """Start a service with a gunicorn.conf.py of its own."""
    with contextlib.ExitStack() as stack:

        def begin(configuration: str, *arguments: str, **variables: str) -> Served:
            (tmp_path / "gunicorn.conf.py").write_text(configuration)
            return stack.enter_context(Served(tmp_path, *arguments, **variables))

        yield begin


def own_hooks(calls: str = "") -> str:
    """Return a configuration with all hooks, which note their names; `calls` comes before."""
    text = "from pathlib import Path\nfrom concurrency.server import hooks as theirs\n"
    arguments = {
        "nworkers_changed": "server, new_value, old_value",
        "pre_request": "worker, req",
        "post_request": "worker, req, environ",
        "post_worker_init": "worker",
        **dict.fromkeys(
            ["on_starting", "when_ready", "on_reload", "on_exit", "pre_exec"], "server"
        ),
    }
    for name in hooks.__all__:
        given = arguments.get(name, "server, worker")
        text += (
            f"def {name}({given}):\n"
            f"    {calls.format(name=name, arguments=given) or 'pass'}\n"
            f"    with Path('hooks').open('a') as file:\n"
            f"        file.write('{name}\\n')\n"
        )
    return text


@pytest.mark.parametrize(
    "calls", ["", "theirs.{name}({arguments}, *[None] * ('{name}' == 'post_request'))"]
)
def test_hooks_of_the_file_run_beside_those_of_the_package(start, tmp_path, calls):
    """All of both run, once each, also where the file's hooks call the package's themselves."""
    server = start(own_hooks(calls), "--workers", "1").is_ready()
    assert server.get("/count/") == (200, b"1")
    name = 'concurrency_requests_total{method="GET",route="/count/",status="200"}'
    until(lambda: server.metric(name) == 1, "the request is counted once")
    assert server.metric("concurrency_workers") == 1
    assert server.probe("/ready")[1]["numbers"]["in_flight"] == 0
    assert server.ends() == 0
    ran = (tmp_path / "hooks").read_text().split()
    assert set(ran) == set(hooks.__all__) - {"on_reload", "pre_exec"}
    assert "Traceback" not in server.text
    assert not list(tmp_path.glob("concurrency-*/*-*")), "its folder is removed"


def test_an_option_beats_the_environment_beats_the_file_beats_the_setting(start, tmp_path):
    """Each setting comes from the first source that has it."""
    file = "workers = 3\ntimeout = 41\ngraceful_timeout = 42\nkeepalive = 7\n"
    server = start(
        file, "--timeout", "51", "--", "--print-config", CONCURRENCY_GRACEFUL_TIMEOUT="52"
    )
    assert server.process.wait(timeout=60) == 0
    shown = dict(
        line.split("=", 1) for line in server.text.replace(" ", "").splitlines() if "=" in line
    )
    assert shown["workers"] == "3", "the setting says 1"
    assert shown["timeout"] == "51"
    assert shown["graceful_timeout"] == "52"
    assert shown["keepalive"] == "7"
    assert shown["worker_connections"] == "1000"


@pytest.mark.parametrize(
    ("file", "arguments", "variables", "bind"),
    [
        ("bind = '127.0.0.2:{free}'", [], {}, "127.0.0.2:{free}"),
        ("bind = '127.0.0.2:1'", [], {"PORT": "{free}"}, "127.0.0.2:{free}"),
        ("bind = '127.0.0.2:{free}'", ["--bind", "127.0.0.3"], {}, "127.0.0.3:{free}"),
        ("bind = ['127.0.0.2:{free}', 'unix:socket']", [], {}, "127.0.0.2:{free}"),
        ("bind = ':1'", ["--port", "{free}"], {"GUNICORN_CMD_ARGS": "-b :2"}, "127.0.0.1:{free}"),
        ("", [], {"GUNICORN_CMD_ARGS": "-b 127.0.0.2:{free}"}, "127.0.0.2:{free}"),
    ],
)  # fmt: skip
def test_host_and_port_come_from_different_sources(start, file, arguments, variables, bind):
    """A port that is chosen goes with the host of the file, and the screen shows both."""
    port = str(free_port())
    filled = {name: value.format(free=port) for name, value in variables.items()}
    server = start(
        file.format(free=port),
        *[argument.format(free=port) for argument in arguments],
        **{"CONCURRENCY_PORT": "", **filled},
    ).is_ready()
    server.says(f"application  http://{bind.format(free=port)}/")


def test_a_longer_timeout_of_the_file_is_that_of_the_liveness_probe(start):
    """What the probes judge by is what gunicorn does, and not what the options say."""
    server = start("timeout = 1000\nforwarded_allow_ips = '*'\n", CONCURRENCY_TIMEOUT="")
    server.is_ready()
    seen = ask(server.port, "/who/", headers={"X-Forwarded-Proto": "https"})[1]
    assert b'"secure": true' in seen, "the file allows all proxies"
    assert server.probe("/alive")[0] == 200


def test_it_is_read_again_when_gunicorn_reloads(start, tmp_path):
    """SIGHUP takes what the file says now."""
    server = start("workers = 1\n").is_ready()
    (tmp_path / "gunicorn.conf.py").write_text("workers = 2\n")
    server.process.send_signal(1)
    until(lambda: server.metric("concurrency_workers") == 2, "two workers")


@pytest.mark.parametrize(
    ("file", "arguments", "complaint", "remedy"),
    [
        ("worker_class = 'sync'", [], "'sync' does not serve greenlets", f"py write: {WRITE}"),
        ("worker_class = 'nope'", [], "'nope' cannot be imported", "write: worker_class"),
        ("", ["--worker-class", "nope"], "'nope' cannot be imported", "Choose --worker-class"),
        ("", ["--worker-class", "nope.Nope"], "No module named 'nope'", "--worker-class"),
        ("", ["--worker-class", "gthread"], "'gthread' does not serve greenlets", "--worker-class"),
        ("", ["--", "-k", "sync"], "'sync' does not serve greenlets", "--worker-class"),
        ("workers = 'many'", [], "sets workers = 'many'", "invalid literal"),
        ("", ["--", "-c", "missing.py"], "missing.py does not exist", ""),
    ],
)  # fmt: skip
def test_what_cannot_serve_is_refused_in_one_line(tmp_path, file, arguments, complaint, remedy):
    """There is one line, which says what to write, and no traceback."""
    write_project(tmp_path)
    Path(tmp_path, "gunicorn.conf.py").write_text(file)
    done = run(tmp_path, "serve", *arguments, CONCURRENCY_RUNTIME_FOLDER=str(tmp_path))
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert complaint in done.stderr
    assert remedy in done.stderr
    assert done.stdout == ""
