"""The pool's options in a database's ``OPTIONS``: names, defaults, validation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from concurrency.db.pool.replacements import replacement_in_pool
from concurrency.values import problem_of_choice, problem_of_number, problem_of_truth, truth_of

_PREFIX = "pool_"
_RESETS = ("auto", "always")


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOptions:
    """How a pool behaves. The names have the same meaning as in psycopg_pool.

    Attributes:
        max_size: maximum number of connections from one process to one database;
            connections that are being opened, or that the server has not confirmed
            as closed, count.
        min_size: number of connections to open at first use and to keep open.
        timeout: seconds to wait for a connection.
        max_waiting: maximum number of waiters; the next one gets an error. 0: no limit.
        max_lifetime: seconds after which a connection is replaced, randomly shortened
            by up to 10 % so that not all are replaced at the same time.
        max_idle: seconds after which an unused connection beyond ``min_size`` is
            closed.
        lend_while_waiting: whether a greenlet gives its connection back while it
            waits for its children, and whether the pool takes a connection back from
            an idle greenlet while others wait.
        reset: "auto" resets a session for the next holder if a statement of the last
            holder has changed it; "always" resets it each time, which also covers
            changes made inside database functions.
    """

    max_size: int = 20
    min_size: int = 0
    timeout: float = 5.0
    max_waiting: int = 0
    max_lifetime: float = 3600.0
    max_idle: float = 600.0
    lend_while_waiting: bool = True
    reset: str = "auto"

    @classmethod
    def from_settings(cls, options: Mapping[str, Any], *, alias: str) -> PoolOptions:
        """Return the options of one database's pool.

        Args:
            options: the database's ``OPTIONS``.
            alias: the database's alias, for the error message.

        Raises:
            ImproperlyConfigured: an option is unknown or has a wrong value.
        """
        found = problems(options)
        if found:
            raise ImproperlyConfigured(f"DATABASES[{alias!r}]['OPTIONS']['pool']: {found[0]}")
        return cls(**_given(options))


def is_ours(name: str) -> bool:
    """Return whether a key of ``OPTIONS`` is the pool's: ``pool``, ``pool_max_size``, ..."""
    return name == "pool" or name.startswith(_PREFIX)


def _given(options: Mapping[str, Any]) -> Any:
    """Return the pool's options from ``OPTIONS``.

    The value of ``pool`` is a dictionary, or True or None for the defaults. Keys such as
    ``pool_max_size``, which come from a database URL, override it; their values may be text.
    """
    given = options.get("pool") or {}
    flat = {
        name.removeprefix(_PREFIX): options[name] for name in options if name.startswith(_PREFIX)
    }
    if given is True:
        given = {}
    if not flat or not isinstance(given, Mapping):
        return given
    return {**given, **{name: _read(name, value) for name, value in flat.items()}}


def _read(name: str, value: object) -> object:
    """Convert text to the type of the option; return it unchanged if it does not convert."""
    default = getattr(PoolOptions(), name, None)
    if isinstance(default, bool):
        truth = truth_of(str(value))
        return value if truth is None else truth
    if isinstance(value, str) and isinstance(default, int | float):
        with contextlib.suppress(ValueError):
            return type(default)(value)
    return value


def problems(options: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each mistake in the pool's options."""
    given = _given(options)
    if not isinstance(given, Mapping):
        return [f"must be a dictionary, not {given!r}"]
    known = {field.name: field for field in fields(PoolOptions)}
    found = [
        f"{name!r} is not an option; {_instead(name, known)}" for name in given if name not in known
    ]
    for name, value in given.items():
        if name in known and (problem := _problem(name, value, known[name].default)):
            found.append(problem)
    if not found and given.get("min_size", 0) > given.get("max_size", PoolOptions().max_size):
        found.append("min_size is larger than max_size")
    return found


def _instead(name: str, known: Iterable[str]) -> str:
    remedy = replacement_in_pool(name)
    if remedy is not None:
        return f"psycopg_pool has it. {remedy.removesuffix('.')}"
    return f"the options are {', '.join(known)}"


def _problem(name: str, value: Any, default: object) -> str | None:
    if isinstance(default, bool):
        problem = problem_of_truth(value)
    elif name == "reset":
        problem = problem_of_choice(value, _RESETS)
    else:
        whole, least = isinstance(default, int), int(name == "max_size")
        noun = "a whole number" if whole else "seconds"
        problem = problem_of_number(value, noun=noun, whole=whole, least=least)
    return None if problem is None else f"{name} {problem}"
