"""What the peers are asked for: path, clients, and the connections that they may open."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMPUTING", "IDLE", "SLEEP", "WORKS", "Work", "compute"]

#: Seconds that a slow statement, or a slow service, takes.
SLEEP = 0.2

#: Clients whose requests compute.
COMPUTING = 4

#: Of the work that measures memory: it has no rate.
IDLE = "idle"


def compute() -> int:
    """Compute for about 50 ms, without a wait."""
    total = 0
    for number in range(1_000_000):
        total += number
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One thing that each peer is asked for.

    Args:
        name: as `--work` takes it.
        title: as the reports name it.
        path: what the clients ask for.
        body: the one right answer.
        clients: how many ask at the same time, without pause.
        pool: the most connections that a peer is told to open.
        warm_up: seconds of load that do not count.
        ideal: responses per second if nothing but the waits took time; 0.0 without waits.
        beside: what ``COMPUTING`` more clients ask for meanwhile, who are not measured.
    """

    name: str
    title: str
    path: str
    body: str
    clients: int = 50
    pool: int = 20
    warm_up: float = 1.0
    ideal: float = 0.0
    beside: str = ""


_FAST = (
    Work(name="nothing", title="no I/O", path="/nothing/", body="nothing"),
    Work(name="one", title="one short query", path="/one/", body="1"),
    Work(name="three", title="three short queries", path="/three/", body="3"),
    Work(
        name="one-200",
        title="one short query, 200 clients on 20 connections",
        path="/one/",
        body="1",
        clients=200,
    ),
)
_SLOW = (
    Work(
        name="slow-100",
        title="0.2 s SQL, 100 clients on 100 connections",
        path="/slow/",
        body="1",
        clients=100,
        pool=100,
        warm_up=3.0,
        ideal=100 / SLEEP,
    ),
    Work(
        name="slow-300",
        title="0.2 s SQL, 300 clients on 50 connections",
        path="/slow/",
        body="1",
        clients=300,
        pool=50,
        warm_up=4.0,
        ideal=50 / SLEEP,
    ),
    Work(
        name="ten",
        title="ten slow requests (0.2 s each), 10 clients",
        path="/ten/",
        body="10",
        clients=10,
        warm_up=2.0,
        ideal=10 / SLEEP,
    ),
)
_BESIDE = Work(
    name="beside",
    title="no I/O, 10 clients beside 4 whose requests compute 50 ms",
    path="/nothing/",
    body="nothing",
    clients=10,
    beside="/compute/",
)
_IDLE = Work(
    name=IDLE, title="idle keep-alive clients", path="/nothing/", body="nothing", clients=500
)

#: All of them, by name.
WORKS = {work.name: work for work in (*_FAST, *_SLOW, _BESIDE, _IDLE)}
