"""``offload``: code that blocks or computes, in a native thread.

The threads are separate from the hub's ten, which DNS and files share. A
``threading.Thread`` started by a call is a greenlet of the call's native thread, and keeps
running after the call.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar, cast

from concurrency import context, hooks
from concurrency.conf import conf
from concurrency.hub.per_hub import forget, per_hub
from concurrency.tasks.native import NativeThreads

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("concurrency.tasks")

_KEY = "concurrency.tasks.threads"


@dataclass(frozen=True, slots=True, kw_only=True)
class OffloadStatistics:
    """The native threads of ``offload`` in this process.

    Attributes:
        max_threads: maximum number of calls that run at the same time.
        running: calls that run now, whether or not their caller still waits.
        abandoned: running calls whose caller was cancelled.
        waiting: calls that wait for a thread.
    """

    max_threads: int
    running: int
    abandoned: int
    waiting: int


class _Call:
    """One call: runs in a thread, keeps its outcome for the greenlet that waits."""

    __slots__ = ("abandoned", "error", "fn", "inherited", "running", "value")

    def __init__(self, fn: Callable[[], Any]) -> None:
        self.fn = fn
        self.inherited = context.capture()
        self.running = False
        self.abandoned = False
        self.value: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        if self.abandoned:
            return
        self.running = True
        try:
            self.inherited.variables.run(self._run)
        finally:
            self.running = False
            _calls.discard(self)
        if self.error is not None and self.abandoned:
            logger.error(
                "offloaded call failed after its caller had been cancelled", exc_info=self.error
            )

    def _run(self) -> None:
        try:
            self.inherited.apply()
            self.value = self.fn()
        except BaseException as error:  # noqa: BLE001 - raised in the greenlet that waits
            trace = error.__traceback__
            self.error = error.with_traceback(trace.tb_next if trace else None)
        finally:
            hooks.run(hooks.at_end)


_calls: set[_Call] = set()


def offload(fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
    """Run ``fn(*args, **kwargs)`` in a native thread while other greenlets go on.

    For C code that blocks and for short computations. The thread has the
    caller's context and database connections of its own, which it gives back
    after the call. A cancelled caller stops waiting immediately; the thread
    cannot be cancelled and runs to the end of the call.

    Raises:
        BaseException: what the call raised.
    """
    call = _Call(lambda: fn(*args, **kwargs))
    hooks.run(hooks.before_wait)
    _calls.add(call)
    try:
        # Waits for a free thread here, then for the call.
        _threads().run(call.run)
    except BaseException:
        call.abandoned = True
        if not call.running:
            _calls.discard(call)
        raise
    if call.error is not None:
        raise call.error
    return cast("T", call.value)


def offload_statistics() -> OffloadStatistics:
    """Return the current numbers of the threads of ``offload``."""
    calls = list(_calls)
    running = [call for call in calls if call.running]
    return OffloadStatistics(
        max_threads=conf.OFFLOAD_THREADS,
        running=len(running),
        abandoned=sum(call.abandoned for call in running),
        waiting=len(calls) - len(running),
    )


def _threads() -> NativeThreads:
    """Return the threads of this hub; per hub, so that nested calls cannot wait in a circle."""
    return per_hub(_KEY, lambda hub: NativeThreads(hub, conf.OFFLOAD_THREADS))


def _after_fork() -> None:
    """Forget the parent's threads, which do not run in this process."""
    _calls.clear()
    threads = forget(_KEY)
    if threads is not None:
        threads.forget()


os.register_at_fork(after_in_child=_after_fork)
