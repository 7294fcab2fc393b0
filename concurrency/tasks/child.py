"""``Child``: a call that runs in a greenlet of its own, and its outcome."""

from __future__ import annotations

from collections.abc import Callable
from types import FrameType
from typing import Any, Generic, TypeVar

import gevent
from gevent.event import Event

from concurrency import context, hooks, kinship
from concurrency.errors import TaskCancelled

T_co = TypeVar("T_co", covariant=True)

# _ENDED: the call is over, but its cleanup is not.
_QUEUED, _STARTED, _ENDED, _DONE = range(4)


class Child(Generic[T_co]):
    """A call that runs for an owner, which waits for its end.

    Args:
        on_end: called once, in the child's greenlet or in the hub, with the child and
            whether it had started. Must not wait.
        fn: the function that it calls.
        args: positional arguments of the call.
        kwargs: keyword arguments of the call.
        inherited: the context that the call runs in.

    Attributes:
        fn: the function that it calls.
        greenlet: the greenlet of the call; None before it has started.
        error: what the call raised; None while it runs, after success and after a cancel.
        was_cancelled: whether ``cancel()`` or a kill has ended the call.
    """

    __slots__ = (
        "_args",
        "_ended",
        "_inherited",
        "_kwargs",
        "_on_end",
        "_state",
        "_value",
        "error",
        "fn",
        "greenlet",
        "was_cancelled",
    )

    def __init__(
        self,
        on_end: Callable[[Child[Any], bool], None],
        fn: Callable[..., T_co],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        inherited: context.Inherited,
    ) -> None:
        self._on_end = on_end
        self.fn = fn
        self._args = args
        self._kwargs = kwargs
        self._inherited: context.Inherited | None = inherited
        self._state = _QUEUED
        self._value: T_co | None = None
        self._ended: Event | None = None
        self.greenlet: gevent.Greenlet[..., None] | None = None
        self.error: BaseException | None = None
        self.was_cancelled = False

    def is_done(self) -> bool:
        """Return whether the call has ended, in whatever way."""
        return self._state == _DONE

    def result(self) -> T_co:
        """Wait for the end and return what the call returned, or raise what it raised."""
        error = self.exception()
        if error is not None:
            raise error
        return self._value  # type: ignore[return-value]

    def exception(self) -> BaseException | None:
        """Wait for the end and return what the call raised, or None."""
        self._wait()
        if self.was_cancelled:
            raise TaskCancelled(f"{self!r} was cancelled")
        return self.error

    def cancel(self) -> None:
        """Ask the call to end: ``GreenletExit`` is raised where it waits."""
        if self._state == _DONE:
            return
        if self.greenlet is None:
            self.was_cancelled = True
            self._finish()
        else:
            self.greenlet.kill(block=False)

    @property
    def frame(self) -> FrameType | None:
        """The frame in which the call waits; None if it does not wait."""
        return None if self.greenlet is None else self.greenlet.gr_frame

    def start(self) -> None:
        """Run the call in a new greenlet."""
        inherited = self._inherited
        assert inherited is not None  # noqa: S101 - a child is started once
        self._state = _STARTED
        self.greenlet = greenlet = gevent.Greenlet(self._run, inherited)
        self._inherited = None
        greenlet.gr_context = inherited.variables.copy()
        # The link serves a greenlet that is killed before it runs at all, or again during
        # its cleanup; in all other cases _run() has already notified the owner.
        greenlet.rawlink(self._died)
        greenlet.start()

    def _run(self, inherited: context.Inherited) -> None:
        try:
            inherited.apply()
            self._value = self.fn(*self._args, **self._kwargs)
        except gevent.GreenletExit:
            self.was_cancelled = True
        except BaseException as error:  # noqa: BLE001 - the owner raises it
            # Without this frame the traceback shows only the call, and there is no cycle.
            trace = error.__traceback__
            self.error = error.with_traceback(trace.tb_next if trace else None)
        self._state = _ENDED
        hooks.run(hooks.at_end)
        self._finish()

    def _died(self, greenlet: gevent.Greenlet[..., None]) -> None:
        if self._state == _STARTED:
            self.was_cancelled = True
        if self._state != _DONE:
            self._finish()

    def _finish(self) -> None:
        had_started = self._state != _QUEUED
        self._state = _DONE
        self._on_end(self, had_started)
        if self._ended is not None:
            self._ended.set()

    def _wait(self) -> None:
        if self._state == _DONE:
            return
        if self._ended is None:
            self._ended = Event()
        with kinship.waiting_for(lambda: [self.greenlet] if self.greenlet else []):
            self._ended.wait()

    def __repr__(self) -> str:
        name = getattr(self.fn, "__qualname__", None) or repr(self.fn)
        state = ("queued", "running", "running", "done")[self._state]
        if self._state == _DONE and self.was_cancelled:
            state = "cancelled"
        elif self._state == _DONE and self.error is not None:
            state = f"failed with {type(self.error).__name__}"
        return f"<Task {name} {state}>"
