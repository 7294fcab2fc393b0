"""Threads of executors give their connections back after each piece of work.

They wait for the next one for as long as the executor lives. What binds a connection
to its greenlet, a transaction or a changed session, keeps it there. This module does
not know what is given back: that takes part through ``concurrency.hooks``.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from concurrency import hooks

T = TypeVar("T")

_submit: Callable[..., Future[Any]] = ThreadPoolExecutor.submit


def _work(fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> T:
    """Do a piece of work; the connections are back before its result can be seen."""
    try:
        return fn(*args, **kwargs)
    finally:
        hooks.run(hooks.at_rest)


@functools.wraps(_submit)
def submit(self: Any, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
    """Schedule a call, as ``ThreadPoolExecutor`` does."""
    return _submit(self, _work, fn, *args, **kwargs)


def install() -> None:
    """Have it so for every executor of threads from now on."""
    if ThreadPoolExecutor.submit is not submit:
        ThreadPoolExecutor.submit = submit  # type: ignore[assignment,method-assign]
