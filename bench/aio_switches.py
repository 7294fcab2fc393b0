"""What a switch of greenlets costs without a loop and while one runs, in seconds.

Called by ``bench.asynchronous``; prints both numbers on standard output.
"""

from __future__ import annotations

import concurrency.patch  # isort: skip  # noqa: F401

import asyncio
from time import perf_counter

import greenlet

__all__ = ["seconds"]

SWITCHES = 400_000


def seconds() -> float:
    """Return what one switch costs between two greenlets that run no loop."""
    here = greenlet.getcurrent()

    def back() -> None:
        while True:
            here.switch()

    other = greenlet.greenlet(back)
    start = perf_counter()
    for _ in range(SWITCHES // 2):
        other.switch()
    return (perf_counter() - start) / SWITCHES


async def _beside_a_loop() -> float:
    # In a greenlet of its own, as others are that run beside the loop.
    return greenlet.greenlet(seconds).switch()


def main() -> None:
    """Measure both, several times, and print the best: the rest is noise."""
    print(min(seconds() for _ in range(5)))  # noqa: T201
    print(min(asyncio.run(_beside_a_loop()) for _ in range(5)))  # noqa: T201


if __name__ == "__main__":
    main()
