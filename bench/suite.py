"""All measurements, one after the other: `make bench`.

Each is a process of its own. One that misses its limit, or cannot run, does not keep the others
from running; the exit code is 1 then.
"""

from __future__ import annotations

import subprocess
import sys
import time

from bench import command

__all__ = ["PARTS", "main"]

#: The modules, without the options that the last one gets from the command line.
PARTS = ("fanout", "serving", "waiting", "lease", "binding", "asynchronous", "")

_TELL = 10.0  # seconds between two lines that tell that it goes on


def main(arguments: list[str] | None = None) -> int:
    """Run all parts and print what came of each; 1 when one has failed."""
    options = sys.argv[1:] if arguments is None else arguments
    outcome: dict[str, str] = {}
    for number, part in enumerate(PARTS, 1):
        module = f"bench.{part}".removesuffix(".")
        _say(f"\n[{number}/{len(PARTS)}] python -m {module}")
        start = time.monotonic()
        code = _run([module, *([] if part else options)])
        seconds = time.monotonic() - start
        verdict = "ok" if code == 0 else f"failed with exit code {code}"
        outcome[module] = f"{seconds:4.0f} s  {verdict}"
    _say("")
    for module, text in outcome.items():
        _say(f"{module:20} {text}")
    return 0 if all(text.endswith("ok") for text in outcome.values()) else 1


def _run(words: list[str]) -> int:
    # In a group of its own: Ctrl-C comes to us alone, and we end it.
    process = subprocess.Popen([sys.executable, "-m", *words], process_group=0)  # noqa: S603 - ours
    start = time.monotonic()
    try:
        while True:
            try:
                return process.wait(_TELL)
            except subprocess.TimeoutExpired:
                _say(f"    {time.monotonic() - start:.0f} s")
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    command.run(main)
