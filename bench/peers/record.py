"""One run of all peers, as JSON keeps it: what was measured, when, where, with which versions."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.peers.catalogue import PEERS
from bench.peers.results import Sample, figures, limits

__all__ = ["PACKAGES", "Record"]

#: The distributions whose versions matter.
PACKAGES = (
    *("django", "gevent", "greenlet", "gunicorn", "httptools", "psycopg", "psycopg-pool"),
    *("psycopg2-binary", "psycogreen", "django-db-geventpool", "granian", "uvicorn", "uvloop"),
    *("fastapi", "asyncpg", "aiohttp", "requests"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What one run has found.

    Args:
        measured: when it began, as ISO 8601.
        command: the words of the command line.
        seconds: how long each measurement took.
        rounds: how often each was made.
        cores: which cores were the server's, and which the others'.
        database_pinned: whether the database was on the others' cores.
        surroundings: versions, machine and commit.
        load_after: the load average at the end.
        samples: the measurements.
        missing: the commands that install what peers lack, by peer.
    """

    measured: str
    command: str
    seconds: float
    rounds: int
    cores: dict[str, list[int]]
    database_pinned: bool
    surroundings: dict[str, Any]
    load_after: float
    samples: list[Sample]
    missing: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> str:
        """Return it as JSON, with medians, limits, and the titles of the peers."""
        found = asdict(self)
        found["peers"] = {name: peer.title for name, peer in PEERS.items()}
        found["figures"] = [asdict(one) for one in figures(self.samples)]
        found["limits"] = [asdict(one) for one in limits(self.samples)]
        return json.dumps(found, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Record:
        """Return what ``as_json`` has written.

        Raises:
            ValueError: it is something else.
        """
        try:
            found = json.loads(text)
            for name in ("peers", "figures", "limits"):
                del found[name]
            found["samples"] = [Sample(**one) for one in found["samples"]]
            return cls(**found)
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"this is not what `python -m bench.peers --json` writes: {error}"
            ) from error
