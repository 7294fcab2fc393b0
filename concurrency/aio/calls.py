"""One call of a function in a greenlet, which a coroutine awaits.

While it runs, only the call has a reference to its greenlet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import gevent
from gevent.hub import get_hub

from concurrency.interruptions import INTERRUPTIONS, Interruption


class _Stopped(Interruption, gevent.GreenletExit):
    """Thrown into a call that no coroutine awaits any more."""


class Call(asyncio.Future[Any]):
    """A function that runs in a greenlet, as a future of a loop.

    When the future is cancelled, the function is interrupted.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, fn: Callable[[], Any]) -> None:
        super().__init__(loop=loop)
        self._fn = fn
        self._greenlet: Any = None
        self._signal: _Stopped | None = None

    def run(self) -> None:
        """Call the function in this greenlet, and set the future's outcome.

        Raises:
            BaseException: the exception thrown into the greenlet to end it; the future
                is cancelled then.
        """
        if self.cancelled():
            return
        self._greenlet = gevent.getcurrent()
        interruption = None
        deliver: Callable[[], object]
        try:
            deliver = partial(self.set_result, self._fn())
        except INTERRUPTIONS as error:
            deliver = self.cancel
            if error is not self._signal:
                interruption = error
        except StopIteration as error:
            # A future accepts any exception but StopIteration.
            deliver = partial(self.set_exception, _not_stop_iteration(error))
        except BaseException as error:  # noqa: BLE001 - raised where it is awaited
            deliver = partial(self.set_exception, error)
        self._greenlet = None
        self._tell(deliver)
        if interruption is not None:
            raise interruption

    def _tell(self, deliver: Callable[[], object]) -> None:
        loop: Any = self.get_loop()
        if loop.is_closed() or self.done():
            return
        # One of our loops accepts callbacks directly, but must be woken.
        wake = getattr(loop, "wake", None)
        if wake is None or not wake():
            loop.call_soon_threadsafe(self._tell_now, deliver)
        else:
            deliver()

    def _tell_now(self, deliver: Callable[[], object]) -> None:
        if not self.done():
            deliver()

    def cancel(self, msg: Any = None) -> bool:
        """Cancel the future, and interrupt the function if it runs."""
        is_cancelled = super().cancel(msg)
        if is_cancelled and self._greenlet is not None:
            hub: Any = get_hub()
            hub.loop.run_callback(self._interrupt)
        return is_cancelled

    def _interrupt(self) -> None:
        """Throw into the function's greenlet; runs in the hub, so the function is waiting."""
        if self._greenlet is not None and self._signal is None:
            self._signal = _Stopped()
            self._greenlet.throw(self._signal)


def _not_stop_iteration(error: StopIteration) -> RuntimeError:
    raised = RuntimeError("StopIteration was raised by a function that a coroutine awaits")
    raised.__cause__ = error
    return raised
