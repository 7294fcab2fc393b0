"""asgiref's own test suite passes in a patched process."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

# The newest, and the oldest that Django 5.2 allows.
VERSIONS = ["asgiref", "asgiref==3.8.1"]

# multiprocessing does not work in a patched process: its events wait natively, and to
# join a child process returns at once. What the last two test is run by the test below,
# without a process of its own.
NOT_RUN = [
    "tests/test_sync.py::test_sync_to_async_with_blocker_non_thread_sensitive",
    "tests/test_sync.py::test_sync_to_async_with_blocker_thread_sensitive",  # is to hang
    "tests/test_sync_executor_context_scenario.py",
    "tests/test_sync_thread_sensitive_context.py::test_executor_context_across_bridges",
]
SCENARIOS = """
import concurrency.patch, sys
sys.path.insert(0, "tests")
from test_sync_executor_context_scenario import run_executor_context_scenario
from test_sync_thread_sensitive_context import executor_context_across_bridges
run_executor_context_scenario()
executor_context_across_bridges(False)
executor_context_across_bridges(True)
"""


@pytest.fixture(scope="module", params=VERSIONS)
def sources(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of asgiref's sources, with its tests."""
    folder = tmp_path_factory.mktemp("asgiref")
    command = ["download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *command, "--dest", folder, request.param],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        if os.environ.get("CI"):
            pytest.fail(f"CI has to reach the package index: {done.stderr}")
        pytest.skip(f"{request.param} cannot be downloaded")
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return next(path for path in folder.iterdir() if path.is_dir())


def run(sources: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python with arguments on asgiref's sources and on this package."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=sources,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{sources}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_it_passes(sources: Path) -> None:
    """No test of asgiref fails, but for those that need multiprocessing."""
    plugins = ["concurrency.patch", "no:django", "no:randomly", "no:cacheprovider"]
    options = [word for name in plugins for word in ("-p", name)]
    deselected = [word for name in NOT_RUN for word in ("--deselect", name)]
    done = run(sources, "-m", "pytest", "-q", "--timeout", "30", *options, *deselected, "tests")
    assert done.returncode == 0, done.stdout[-5000:]
    used = run(sources, "-c", "import asgiref; print(asgiref.__file__)").stdout
    assert used.startswith(str(sources))


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("sources", VERSIONS[:1], indirect=True)
def test_its_scenarios_pass(sources: Path) -> None:
    """What asgiref tests in child processes works in a patched process."""
    done = run(sources, "-c", SCENARIOS)
    assert done.returncode == 0, done.stderr
