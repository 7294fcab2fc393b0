"""What ``OPTIONS`` of a database says about its pool: names, defaults, validation."""

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
    """How a pool behaves. Names mean what they mean in psycopg_pool.

    Attributes:
        max_size: most connections of one process to one database; those that are
            being opened, and those whose end the server has not confirmed, count.
        min_size: connections that are opened with the first use and kept.
        timeout: seconds to wait for a connection.
        max_waiting: how many may wait; one more is refused at once. 0: no limit.
        max_lifetime: seconds after which a connection is replaced, shortened by
            up to a tenth so that not all are replaced together.
        max_idle: seconds after which an unused connection beyond ``min_size`` is
            closed.
        lend_while_waiting: whether a greenlet that waits for its children gives
            its idle connection back meanwhile, and one that is idle has it taken back
            when others wait.
        reset: "auto" resets a session before the next holder gets it when a
            statement of the last one has changed it; "always" does so each time,
            for what database functions do unseen.
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
    """Return whether a key of ``OPTIONS`` is about the pool: ``pool``, ``pool_max_size``, ..."""
    return name == "pool" or name.startswith(_PREFIX)


def _given(options: Mapping[str, Any]) -> Any:
    """Return what ``OPTIONS`` says about the pool.

    That is the dictionary ``pool``, or True or None for the defaults. Over it go keys
    such as ``pool_max_size``, which is how a database URL says it; their values may be text.
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
    """Return what a text means; the text itself if it means nothing."""
    default = getattr(PoolOptions(), name, None)
    if isinstance(default, bool):
        truth = truth_of(str(value))
        return value if truth is None else truth
    if isinstance(value, str) and isinstance(default, int | float):
        with contextlib.suppress(ValueError):
            return type(default)(value)
    return value


def problems(options: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each thing that ``OPTIONS`` says wrongly about the pool."""
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
