"""What a load measurement does: how many clients, how long, against which pool."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Scenario"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """The numbers of one measurement; the defaults are the published ones.

    Args:
        pool: the most connections that the server's pool may open.
        seconds: how long each statement sleeps in the database.
        clients: how many clients ask at the same time, without pause.
        duration: how long is measured, in seconds, after the warm-up.
        warm_up: how long the same load runs before, in seconds.
        ramp: over how many seconds the clients start, so that they do not all ask
            in step; not measured.
        user: the class of the locustfile.
    """

    pool: int = 100
    seconds: float = 0.2
    clients: int = 100
    duration: int = 20
    warm_up: int = 5
    ramp: int = 4
    user: str = "SlowSQL"

    @property
    def ideal(self) -> float:
        """Requests a second that the pool could answer if nothing else took time."""
        # One request of the other kind keeps ten connections busy.
        at_once = self.pool if self.user == "SlowSQL" else self.pool / 10
        return min(at_once, self.clients) / self.seconds
