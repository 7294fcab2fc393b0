"""A hook at every greenlet switch of a native thread, for state that follows a greenlet.

Such state is an object with ``enter()`` and ``leave()``, which ``Switches.put`` attaches to
a greenlet. While no greenlet of a thread has one, no hook is installed. Other tracers
(gevent's own, profilers, debuggers) keep working: the hook calls earlier ones, and later
ones may call the hook or not. Does not depend on the kind of state.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Protocol

import greenlet
from gevent.monkey import get_original
from greenlet import getcurrent

from concurrency.compat.gevent import get_hub_if_exists

Tracer = Callable[[Any, tuple[Any, Any]], object]

# greenlet's own functions, which share_settrace() replaces.
_get_tracer: Callable[[], Tracer | None] = greenlet.gettrace
_set_tracer: Callable[[Tracer | None], Tracer | None] = greenlet.settrace

# An attribute ends with its greenlet, and is the cheapest thing to look up at each switch.
_ATTRIBUTE = "_concurrency_belongings"


class Belonging(Protocol):
    """State that is entered and left with a greenlet."""

    def enter(self) -> None:
        """The greenlet runs from now on."""

    def leave(self) -> None:
        """Another greenlet runs from now on."""


class _Probe:
    """Detects whether the hook is called."""

    seen = False

    def enter(self) -> None:
        self.seen = True

    def leave(self) -> None:
        """Nothing was entered."""


class Switches:
    """The hook of one native thread; ``switches()`` returns it."""

    __slots__ = ("_current", "_hook", "_owners", "_previous", "_watcher")

    def __init__(self) -> None:
        self._owners = 0
        self._current: Belonging | None = None
        #: The tracer that the hook calls.
        self._previous: Tracer | None = None
        self._hook = self._make_hook()
        self._watcher: Any = None

    def _make_hook(self) -> Tracer:
        # A closure is the fastest kind of function to call.
        def switched(event: str, args: tuple[Any, Any]) -> None:
            belonging = getattr(args[1], _ATTRIBUTE, None)
            if belonging is not self._current:
                self._move(belonging)
            if self._previous is not None:
                self._forward(event, args)

        return switched

    def put(self, belonging: Belonging) -> None:
        """Attach state to the current greenlet; it counts as entered."""
        here = getcurrent()
        if not hasattr(here, _ATTRIBUTE):
            self._owners += 1
            self._install()
        setattr(here, _ATTRIBUTE, belonging)
        self._current = belonging

    def drop(self) -> None:
        """Detach the state of the current greenlet; it counts as left."""
        here = getcurrent()
        if hasattr(here, _ATTRIBUTE):
            delattr(here, _ATTRIBUTE)
            self._current = None
            self._owners -= 1
            if not self._owners:
                self._uninstall()

    def _move(self, belonging: Belonging | None) -> None:
        if self._current is not None:
            self._current.leave()
        self._current = belonging
        if belonging is not None:
            belonging.enter()

    def _forward(self, event: str, args: tuple[Any, Any]) -> None:
        tracer = self._previous
        assert tracer is not None  # noqa: S101 - the hook has checked it
        try:
            tracer(event, args)
        except BaseException:  # noqa: BLE001 - greenlet would remove the hook with it
            # As greenlet does: a tracer that raises is not called again.
            self._previous = None
            traceback.print_exc()

    def _install(self) -> None:
        self._look()
        hub = get_hub_if_exists()
        if self._watcher is None and hub is not None:
            self._watcher = hub.loop.prepare(ref=False)
            self._watcher.start(self._look)

    def _look(self) -> None:
        """Install the hook where it is not.

        While the hook is needed, the hub checks before each wait: a tool may have restored
        an earlier tracer.
        """
        if _get_tracer() is not self._hook and not self._is_called():
            self._previous = _set_tracer(self._hook)
            self._move(getattr(getcurrent(), _ATTRIBUTE, None))

    def _is_called(self) -> bool:
        if _get_tracer() is None:
            return False
        probe = _Probe()
        switched_to = greenlet.greenlet(lambda: None)
        setattr(switched_to, _ATTRIBUTE, probe)
        switched_to.switch()
        return probe.seen

    def _uninstall(self) -> None:
        if self._watcher is not None:
            self._watcher.close()
            self._watcher = None
        if _get_tracer() is self._hook:
            _set_tracer(self._previous)
            self._previous = None
        # Otherwise another tracer may call the hook, which then has nothing to do.

    def set_tracer(self, tracer: Tracer | None) -> Tracer | None:
        """Set a foreign tracer below the hook, or, without a hook, as greenlet does."""
        if _get_tracer() is not self._hook:
            return _set_tracer(tracer)
        previous, self._previous = self._previous, tracer
        return previous

    def get_tracer(self) -> Tracer | None:
        """Return the foreign tracer, not the hook."""
        tracer = _get_tracer()
        return self._previous if tracer is self._hook else tracer


_threads: Any = get_original("threading", "local")()


def switches() -> Switches:
    """Return the hook of this native thread."""
    try:
        found: Switches = _threads.switches
    except AttributeError:
        found = _threads.switches = Switches()
    return found


def share_settrace() -> None:
    """Keep a tracer that ignores others from removing the hook."""
    greenlet.settrace = lambda tracer: switches().set_tracer(tracer)
    greenlet.gettrace = lambda: switches().get_tracer()
