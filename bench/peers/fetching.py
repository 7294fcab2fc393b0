"""Ten requests at once by aiohttp, for the asynchronous peers."""

from __future__ import annotations

import asyncio
from functools import cache

import aiohttp

__all__ = ["ten"]


@cache
def _session() -> aiohttp.ClientSession:
    # One for the process: its connections are kept. Made in the loop, by the first request.
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))


async def ten(url: str) -> int:
    """Ask ten times at once, and return how many answers were right."""
    return sum(await asyncio.gather(*(_fetch(url) for _ in range(10))))


async def _fetch(url: str) -> bool:
    async with _session().get(url) as answer:
        return answer.status == 200 and await answer.text() == "slow"
