"""What one process writes on the board, another reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from concurrency.server import folder
from concurrency.server.board import STARTED, Board

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def board():
    made = Board()
    yield made
    made.close()


def test_a_worker_is_seen_by_another_process(board):
    """Another process, which inherits the memory, sees what a worker writes."""
    row = board.row()
    row.claim(7)
    row.beat(0.5)
    row.write(in_flight=3, waiters=2, loaded=True, draining=True)
    code = (
        "import sys; from concurrency.server.board import Board\n"
        "assert 'gevent' not in sys.modules and 'django' not in sys.modules\n"
        "w = Board(int(sys.argv[1])).workers()\n"
        "print([(x.pid, x.in_flight, x.waiters, x.lag, x.loaded, x.draining) for x in w])\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, str(board.descriptor)],
        cwd=ROOT,
        pass_fds=[board.descriptor],
        capture_output=True,
        text=True,
    )
    assert said.stdout == "[(7, 3, 2, 0.5, True, True)]\n", said.stderr


def test_rows_are_taken_once_and_used_again(board):
    """Two workers never share a row, and the row of one that ended is free for the next."""
    first, second = board.row(), None
    first.claim(-1)
    second = board.row()
    second.claim(8)
    assert [worker.pid for worker in board.workers()] == [8]
    first.claim(7)
    first.write(in_flight=5)
    assert [worker.pid for worker in board.workers()] == [7, 8]
    first.release()
    assert [worker.pid for worker in board.workers()] == [8]
    again = board.row()
    again.claim(9)
    assert [(worker.pid, worker.in_flight) for worker in board.workers()] == [(9, 0), (8, 0)]


def test_the_service_has_a_phase_and_a_note(board):
    """What concerns all workers is said once, and a new note replaces the whole of the old."""
    board.say(note="runs migrate --no-input", wanted=4)
    board.say(phase=STARTED, note="ends", draining=True)
    service = board.service()
    assert (service.phase, service.note, service.draining) == (STARTED, "ends", True)
    assert service.wanted == 4


def test_a_full_board_says_so(board):
    """With more workers than rows the error names the number."""
    with pytest.raises(RuntimeError, match=r"board has rows for 256 workers"):
        for pid in range(1, 300):
            board.row().claim(pid)


MAKE = "from concurrency.server import folder; print(folder.make(), flush=True); {}"


def test_what_a_killed_service_left_is_removed(tmp_path, monkeypatch):
    """The folder of a live service is found and kept; that of a killed one is removed."""
    monkeypatch.setenv("CONCURRENCY_RUNTIME_FOLDER", str(tmp_path))

    def python(then):
        return subprocess.Popen(
            [sys.executable, "-c", MAKE.format(then)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stdin=subprocess.PIPE,
            text=True,
        )

    with python("import os; os.kill(os.getpid(), 9)") as killed:
        left = Path(killed.stdout.readline().strip())
        killed.wait()
    assert left.is_dir()
    with python("input()") as first:
        of_first = Path(first.stdout.readline().strip())
        assert not left.exists()
        assert list(folder.running()) == [(first.pid, of_first)]
        with python("folder.remove()") as second:
            of_second = Path(second.stdout.readline().strip())
        assert of_first.is_dir()
        assert not of_second.exists()
        first.communicate("\n")


def test_a_folder_that_others_can_read_is_refused(tmp_path, monkeypatch):
    """Somebody else's folder, or an open one, is not used."""
    monkeypatch.setenv("CONCURRENCY_RUNTIME_FOLDER", str(tmp_path))
    folder.runtime_folder().chmod(0o755)
    with pytest.raises(PermissionError, match="CONCURRENCY_RUNTIME_FOLDER"):
        folder.runtime_folder()
