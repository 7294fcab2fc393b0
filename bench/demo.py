"""The demonstration, timed: `python -m bench.demo`, which is `make demo`.

Starts a database and the example with one worker, asks for ten slow requests
once cold and three times warm, then for ten slow queries, and compares with the
time that one statement takes. Then come two pages that call other services, each
of which is made 0.3 s slower, beside the same calls one after the other. Exits non-zero
when an answer is wrong or took too long: 1.2 times the ideal, or a page's own limit.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter

from bench import command
from bench.database import ConnectionCounter, database, named, scratch
from bench.pages import HEADER, visit_pages
from bench.report import table
from bench.server import WebServer

__all__ = ["Visit", "main", "render"]

ANSWER = "".join(f"{x * x}\n" for x in range(1, 11))
LIMIT = 1.2  # times the ideal
# How often to look at the connections, as a share of the statements' time. A look is work for
# the machine that is measured: few, and none in the moment when the answer comes.
_LOOK_EVERY = 0.06


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request and what came back.

    Args:
        name: what was asked, and in which state of the server.
        seconds: how long each of the ten statements slept.
        measured: how long the answer took, in seconds.
        connections: the most that were open meanwhile.
        complaint: what was wrong with the answer; empty when it was right.
    """

    name: str
    seconds: float
    measured: float
    connections: int
    complaint: str = ""

    @property
    def too_slow(self) -> bool:
        """Whether it took more than 1.2 times the ideal."""
        return self.measured > LIMIT * self.seconds

    @property
    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        return (
            self.name,
            f"{10 * self.seconds:.2f} s",
            f"{self.seconds:.2f} s",
            f"{self.measured:.3f} s",
            f"{(self.measured - self.seconds) * 1000:.0f} ms",
            str(self.connections),
        )


def render(visits: list[Visit]) -> str:
    """Return the table, and a line for each answer that was wrong or late."""
    header = ("ten statements", "sequential", "ideal", "measured", "overhead", "connections")
    lines = [table(header, [visit.row for visit in visits])]
    for visit in visits:
        if visit.complaint:
            lines.append(f"{visit.name}: {visit.complaint}")
        elif visit.too_slow:
            lines.append(f"{visit.name}: more than {LIMIT} times the ideal")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration and print its table; 1 when something was wrong or late."""
    parser = argparse.ArgumentParser(prog="python -m bench.demo", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="time of each statement")
    parser.add_argument(
        "--pages", action=argparse.BooleanOptionalAction, default=True, help="also visit the pages"
    )
    options = parser.parse_args(arguments)
    seconds, pages = options.seconds, []
    visits = []
    _say("starting a database and gunicorn with one worker")
    with database() as url, WebServer({"DATABASE_URL": named(url)}) as server:
        for name, path in [
            ("/ten-slow-requests/, cold", "/ten-slow-requests/"),
            *((f"/ten-slow-requests/, warm {n}", "/ten-slow-requests/") for n in (1, 2, 3)),
            ("/ten-slow-queries/, warm", "/ten-slow-queries/"),
        ]:
            _say(f"asking for {name}")
            visits.append(_visit(server, url, name, path, seconds))
        if options.pages:
            _say("asking for pages that call slow services")
            with scratch(url) as services_url:
                pages = visit_pages(services_url)
    _say(f"\n{render(visits)}")
    if pages:
        _say(f"\n{table(HEADER, [page.row for page in pages])}")
    problems = [page.problem for page in pages if page.problem]
    for problem in problems:
        _say(problem)
    return 1 if problems or any(visit.complaint or visit.too_slow for visit in visits) else 0


def _visit(server: WebServer, url: str, name: str, path: str, seconds: float) -> Visit:
    headers = {**server.authorization, "Accept": "text/plain"}
    with _counting(url, _LOOK_EVERY * seconds) as counter:
        start = perf_counter()
        answer = server.get(f"{path}?seconds={seconds}", headers)
        measured = perf_counter() - start
    right = answer.status == 200 and answer.text == ANSWER
    return Visit(
        name=name,
        seconds=seconds,
        measured=measured,
        connections=counter.most,
        complaint="" if right else f"status {answer.status}: {answer.text.strip()[:200]}",
    )


@contextmanager
def _counting(url: str, pause: float) -> Iterator[ConnectionCounter]:
    """Count connections in a thread while the block runs, with pauses of so many seconds."""
    with ConnectionCounter(url) as counter:
        over = threading.Event()

        def count() -> None:
            while not over.wait(pause):
                counter.count()

        thread = threading.Thread(target=count, name="connection counter")
        thread.start()
        try:
            yield counter
        finally:
            over.set()
            thread.join()


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    command.run(main)
