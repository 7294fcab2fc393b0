"""How long pages take whose services are slow, beside the same calls one after the other.

Each service waits 0.3 s before each answer. Does not depend on how it is printed, but for
the columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from time import perf_counter

from bench.fleet import Fleet, migrate

__all__ = ["DELAY", "HEADER", "PageVisit", "visit_pages"]

DELAY = 0.3  # seconds
TIMES = 3  # the best counts: what else the machine does is not the page's
MOMENT = "18:03:09"
HEADER = ("pages, 0.3 s a call", "one after the other", "ideal", "measured", "overhead")
PEOPLE = ("adler", "hudson", "lestrade", "moriarty", "sherlock", "watson")

Call = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class PageVisit:
    """One page and how long it took.

    Args:
        name: its path.
        sequential: how long its calls take one after the other, in seconds, measured.
        ideal: the same with all at once that can be.
        limit: how long it may take.
        measured: how long it took, the best of three times.
        complaint: what was wrong with it; empty when it was right.
    """

    name: str
    sequential: float
    ideal: float
    limit: float
    measured: float
    complaint: str = ""

    @property
    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        return (
            self.name,
            f"{self.sequential:.2f} s",
            f"{self.ideal:.2f} s",
            f"{self.measured:.3f} s",
            f"{(self.measured - self.ideal) * 1000:.0f} ms",
        )

    @property
    def problem(self) -> str:
        """What is to be said below the table; empty when all is well."""
        if self.complaint:
            return f"{self.name}: {self.complaint}"
        if self.measured > self.limit:
            return f"{self.name}: more than {self.limit:.2f} s"
        return ""


def visit_pages(url: str, delay: float = DELAY) -> list[PageVisit]:
    """Return the front page and the one that greets everyone, warm.

    Args:
        url: the address of an empty database.
        delay: seconds that each service waits before it answers.
    """
    migrate(url)
    with Fleet({"DATABASE_URL": url}) as fleet:
        fleet.start("user", "welcome", DEVELOPMENT_DELAY=str(delay))
        fleet.start("frontend")
        one = [
            ("user", "/person/sherlock/"),
            ("welcome", f"/greet/tod/{MOMENT}/"),
            ("welcome", "/translate/goodevening/es/"),
        ]
        everyone: list[Call] = [("user", "/person/"), one[1]]
        for person in PEOPLE:
            everyone += [("user", f"/person/{person}/"), ("welcome", "/translate/goodevening/es/")]
        query = f"lang=es&tod={MOMENT}"
        return [
            _visit(fleet, f"/?person=sherlock&{query}", one, 0.65, "Buenas tardes, Sherlock"),
            _visit(fleet, f"/everyone/?{query}", everyone, 0.75, "Buenas tardes, John Watson"),
        ]


def _visit(fleet: Fleet, path: str, calls: list[Call], limit: float, sentence: str) -> PageVisit:
    fleet["frontend"].get(path)  # connections are made, templates are read
    measured = math.inf
    for _ in range(TIMES):
        start = perf_counter()
        answer = fleet["frontend"].get(path)
        measured = min(measured, perf_counter() - start)
    start = perf_counter()
    for service, where in calls:
        fleet[service].get(where)
    sequential = perf_counter() - start
    right = answer.status == 200 and sentence in answer.text
    return PageVisit(
        name=path.partition("?")[0],
        sequential=sequential,
        ideal=2 * DELAY,
        limit=limit,
        measured=measured,
        complaint="" if right else f"status {answer.status}: {answer.text.strip()[:200]}",
    )
