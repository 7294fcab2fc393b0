"""Makes threads of executors return their connections after each piece of work.

They would otherwise keep them for as long as the executor lives. A transaction or a
changed session still binds a connection to its thread. Does not depend on databases, which
take part through ``concurrency.hooks``.
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
    """Do a piece of work, and return its connections before its result is visible."""
    try:
        return fn(*args, **kwargs)
    finally:
        hooks.run(hooks.at_rest)


@functools.wraps(_submit)
def submit(self: Any, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
    """Schedule a call, like ``ThreadPoolExecutor.submit``."""
    return _submit(self, _work, fn, *args, **kwargs)


def install() -> None:
    """Replace ``ThreadPoolExecutor.submit`` from now on."""
    if ThreadPoolExecutor.submit is not submit:
        ThreadPoolExecutor.submit = submit  # type: ignore[assignment,method-assign]
