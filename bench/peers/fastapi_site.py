"""The same answers without Django: FastAPI on asyncpg, with the SQL that the ORM would send."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from fastapi import FastAPI
from fastapi.responses import PlainTextResponse

from bench.peers.fetching import ten
from bench.peers.works import SLEEP, compute

__all__ = ["app"]

_COLUMNS = "id, app_label, model"
_SHORT = f"SELECT {_COLUMNS} FROM django_content_type WHERE model = $1 ORDER BY id LIMIT 1"  # noqa: S608
_SLOW = _SHORT.replace(_COLUMNS, f"{_COLUMNS}, pg_sleep({SLEEP})")

pool: asyncpg.Pool


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Have the pool while the application runs."""
    global pool
    most = int(os.environ["PEER_POOL"])
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=most) as pool:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/nothing/", response_class=PlainTextResponse)
async def _nothing() -> str:
    return "nothing"


@app.get("/one/", response_class=PlainTextResponse)
async def _one() -> str:
    return str(int(await pool.fetchrow(_SHORT, "lease") is not None))


@app.get("/three/", response_class=PlainTextResponse)
async def _three() -> str:
    return str(sum([await pool.fetchrow(_SHORT, "lease") is not None for _ in range(3)]))


@app.get("/slow/", response_class=PlainTextResponse)
async def _slow() -> str:
    return str(int(await pool.fetchrow(_SLOW, "lease") is not None))


@app.get("/compute/", response_class=PlainTextResponse)
def _compute() -> str:  # not asynchronous: it gets a thread
    return str(compute())


@app.get("/ten/", response_class=PlainTextResponse)
async def _ten() -> str:
    return str(await ten(os.environ["PEER_UPSTREAM"]))
