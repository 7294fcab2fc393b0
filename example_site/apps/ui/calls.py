"""The calls that one page makes, and the picture of them.

Knows how services are asked and timed, and nothing of what is done with the answers.
"""

from __future__ import annotations

from typing import Any

from django.utils.text import Truncator

from example_site import backends
from example_site.timeline import Bar, Stopwatch, Timeline

__all__ = ["Calls"]

# So many fit on a page that somebody still reads; the sums are of all.
SHOWN = 40
LABEL = 48  # characters


class Calls:
    """Asks services for one page; many greenlets may share it."""

    def __init__(self) -> None:
        self._stopwatch = Stopwatch()
        self._bars: list[Bar] = []

    def text(self, service: str, key: str, *path: str) -> str:
        """Return a text out of what a service answers at a path; as `backends.ask` it may raise."""
        return self._timed(service, path, lambda data: backends.text_of(service, data, key), str)

    def texts(self, service: str, *path: str, keys: tuple[str, ...]) -> list[str]:
        """Return several texts out of one answer."""

        def read(data: dict[str, Any]) -> list[str]:
            return [backends.text_of(service, data, key) for key in keys]

        return self._timed(service, path, read, lambda found: found[0])

    def words(self, service: str, key: str, *path: str) -> list[str]:
        """Return a list of texts out of what a service answers at a path."""

        def read(data: dict[str, Any]) -> list[str]:
            found = data.get(key)
            if not isinstance(found, list) or not all(isinstance(word, str) for word in found):
                raise backends.BackendDown(service, f"answered without {key}")
            return found

        return self._timed(service, path, read, lambda found: str(len(found)))

    def timeline(self, title: str) -> Timeline:
        """Return the picture of the calls so far, in the order in which they began."""
        bars = tuple(sorted(self._bars, key=lambda bar: bar.start))
        return Timeline(title, bars, self._stopwatch.now(), shown=SHOWN)

    def _timed(self, service: str, path: tuple[str, ...], read: Any, describe: Any) -> Any:
        start, result = self._stopwatch.now(), None
        try:
            answer = read(backends.ask(service, *path))
            result = describe(answer)
            return answer
        finally:
            label = Truncator(f"{service} /{'/'.join(path)}/").chars(LABEL)
            end = self._stopwatch.now()
            self._bars.append(Bar(label, start, end, result or "", failed=result is None))
