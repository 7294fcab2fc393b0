"""Tables of what was measured. Pure: numbers in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Measurement", "render", "table"]

# Above this share of a core the clients wait for themselves, not for the server.
CLIENT_LIMIT = 0.85
# Above this share of all cores everything waits for everything.
MACHINE_LIMIT = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one run under load has shown.

    Args:
        requests: answers in the measured time.
        failures: how many of them were errors or wrong.
        rate: answers a second.
        ideal: answers a second if nothing but the statements took time.
        pool: the most connections that the pool may open.
        connections: the most that were open at once, as the server counted.
        median_ms: the median of the response times, in milliseconds.
        p99_ms: the 99th percentile, in milliseconds.
        server_cores: CPU of the web server, in cores.
        client_cores: CPU of the load generator, in cores.
        machine_cores: CPU of everything on this machine, in cores.
        cores: how many cores this machine has.
    """

    requests: int
    failures: int
    rate: float
    ideal: float
    pool: int
    connections: int
    median_ms: float
    p99_ms: float
    server_cores: float
    client_cores: float
    machine_cores: float
    cores: int

    @property
    def share(self) -> float:
        """The part of the ideal that was reached, 1.0 for all of it."""
        return self.rate / self.ideal if self.ideal else 0.0

    @property
    def remarks(self) -> list[str]:
        """What a reader has to know before trusting the numbers; empty when all is well."""
        found = []
        if self.failures:
            found.append(f"{self.failures} of {self.requests} answers were errors")
        if self.connections > self.pool:
            found.append(f"the pool of {self.pool} had {self.connections} connections")
        if self.client_cores > CLIENT_LIMIT:
            found.append(
                f"Locust used {self.client_cores:.0%} of a core and may be the limit: "
                "run it distributed, or on another machine"
            )
        if self.machine_cores > MACHINE_LIMIT * self.cores:
            found.append(
                f"the machine used {self.machine_cores:.2f} of its {self.cores} cores and may be "
                "the limit: look for what else it does"
            )
        return found


def render(measurement: Measurement) -> str:
    """Return the report of a run under load."""
    m = measurement
    rows = [
        ("throughput", f"{m.rate:.1f}/s"),
        ("ideal", f"{m.ideal:.1f}/s"),
        ("share of the ideal", f"{m.share:.1%}"),
        ("connections at most", f"{m.connections} of {m.pool}"),
        ("requests", str(m.requests)),
        ("errors", str(m.failures)),
        ("response time, median", f"{m.median_ms:.0f} ms"),
        ("response time, 99 %", f"{m.p99_ms:.0f} ms"),
        ("CPU of the server", f"{m.server_cores:.2f} cores"),
        ("CPU of Locust", f"{m.client_cores:.2f} cores"),
        ("CPU of the machine", f"{m.machine_cores:.2f} of {m.cores} cores"),
    ]
    lines = [table(("measured", "value"), rows), *(f"note: {text}." for text in m.remarks)]
    return "\n".join(lines)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns below their header; all but the first are right-aligned."""
    widths = [max(len(line[column]) for line in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        first, *others = zip(cells, widths, strict=True)
        return "  ".join([first[0].ljust(first[1]), *(text.rjust(width) for text, width in others)])

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([line(header), rule, *(line(row) for row in rows)])
