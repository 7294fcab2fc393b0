"""What a timeline is made of: bars, their total, and the clock that times them.

Does not depend on drawing, templates or requests.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter

__all__ = ["Bar", "Stopwatch", "Timeline"]


class Stopwatch:
    """Counts seconds from the moment it was made; many greenlets may share one."""

    __slots__ = ("_origin",)

    def __init__(self) -> None:
        self._origin = perf_counter()

    def now(self) -> float:
        """Return the seconds since the start, float."""
        return perf_counter() - self._origin


@dataclass(frozen=True, slots=True)
class Bar:
    """One piece of work, on the clock that its timeline shares.

    Args:
        label: what was done, in a word or two.
        start: when it began, in seconds since the start of the timeline.
        end: when it ended, in seconds since the start of the timeline.
        result: what came of it, as text; empty for nothing to show.
        failed: whether it ended in an error.

    Raises:
        ValueError: the bar ends before it starts, or starts before the timeline.
    """

    label: str
    start: float
    end: float
    result: str = ""
    failed: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(
                f"bar {self.label!r} goes from {self.start} to {self.end} s: need 0 <= start <= end"
            )

    @property
    def duration(self) -> float:
        """Seconds from start to end, float."""
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Timeline:
    """Bars in the order in which they are shown, and the time for all of them.

    Args:
        title: one line that says what ran.
        bars: the pieces of work.
        total: seconds from the start until the answer was complete. It may be
            longer than the last bar, never shorter: then the last end counts.
        shown: how many of the bars the picture has, the first of them; None for
            all. Sums are of all.
    """

    title: str
    bars: tuple[Bar, ...]
    total: float = 0.0
    shown: int | None = None

    def __post_init__(self) -> None:
        last = max((bar.end for bar in self.bars), default=0.0)
        object.__setattr__(self, "total", max(self.total, last))

    @property
    def one_after_the_other(self) -> float:
        """Seconds that the same work takes without concurrency: the sum of the bars."""
        return sum(bar.duration for bar in self.bars)

    @property
    def speedup(self) -> float:
        """How many times faster it was than one after the other; 1.0 when nothing ran."""
        return self.one_after_the_other / self.total if self.total else 1.0
