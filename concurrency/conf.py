"""The ``CONCURRENCY`` setting, merged over its defaults.

``conf.NAME`` is the value of ``settings.CONCURRENCY["NAME"]``, or the default of
``Options``. Unknown names and wrong types are reported by a system check, see
``problems()``. Nothing is read before the first use, and Django is not imported
by importing this module.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Every key of ``CONCURRENCY``, with its default.

    Attributes:
        CACHE_MAX_CONNECTIONS: connections that one cache alias opens to its
            server, for a process.
        OFFLOAD_THREADS: native threads for ``offload``, for a process.
    """

    CACHE_MAX_CONNECTIONS: int = 10
    OFFLOAD_THREADS: int = 10


class _Conf:
    """Reads ``settings.CONCURRENCY`` once, and again after it has changed."""

    def __init__(self) -> None:
        self._options: Options | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.options(), name)

    def options(self) -> Options:
        """Return the merged options; the defaults while Django is not configured."""
        if self._options is None:
            given = _given()
            if given is None:
                return Options()
            known = {field.name for field in fields(Options)}
            wrong = {name for name, _ in problems()}
            self._options = Options(
                **{k: v for k, v in given.items() if k in known and k not in wrong}
            )
            _watch_settings()
        return self._options

    def forget(self, **kwargs: Any) -> None:
        """Read the settings anew at the next use; receiver of ``setting_changed``."""
        if kwargs.get("setting") == "CONCURRENCY":
            self._options = None


def _given() -> dict[str, Any] | None:
    module = sys.modules.get("django.conf")
    if module is None or not module.settings.configured:
        return None
    given = getattr(module.settings, "CONCURRENCY", {})
    return dict(given) if isinstance(given, dict) else {}


def _watch_settings() -> None:
    from django.core.signals import setting_changed

    setting_changed.connect(conf.forget, dispatch_uid="concurrency.conf")


def problems() -> list[tuple[str, str]]:
    """Return ``(key, what is wrong with it)`` for each bad key of ``CONCURRENCY``."""
    found = []
    defaults = Options()
    known = [field.name for field in fields(Options)]
    for key, value in (_given() or {}).items():
        if key not in known:
            found.append((key, f"is not an option; the options are {', '.join(known)}"))
            continue
        default = getattr(defaults, key)
        if isinstance(value, bool) is not isinstance(default, bool) or not isinstance(
            value, type(default)
        ):
            found.append((key, f"must be of type {type(default).__name__}, not {value!r}"))
        elif isinstance(default, int) and not isinstance(default, bool) and value < 1:
            found.append((key, f"must be at least 1, not {value!r}"))
    return found


conf = _Conf()
