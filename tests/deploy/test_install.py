"""What is said on a machine whose Python is not enough."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "deploy" / "install.sh"


def install(python: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Run the script with a Python that answers as the shell code says."""
    fake = tmp_path / "python"
    fake.write_text(f"#!/bin/sh\n{python}\n")
    fake.chmod(0o755)
    return subprocess.run(
        ["sh", SCRIPT, tmp_path / "venv"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHON_FOR_VENV": str(fake)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("python", "sentence"),
    [
        ("exit 1", "Python 3.11 or newer is needed"),
        ('case "$*" in *ensurepip*) exit 1;; esac', "apt-get install python3-venv"),
    ],
    ids=["too old", "without venv"],
)
def test_what_is_missing_is_said(python: str, sentence: str, tmp_path: Path) -> None:
    """A Python that is too old, and one without venv, end it with what to do."""
    answer = install(python, tmp_path)
    assert answer.returncode == 1
    assert sentence in answer.stderr
    assert not (tmp_path / "venv").exists()


def test_what_takes_long_is_told(tmp_path: Path) -> None:
    """While a step runs there is a line every five seconds; its failure ends the script."""
    go, programs = tmp_path / "go", tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "python": f'case "$*" in *"-m venv"*) until [ -e {go} ]; do :; done; exit 3;; esac',
        "sleep": "exit 0",  # seconds that pass at once
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    with subprocess.Popen(
        ["sh", SCRIPT, tmp_path / "venv"],
        cwd=ROOT,
        env={
            "PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON_FOR_VENV": str(programs / "python"),
        },
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Making ")
        assert process.stdout.readline() == "  5 s\n"
        go.touch()
        process.stdout.read()
        assert process.wait() == 3
