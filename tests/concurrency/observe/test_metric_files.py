"""Metrics are counted whatever happens to the disk, and no process dies of it."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from prometheus_client.mmap_dict import MmapedDict

from concurrency.observe.metric_files import CountingFile
from concurrency.observe.metric_files import restore as restore_all

ROOT = Path(__file__).resolve().parents[3]

pytestmark = pytest.mark.slow


def read(path: Path) -> dict[str, float]:
    """Return what the ops process reads of a file."""
    return {key: value for key, value, *_ in MmapedDict.read_all_values_from_file(str(path))}


@pytest.fixture
def limit():
    """Let no file be larger than this, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def counting(tmp_path):
    """A file that counts."""
    made = CountingFile(str(tmp_path / "counter_1.db"))
    yield made
    made.close()


def fill(file: CountingFile, start: int, end: int) -> dict[str, float]:
    for number in range(start, end):
        file.write_value(f"value {number:04} " + "x" * 50, float(number), 0.0)
    return {key: file.read_value(key)[0] for key in file._positions}


def test_every_byte_of_a_file_has_a_place_on_the_disk(tmp_path, counting):
    """A file is allocated when it is made and when it grows: no write needs a new page."""
    path = tmp_path / "counter_1.db"
    for end in (1, 3000):
        values = fill(counting, 0, end)
        found = path.stat()
        assert found.st_blocks * 512 >= found.st_size >= 65536
        assert read(path) == values
    assert found.st_size > 65536


def test_a_full_disk_is_counted_through(tmp_path, counting, limit):
    """Values that find no place are counted in memory, and are in the file when there is one."""
    path = tmp_path / "counter_1.db"
    fill(counting, 0, 10)
    limit(65536)
    values = fill(counting, 10, 3000)
    assert len(values) == 3000
    with pytest.raises(OSError, match="large"):
        restore_all()
    limit(resource.RLIM_INFINITY)
    restore_all()
    assert read(path) == values
    counting.write_value("one more", 1.0, 0.0)
    assert read(path)["one more"] == 1.0
    assert path.stat().st_blocks * 512 >= path.stat().st_size


def test_a_file_that_cannot_be_made_is_counted_in_memory(tmp_path, limit):
    """Neither a full disk nor a missing folder raises in what counts, and nothing is left of it."""
    limit(1000)
    full = CountingFile(str(tmp_path / "counter_2.db"))
    assert list(tmp_path.iterdir()) == []
    limit(resource.RLIM_INFINITY)
    missing = CountingFile(str(tmp_path / "cleaned" / "counter_2.db"))
    values = fill(full, 0, 2000)
    assert fill(missing, 0, 2000) == values
    (tmp_path / "cleaned").mkdir()
    restore_all()
    assert read(tmp_path / "counter_2.db") == read(tmp_path / "cleaned" / "counter_2.db") == values
    full.close()
    missing.close()
    restore_all()


def test_a_file_that_a_cleaner_removed_is_there_again(tmp_path, counting):
    """With all that was counted before and since."""
    path = tmp_path / "counter_1.db"
    fill(counting, 0, 5)
    path.unlink()
    values = fill(counting, 0, 10)
    assert not path.exists()
    restore_all()
    assert read(path) == values
    assert [found.name for found in tmp_path.iterdir()] == ["counter_1.db"]


@pytest.mark.parametrize("content", [b"x", b"\xff" * 64, b""], ids=["short", "wrong", "empty"])
def test_a_damaged_file_is_begun_anew(tmp_path, content):
    """A file that prometheus-client cannot read does not keep a worker from starting."""
    path = tmp_path / "counter_3.db"
    path.write_bytes(content)
    file = CountingFile(str(path))
    values = fill(file, 0, 3)
    path.unlink()
    restore_all()
    assert read(path) == values
    file.close()


FULL = """
import os, resource, sys
os.environ["PROMETHEUS_MULTIPROC_DIR"] = sys.argv[1]
from concurrency.observe import metrics
metrics.name_files("1")
from prometheus_client import Counter, Gauge, Histogram
if sys.argv[2] == "limit":
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
for kind in (Counter, Gauge, Histogram):
    one = kind(kind.__name__.lower(), "text", ["label"])
    for number in range(500):
        child = one.labels("x" * 200 + str(number))
        getattr(child, "observe" if kind is Histogram else "inc")(1)
print("alive")
"""


def count_on(folder: Path, how: str) -> None:
    """Count a lot in a process of its own."""
    said = subprocess.run(
        [sys.executable, "-c", FULL, str(folder), how], cwd=ROOT, capture_output=True, text=True
    )
    assert said.stdout == "alive\n", (said.returncode, said.stderr[-500:])


def test_a_process_lives_on_when_its_disk_is_full(tmp_path):
    """Counters, gauges and histograms of prometheus-client raise nothing and kill nobody."""
    count_on(tmp_path, "limit")


def test_no_process_dies_on_a_full_memory_disk(tmp_path):
    """On a full tmpfs, where a file that has a size but no pages would be a SIGBUS.

    Where no tmpfs can be mounted the limit of the size of a file is what is full.
    """
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "none", str(tmp_path)]
    mounted = os.getuid() == 0 and subprocess.run(mount, capture_output=True).returncode == 0
    if not mounted:
        count_on(tmp_path, "limit")
        return
    try:
        count_on(tmp_path, "disk")
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
