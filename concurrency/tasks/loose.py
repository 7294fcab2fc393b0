"""``spawn`` and ``joinall``: gevent's two verbs, with context and without lost errors.

A greenlet of ``spawn`` may outlive its caller. ``outstanding()`` names those that
are running, so that a server can wait for them when it drains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, ParamSpec, TypeAlias

import gevent

from concurrency import context, hooks, kinship
from concurrency.deadlines import inherited_deadline
from concurrency.errors import TaskCancelled
from concurrency.tasks.fanout import report_others

P = ParamSpec("P")

# gevent's class is generic only in its type hints.
Greenlet: TypeAlias = "gevent.Greenlet[..., Any]"

_outstanding: set[Greenlet] = set()


def spawn(fn: Callable[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> Greenlet:
    """Start ``fn(*args, **kwargs)`` in a greenlet that may outlive the caller.

    It inherits context variables, language, time zone and deadline; its database
    connections return to their pool when it ends. An error of a greenlet that is
    never joined is logged. Use ``TaskGroup`` where the caller waits.

    Returns:
        The greenlet, started.
    """
    greenlet = Loose(fn, args, kwargs)
    _outstanding.add(greenlet)
    greenlet.rawlink(_outstanding.discard)
    greenlet.start()
    return greenlet


class Loose(gevent.Greenlet):  # type: ignore[type-arg]
    """A greenlet that may outlive the one that started it."""

    def __init__(
        self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        inherited = context.capture()
        super().__init__(None, inherited)  # type: ignore[call-overload]
        #: The function that it calls.
        self.call = partial(fn, *args, **kwargs)
        self.gr_context = inherited.variables

    def _run(self, inherited: context.Inherited) -> Any:
        try:
            inherited.apply()
            with inherited_deadline():
                return self.call()
        finally:
            hooks.run(hooks.at_end)

    def __repr__(self) -> str:
        name = getattr(self.call.func, "__qualname__", None) or repr(self.call.func)
        return f"<{self.name} {name}>"


def outstanding() -> list[Greenlet]:
    """Return the greenlets of ``spawn`` that have not ended."""
    return list(_outstanding)


def forget_all() -> None:
    """Forget the greenlets of ``spawn``; for a child process, in which they do not run."""
    _outstanding.clear()


def joinall(greenlets: Iterable[Greenlet], *, timeout: float | None = None) -> list[Any]:
    """Wait for greenlets and return their results in order.

    The first failure kills the other greenlets, waits for them, and is raised as
    itself; further failures are added to it as notes and logged.

    Args:
        greenlets: started greenlets, of ``spawn`` or of gevent itself.
        timeout: how long to wait, in seconds; None means no limit. After the timeout the
            greenlets run on.

    Raises:
        Exception: what the first greenlet to fail raised.
        TimeoutError: some are still running; the message names them.
        TaskCancelled: a greenlet was killed from outside.
    """
    waited_for = list(greenlets)
    for greenlet in waited_for:
        if not isinstance(greenlet, gevent.Greenlet):
            raise TypeError(f"joinall: {greenlet!r} is not a greenlet: pass what spawn returned")
    with kinship.waiting_for(lambda: waited_for):
        for greenlet in gevent.iwait(waited_for, timeout=timeout):
            if (error := greenlet.exception) is not None:
                _end_all(waited_for, error)
                raise error
    running = [greenlet for greenlet in waited_for if not greenlet.ready()]
    if running:
        raise TimeoutError(
            f"{len(running)} of {len(waited_for)} greenlets still running after {timeout:g} s: "
            + ", ".join(map(repr, running))
        )
    return [_result(greenlet) for greenlet in waited_for]


def _end_all(greenlets: list[Greenlet], first: BaseException) -> None:
    """Kill the greenlets that still run, wait for them, and report all further failures."""
    gevent.killall(greenlets, block=True)
    failures = [greenlet.exception for greenlet in greenlets]
    report_others(first, [error for error in failures if error is not None])


def _result(greenlet: Greenlet) -> Any:
    if isinstance(greenlet.value, gevent.GreenletExit):
        raise TaskCancelled(f"{greenlet!r} was killed")
    return greenlet.value
