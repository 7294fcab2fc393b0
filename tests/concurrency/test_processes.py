"""Other processes: programs, pools of multiprocessing, tests in parallel."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import gevent
import pytest

from concurrency import TaskGroup, offload

ROOT = Path(__file__).resolve().parents[2]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run Python in a folder; return its code and what it printed. All its children end."""
    process = subprocess.Popen(
        [sys.executable, *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{folder}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=90)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, output


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_pool_of_processes_lets_greenlets_run(tmp_path: Path, method: str):
    """Also with more data than a pipe takes, and none of the parent's greenlets run in a child."""
    (tmp_path / "job.py").write_text(
        textwrap.dedent(
            f"""
            import concurrency.patch
            import gevent, multiprocessing, os, time

            def work(data):
                time.sleep(0.3)
                return data[::-1]

            if __name__ == "__main__":
                parent, elsewhere, ticks = os.getpid(), [], []
                def tick():
                    while True:
                        ticks.append(1)
                        if os.getpid() != parent: os.write(1, b"ran in a child")
                        gevent.sleep(0.01)
                gevent.spawn(tick)
                data = b"ab" * 200_000
                with multiprocessing.get_context({method!r}).Pool(2) as pool:
                    assert pool.map(work, [data] * 4) == [data[::-1]] * 4
                    before = len(ticks)
                    assert pool.apply(work, (b"xy",)) == b"yx"
                    assert len(ticks) - before > 5
                    pool.close()
                    pool.join()
                # Nothing keeps this one, so that it ends while its workers wait for work.
                for _ in range(5):
                    assert multiprocessing.get_context({method!r}).Pool(1).apply(pow, (2, 3)) == 8
                print("done")
            """
        )
    )
    assert run(tmp_path, "job.py") == (0, "done\n")


def test_processes_are_not_started_in_native_threads():
    """The error says what to do."""
    import multiprocessing

    with pytest.raises(RuntimeError, match="outside of offload"):
        offload(multiprocessing.get_context("spawn").Process(target=print).start)


def test_programs_are_started_in_native_threads():
    """Their output, their status, their errors and time limits arrive there."""

    def work() -> None:
        done = subprocess.run(["cat"], input=b"x" * 100_000, capture_output=True, check=True)
        assert len(done.stdout) == 100_000
        assert subprocess.run(["sh", "-c", "exit 3"], check=False).returncode == 3
        process = subprocess.Popen(["sleep", "60"])
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert process.poll() == -signal.SIGKILL
        with pytest.raises(FileNotFoundError):
            subprocess.run(["/no/such/program"], check=False)

    with gevent.Timeout(60), TaskGroup() as group:
        for _ in range(4):
            group.spawn(offload, work)
        group.spawn(work)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with a project whose tests use the database and greenlets."""
    settings = "SECRET_KEY = 'x'\nINSTALLED_APPS = ['concurrency', 'app']\n"
    settings += "DATABASES = {'default': {'ENGINE': 'concurrency.db.backends.sqlite3'"
    settings += ", 'NAME': ':memory:'}}\n"
    (tmp_path / "site_settings.py").write_text(settings)
    (tmp_path / "manage.py").write_text(
        "import concurrency.patch, os, sys\n"
        "from django.core.management import execute_from_command_line\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'site_settings'\n"
        "if __name__ == '__main__': execute_from_command_line(sys.argv)\n"
    )
    test = """
        class Test{0}(TestCase):
            def test_it(self):
                with connection.cursor() as cursor:
                    cursor.execute("select {0}")
                    assert cursor.fetchone() == ({0},)
                assert gather(lambda: time.sleep(0.01), lambda: {0}) == [None, {0}]
    """
    head = "import time\nfrom django.db import connection\nfrom django.test import TestCase\n"
    head += "from concurrency import gather\n"
    tests = "".join(textwrap.dedent(test.format(number)) for number in range(6))
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "__init__.py").write_text("")
    (tmp_path / "app" / "tests.py").write_text(head + tests)
    return tmp_path


def test_djangos_tests_run_in_parallel(project: Path):
    """In a patched process, with databases of their own."""
    code, output = run(project, "manage.py", "test", "--parallel", "2")
    assert code == 0, output
    assert "Ran 6 tests" in output


def test_pytest_runs_in_parallel(tmp_path: Path):
    """With pytest-xdist, whose workers have native threads before they are patched."""
    (tmp_path / "test_it.py").write_text(
        "import pytest, gevent, concurrency.patch\n"
        "@pytest.mark.parametrize('number', range(6))\n"
        "def test_it(number):\n"
        "    assert concurrency.patch.is_patched()\n"
        "    gevent.sleep(0.01)\n"
    )
    plugins = ["concurrency.testing.plugin", "no:randomly", "no:cacheprovider", "no:schemathesis"]
    arguments = [word for plugin in plugins for word in ("-p", plugin)]
    code, output = run(tmp_path, "-m", "pytest", "-q", "-n", "2", *arguments)
    assert code == 0, output
    assert "6 passed" in output
