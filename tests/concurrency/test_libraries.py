"""Libraries that block, and tools that start native threads before the patch."""

from __future__ import annotations

from pathlib import Path

import pytest

from concurrency.patching.libraries import LIBRARIES
from tests.concurrency.test_patch import PATCHED, ROOT, facts, python

pytestmark = pytest.mark.slow

CHECKS = """
import concurrency.patch, importlib, sys, django
from django.conf import settings
settings.configure(INSTALLED_APPS=['concurrency'])
django.setup()
from django.core import checks
importlib.import_module(sys.argv[1])
print([m.msg for m in checks.run_checks() if m.id == 'concurrency.W009'])
"""


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.module)
def test_a_check_names_each_library_that_blocks(tmp_path: Path, library):
    """By the module that shows it is in use; what stands for it here says that it blocks."""
    (tmp_path / f"{library.module}.py").write_text("def is_thin_mode(): return False\n")
    code = CHECKS.replace("sys.argv[1]", repr(library.module))
    assert library.name in facts(code, PYTHONPATH=f"{ROOT}:{tmp_path}")


def test_oracledb_in_thin_mode_does_not_block(tmp_path: Path):
    """Its thin mode is Python, and waits cooperatively."""
    (tmp_path / "oracledb.py").write_text("def is_thin_mode(): return True\n")
    code = CHECKS.replace("sys.argv[1]", "'oracledb'")
    assert facts(code, PYTHONPATH=f"{ROOT}:{tmp_path}") == "[]"


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.module)
def test_a_library_that_is_installed_is_recognised(library):
    """By what PyPI's package really installs; oracledb begins in its thin mode."""
    pytest.importorskip(library.module, exc_type=ImportError)
    named = library.name in facts(CHECKS.replace("sys.argv[1]", repr(library.module)))
    assert named is (library.module != "oracledb")


def test_the_crt_of_aws_lets_greenlets_run():
    """It waits through futures, which are shared by its threads and greenlets."""
    pytest.importorskip("awscrt")
    client = (
        "import concurrency.patch, gevent, os, socket\n"
        "import awscrt.http, awscrt.io\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "turns = []\n"
        "def serve():\n"
        "    connection, _ = listener.accept()\n"
        "    connection.recv(9999)\n"
        "    for _ in range(20): gevent.sleep(0.001); turns.append(1)\n"
        "    connection.sendall(b'HTTP/1.1 204 No Content\\r\\n\\r\\n')\n"
        "gevent.spawn(serve)\n"
        "loops = awscrt.io.EventLoopGroup(1)\n"
        "resolver = awscrt.io.DefaultHostResolver(loops)\n"
        "connection = awscrt.http.HttpClientConnection.new(\n"
        "    host_name='127.0.0.1', port=listener.getsockname()[1],\n"
        "    bootstrap=awscrt.io.ClientBootstrap(loops, resolver)).result(15)\n"
        "stream = connection.request(awscrt.http.HttpRequest('GET', '/'))\n"
        "stream.activate()\n"
        "print(stream.completion_future.result(15), len(turns), flush=True)\n"
        "os._exit(0)\n"
    )
    done = python(client)
    assert (done.returncode, done.stdout) == (0, "204 20\n"), done.stderr


def test_grpc_lets_greenlets_run():
    """Its mode for gevent is on as soon as it is imported."""
    pytest.importorskip("grpc")
    server = (
        "import concurrent.futures, grpc, sys, time\n"
        "class Handler(grpc.GenericRpcHandler):\n"
        "    def service(self, details):\n"
        "        def call(request, context): time.sleep(0.5); return request\n"
        "        return grpc.unary_unary_rpc_method_handler(call)\n"
        "server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))\n"
        "server.add_generic_rpc_handlers((Handler(),))\n"
        "print(server.add_insecure_port('127.0.0.1:0'), flush=True)\n"
        "server.start()\n"
        "sys.stdin.read()\n"
    )
    client = (
        "import concurrency.patch, gevent, grpc, os, subprocess, sys\n"
        f"server = subprocess.Popen([sys.executable, '-c', {server!r}],\n"
        "    stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "port = int(server.stdout.readline())\n"
        "turns = []\n"
        "def turn():\n"
        "    while True: turns.append(1); gevent.sleep(0.01)\n"
        "gevent.spawn(turn)\n"
        "call = grpc.insecure_channel(f'127.0.0.1:{port}').unary_unary('/a/b')\n"
        "before = len(turns)\n"
        "assert call(b'x', timeout=30, wait_for_ready=True) == b'x'\n"
        "print(len(turns) - before > 5, flush=True)\n"
        "server.stdin.close()\n"
        "server.wait()\n"
        "os._exit(0)\n"
    )
    done = python(client)
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr


THREAD = "import threading, time\n"
THREAD += "threading.Thread(target=lambda: time.sleep(9), daemon=True, name='exporter').start()\n"


def test_a_native_thread_before_the_patch_is_named(tmp_path: Path):
    """With the package that started it, and the command that did if it is known."""
    package = tmp_path / "ddtrace" / "bootstrap"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "sitecustomize.py").write_text(THREAD)
    code = "import ddtrace.bootstrap.sitecustomize\n"
    code += "try: import concurrency.patch\nexcept Exception as error: print(error)"
    message = facts(code, PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert "ddtrace.bootstrap.sitecustomize has started the native thread 'exporter'" in message
    assert "(by ddtrace-run, see docs/threads.md)" in message


def test_a_native_thread_that_is_tolerated_leaves_imports_whole(tmp_path: Path):
    """CONCURRENCY_ALLOW_LATE is for it as for other facts."""
    (tmp_path / "tracer.py").write_text(THREAD)
    code = f"import tracer\n{PATCHED}\nimport decimal"
    path = f"{ROOT}:{tmp_path}"
    assert facts(code, PYTHONPATH=path, CONCURRENCY_ALLOW_LATE="tracer") == "True"
