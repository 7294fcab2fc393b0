"""A page that is there before its result: its beginning and a bar at once, the rest later.

No script is needed: the browser shows what has arrived, the bar moves by a style, and hides when
something follows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import translation

from concurrency import joinall, spawn
from concurrency.errors import DeadlineExceeded
from example_site.apps.slowsql.fanout import Outcome

__all__ = ["WaitingPage", "render_page"]

# Seconds after which somebody wants to see that something happens. What fails before has a status
# of its own; a page that has begun says it in its text.
SOON = 0.5
# In the template, where the result goes.
PLACE = "<!-- result -->"


class WaitingPage:
    """Starts slow work, and streams a page about it if it takes long.

    Args:
        request: what is answered.
        run: the work.
        context: what the page says besides.
        explain: returns status and sentence for an error of the work, or raises it.
    """

    def __init__(
        self,
        request: HttpRequest,
        run: Callable[[], Outcome],
        context: dict[str, object],
        explain: Callable[[Exception], tuple[int, str]],
    ) -> None:
        self._request = request
        self._context = context
        self._explain = explain
        # The page is sent when the request's language is over.
        self._language = translation.get_language()
        self._work = spawn(run)

    def outcome(self) -> Outcome | None:
        """Return what came of the work; None if it takes longer than somebody likes to wait.

        Raises:
            Exception: the work failed.
        """
        is_running = False
        try:
            (outcome,) = joinall([self._work], timeout=SOON)
            return outcome
        except DeadlineExceeded:  # which is a TimeoutError, but not this one
            raise
        except TimeoutError:
            is_running = True
            return None
        finally:
            if not is_running:
                self.close()

    def __iter__(self) -> Iterator[str]:
        with translation.override(self._language):
            page = render_page(self._request, self._context)
        opening, _place, closing = page.partition(PLACE)
        yield opening
        with translation.override(self._language):
            result = self._result()
        yield result
        yield closing

    def close(self) -> None:
        """End the work: it is done, or nobody is there any more who could see it."""
        self._work.kill()

    def _result(self) -> str:
        try:
            (outcome,) = joinall([self._work])
        except Exception as error:  # noqa: BLE001 - raised again unless it can be explained
            found: dict[str, object] = {"problem": self._explain(error)[1]}
        else:
            found = {"timeline": outcome.timeline}
        return render_to_string("slowsql/result.html", found, self._request)


def render_page(request: HttpRequest, context: dict[str, object], **result: object) -> str:
    """Return the whole page as HTML, with a result or with a place for it."""
    return render_to_string("slowsql/ten.html", {**context, **result}, request)
