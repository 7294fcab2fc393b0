"""The ``CONCURRENCY`` setting, merged over its defaults.

``conf.NAME`` is the value of ``settings.CONCURRENCY["NAME"]``, or the default of
``Options``. Unknown names and wrong types are reported by a system check, see
``problems()``. Nothing is read before the first use, and Django is not imported
by importing this module.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from concurrency.values import problem_of_choice, problem_of_number, problem_of_truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every key of ``CONCURRENCY``, with its default.

    Attributes:
        CACHE_MAX_CONNECTIONS: connections that one cache alias opens to its
            server, per process.
        CANCEL_ON_DISCONNECT: whether ``ConcurrencyMiddleware`` ends a GET or HEAD
            whose client has gone; see ``docs/requests.md``.
        FAN_OUT_IN_ATOMIC: what happens when a child uses a database while its
            parent waits for it inside ``atomic`` on the same one: "warn" once for
            each place, "raise" ``FanOutInAtomicBlock``, or "allow".
        HUB_BLOCKED_AFTER: seconds for which a greenlet of a worker may block all others
            before this is logged, once, with its stack; None: never.
        LEASE_WARNING: seconds after which a lease that is still held is logged, once;
            None: never.
        MAX_IN_FLIGHT: requests that a worker handles at the same time; others wait in
            line; None: no limit.
        OFFLOAD_THREADS: native threads for ``offload``, per process.
        REQUEST_DEADLINE: seconds that ``ConcurrencyMiddleware`` gives a request;
            None: only the limit that the caller asks for.
        SHED_AFTER: seconds for which every request may have to wait in line before some
            get a 503; None: one second with ``GeventWorker`` and never with
            gunicorn's own worker; ``float("inf")``: never.
        TRACK_LEASES: whether errors of the pool name the place where a lease was taken;
            costs a few microseconds per lease.
    """

    CACHE_MAX_CONNECTIONS: int = 10
    CANCEL_ON_DISCONNECT: bool = False
    FAN_OUT_IN_ATOMIC: Literal["warn", "raise", "allow"] = "warn"
    HUB_BLOCKED_AFTER: float | None = 0.5
    LEASE_WARNING: float | None = 60.0
    MAX_IN_FLIGHT: int | None = None
    OFFLOAD_THREADS: int = 10
    REQUEST_DEADLINE: float | None = 30.0
    SHED_AFTER: float | None = None
    TRACK_LEASES: bool = False


class _Conf:
    """Reads ``settings.CONCURRENCY`` once, and again after a change."""

    def __getattr__(self, name: str) -> Any:
        # Only reached while the options are not among the attributes.
        if name.startswith("_"):
            raise AttributeError(name)
        given = _given()
        if given is None:
            return getattr(Options(), name)
        names = {field.name for field in fields(Options)} - {key for key, _ in problems()}
        options = Options(**{key: value for key, value in given.items() if key in names})
        vars(self).update({field.name: getattr(options, field.name) for field in fields(options)})
        _watch_settings()
        return vars(self)[name]

    def forget(self, **kwargs: Any) -> None:
        """Read the settings anew at the next use; receiver of ``setting_changed``."""
        if kwargs.get("setting") == "CONCURRENCY":
            vars(self).clear()


def _given() -> dict[str, Any] | None:
    module = sys.modules.get("django.conf")
    if module is None or not module.settings.configured:
        return None
    given = getattr(module.settings, "CONCURRENCY", {})
    return dict(given) if isinstance(given, dict) else {}


def _watch_settings() -> None:
    from django.core.signals import setting_changed

    setting_changed.connect(conf.forget, dispatch_uid="concurrency.conf")


def problems(
    others: Mapping[str, Callable[[Any], str | None]] | None = None,
) -> list[tuple[str, str]]:
    """Return ``(key, what is wrong with it)`` for each bad key of ``CONCURRENCY``.

    Args:
        others: keys that other modules read, and what validates their values.
    """
    found = []
    kinds, others = get_type_hints(Options), others or {}
    for key, value in (_given() or {}).items():
        if key in others:
            problem = others[key](value)
        elif key in kinds:
            problem = _problem(value, kinds[key])
        else:
            problem = f"is not an option; the options are {', '.join([*kinds, *others])}"
        if problem:
            found.append((key, problem))
    return found


def _problem(value: Any, kind: Any) -> str | None:
    """Return what is wrong with a value of one of the types of ``Options``."""
    if get_origin(kind) is Literal:
        return problem_of_choice(value, get_args(kind))
    if kind is bool:
        return problem_of_truth(value)
    or_none = type(None) in get_args(kind)
    if value is None and or_none:
        return None
    whole = float not in (kind, *get_args(kind))
    noun = ("a whole number" if whole else "a number of seconds") + " or None" * or_none
    problem = problem_of_number(value, noun=noun, whole=whole, least=1 if whole else None)
    if problem is None and not value > 0:
        problem = f"must be more than 0, not {value!r}"
    return problem


conf = _Conf()
