"""The peers: how each is started, what it needs, and how it has its connections.

Each is set up as well as its documentation advises, with one process.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.command import Need
from bench.peers.works import Work

__all__ = ["GEVENT", "GRANIAN", "OURS", "PEERS", "Peer"]

_DJANGO_POOL, _GEVENTPOOL, _KEPT, _OURS, _PLAIN = "django", "geventpool", "kept", "ours", "plain"

GRANIAN_THREADS = (1, 4, 16, 50)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way of serving the site.

    Args:
        name: as `--only` takes it.
        title: as the reports name it.
        command: Python's arguments that start it, with the places ``{port}`` and ``{threads}``.
        world: how its views wait: ``ours``, ``gevent``, ``threads`` or ``async``.
        connections: how it has its connections: see ``settings``.
        threads: how many it has; 0: as many as connections, where it has threads at all.
        needs: what has to be installed.
    """

    name: str
    title: str
    command: tuple[str, ...]
    world: str
    connections: str
    threads: int = 0
    needs: tuple[Need, ...] = field(default=())

    @property
    def missing(self) -> str | None:
        """The command that installs the first thing that it lacks, if it lacks one."""
        return next((need.remedy for need in self.needs if not need.is_there), None)

    def arguments(self, work: Work, port: int) -> list[str]:
        """Return Python's arguments that start it for some work."""
        places = {"port": port, "threads": self.threads or work.pool}
        return ["-m", *(word.format(**places) for word in self.command)]

    def environment(self, work: Work) -> dict[str, str]:
        """Return the variables that ``settings`` and ``site`` read."""
        connections = self.connections
        if self.world == "threads" and self.threads > work.pool:
            # A connection for each thread would be more than it may open.
            connections = _DJANGO_POOL
        return {
            "DJANGO_SETTINGS_MODULE": "bench.peers.settings",
            "PEER_WORLD": self.world,
            "PEER_CONNECTIONS": connections,
            "PEER_POOL": str(work.pool),
        }


def _pip(name: str, *modules: str) -> Need:
    return Need(name, f"pip install '{name}'", modules=modules)


_GUNICORN = ("gunicorn", "bench.peers.site:wsgi", "--workers", "1", "--keep-alive", "75")
_GUNICORN += ("--bind", "127.0.0.1:{port}", "--backlog", "2048", "--log-level", "error")
_BARE = ("--config", "python:bench.peers.gunicorn_bare", "--worker-class")
_UVICORN_OPTIONS = ("--host", "127.0.0.1", "--port", "{port}", "--loop", "uvloop")
_UVICORN_OPTIONS += ("--http", "httptools", "--no-access-log", "--log-level", "error")
_UVICORN_OPTIONS += ("--timeout-keep-alive", "75", "--backlog", "2048")
_GRANIAN = ("granian", "bench.peers.site:wsgi", "--interface", "wsgi", "--workers", "1")
_GRANIAN += ("--blocking-threads", "{threads}", "--host", "127.0.0.1", "--port", "{port}")
_GRANIAN += ("--backlog", "2048", "--log-level", "error")

_PSYCOGREEN = _pip("psycogreen", "psycogreen", "psycopg2")
_POOL = _pip("psycopg[binary,pool]", "psycopg", "psycopg_pool")
_DB_GEVENTPOOL = _pip("django-db-geventpool[psycopg3]", "django_db_geventpool", "psycopg")
_GRANIAN_NEED = _pip("granian", "granian")
_UVICORN_NEED = _pip("uvicorn[standard]", "uvicorn", "uvloop", "httptools")
_AIOHTTP = _pip("aiohttp", "aiohttp")
_FASTAPI = _pip("fastapi", "fastapi")
_ASYNCPG = _pip("asyncpg", "asyncpg")

_ALL = (
    Peer(
        name="ours",
        title="this package, its worker",
        command=(*_GUNICORN, "--config", "python:bench.peers.gunicorn_ours"),
        world="ours",
        connections=_OURS,
    ),
    Peer(
        name="ours-stock",
        title="this package, gunicorn's gevent worker",
        command=(*_GUNICORN, *_BARE, "gevent"),
        world="ours",
        connections=_OURS,
    ),
    Peer(
        name="plain",
        title="gevent, patch_all and psycogreen",
        command=(*_GUNICORN, "--config", "python:bench.peers.gunicorn_plain"),
        world="gevent",
        connections=_PLAIN,
        needs=(_PSYCOGREEN,),
    ),
    Peer(
        name="django-pool",
        title="gevent, Django's pool",
        command=(*_GUNICORN, *_BARE, "gevent"),
        world="gevent",
        connections=_DJANGO_POOL,
        needs=(_POOL,),
    ),
    Peer(
        name="geventpool",
        title="gevent, django-db-geventpool",
        command=(*_GUNICORN, *_BARE, "gevent"),
        world="gevent",
        connections=_GEVENTPOOL,
        needs=(_DB_GEVENTPOOL,),
    ),
    Peer(
        name="gthread",
        title="gthread, a thread per connection",
        command=(*_GUNICORN, *_BARE, "gthread", "--threads", "{threads}"),
        world="threads",
        connections=_KEPT,
    ),
    *(
        Peer(
            name=f"granian-{threads}",
            title=f"granian, {threads} thread{'s' if threads > 1 else ''}",
            command=_GRANIAN,
            world="threads",
            connections=_KEPT,
            threads=threads,
            needs=(_GRANIAN_NEED, _POOL),
        )
        for threads in GRANIAN_THREADS
    ),
    Peer(
        name="uvicorn",
        title="uvicorn, async ORM, Django's pool",
        command=("uvicorn", "bench.peers.site:asgi", "--lifespan", "off", *_UVICORN_OPTIONS),
        world="async",
        connections=_DJANGO_POOL,
        needs=(_UVICORN_NEED, _POOL, _AIOHTTP),
    ),
    Peer(
        name="fastapi",
        title="uvicorn, FastAPI, asyncpg (no Django)",
        command=("uvicorn", "bench.peers.fastapi_site:app", *_UVICORN_OPTIONS),
        world="async",
        connections=_DJANGO_POOL,
        needs=(_FASTAPI, _ASYNCPG, _UVICORN_NEED, _AIOHTTP),
    ),
)

#: All of them, by name.
PEERS = {peer.name: peer for peer in _ALL}
OURS = "ours"
GRANIAN = tuple(f"granian-{threads}" for threads in GRANIAN_THREADS)
#: The other setups on gevent.
GEVENT = ("ours-stock", "plain", "django-pool", "geventpool")
