"""What was seen of a process in a soak, and whether it was right."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

# Between the second quarter of a run and the last one: more than this is growth.
MEGABYTES_ALLOWED = 12.0
DESCRIPTORS_ALLOWED = 16  # after a restart, a pool may be empty or full


@dataclass(slots=True)
class Samples:
    """What was seen of a process and of its sessions, one entry for each look."""

    megabytes: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)
    sessions: list[int] = field(default_factory=list)
    restarts: int = 0

    def look(self, process: psutil.Process, sessions: int | None) -> None:
        """Take one sample; a server that is being restarted has no sessions."""
        megabytes, descriptors = process.memory_info().rss / 2**20, process.num_fds()
        self.megabytes.append(megabytes)
        self.descriptors.append(descriptors)
        if sessions is not None:
            self.sessions.append(sessions)

    def growth(self) -> tuple[float, float]:
        """Return by how many megabytes and descriptors the last quarter exceeds the second."""
        quarter = len(self.megabytes) // 4
        if not quarter:
            return 0.0, 0.0
        early, late = slice(quarter, 2 * quarter), slice(-quarter, None)
        return (
            statistics.median(self.megabytes[late]) - statistics.median(self.megabytes[early]),
            statistics.median(self.descriptors[late]) - statistics.median(self.descriptors[early]),
        )


def report(driver: str, result: dict[str, object], samples: Samples, size: int) -> bool:
    """Print a table, and return whether all of it is right.

    Args:
        driver: its name.
        result: what the traffic has printed.
        samples: what was seen from outside.
        size: of the pool.
    """
    megabytes, descriptors = samples.growth()
    most = max(samples.sessions, default=0)
    pool = result["pool"]
    assert isinstance(pool, dict)  # noqa: S101 - as the traffic prints it
    whole = not any(pool[key] for key in ("in_use", "connecting", "discarding", "waiting"))
    numbers, wanted = result["numbers"], result["wanted"]
    rows: list[tuple[str, object, bool]] = [
        ("numbers asked for", f"{numbers:,} of {wanted:,}", numbers >= wanted),  # type: ignore[operator]
        ("wrong answers", result["wrong"], not result["wrong"]),
        ("rows lost", result["lost"], not result["lost"]),
        ("transactions half written", result["torn"], not result["torn"]),
        ("clients stuck", result["stuck"], not result["stuck"]),
        ("restarts of the server", samples.restarts, True),
        ("most sessions", f"{most} of {size}", most <= size),
        ("memory", _range(samples.megabytes, "MB"), True),
        ("memory grown by", f"{megabytes:.1f} MB", megabytes <= MEGABYTES_ALLOWED),
        ("file descriptors", _range(samples.descriptors, ""), True),
        ("descriptors grown by", f"{descriptors:g}", descriptors <= DESCRIPTORS_ALLOWED),
        ("pool at the end", "whole" if whole else pool, whole),
        ("errors expected", _counts(result["errors"]), True),
        ("errors unexpected", result["unexpected"] or 0, not result["unexpected"]),
        ("done", _counts(result["done"]), True),
    ]
    sys.stdout.write(f"\n{driver}\n")
    for name, value, fine in rows:
        sys.stdout.write(f"  {name:<26} {value}{'' if fine else '   <-- WRONG'}\n")
    sys.stdout.flush()
    return all(fine for _, _, fine in rows)


def _range(values: Sequence[float], unit: str) -> str:
    return f"{min(values, default=0):.0f} to {max(values, default=0):.0f} {unit}".strip()


def _counts(counts: object) -> str:
    assert isinstance(counts, dict)  # noqa: S101 - as the traffic prints it
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items())) or "none"
