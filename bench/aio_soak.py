"""Switch greenlets beside running loops, and look for growth: `python -m bench.aio_soak`.

Ten loops run while greenlets switch a million times. Exits non-zero when memory grew.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import argparse
import asyncio
import gc
import sys

import gevent

from bench import command

__all__ = ["ALLOWED", "growth", "main"]

LOOPS = 10
ALLOWED = 500  # blocks of memory: interned strings, caches that have found their size

# A turn of a greenlet is two switches, to the hub and back.
_SWITCHES_OF_A_ROUND = 2


async def _spin(rounds: int) -> None:
    for number in range(rounds):
        gevent.sleep(0)
        if number % 100 == 0:
            await asyncio.sleep(0)


def _run(switches: int) -> int:
    rounds = switches // LOOPS // _SWITCHES_OF_A_ROUND
    runs = [gevent.spawn(asyncio.run, _spin(rounds)) for _ in range(LOOPS)]
    gevent.joinall(runs, raise_error=True)
    del runs
    gc.collect()
    return sys.getallocatedblocks()


def growth(switches: int) -> int:
    """Return how many blocks of memory are left after so many switches."""
    _run(switches // 100)
    before = _run(switches // 100)
    return _run(switches) - before


def main(arguments: list[str] | None = None) -> int:
    """Run it and print what grew."""
    parser = argparse.ArgumentParser(prog="python -m bench.aio_soak", description=__doc__)
    parser.add_argument("--switches", type=int, default=1_000_000)
    options = parser.parse_args(arguments)
    blocks = growth(options.switches)
    print(f"{options.switches} switches with {LOOPS} loops left {blocks} blocks of memory")  # noqa: T201
    return 0 if blocks <= ALLOWED else 1


if __name__ == "__main__":
    command.run(main)
