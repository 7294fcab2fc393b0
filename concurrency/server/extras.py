"""Options that need an optional package, and the command that installs it."""

from __future__ import annotations

from importlib.util import find_spec

from concurrency.server.options import ServeOptions

__all__ = ["missing", "remedy"]

# The module that an option needs, and the extra of this package that brings it.
_NEEDED = {
    "static": ("whitenoise", "static"),
    "media": ("whitenoise", "static"),
    "reload": ("watchfiles", "development"),
    "debugger": ("debugpy", "development"),
}


def remedy(extra: str) -> str:
    """Return the command that installs an extra."""
    return f"pip install 'django-gevent-concurrency[{extra}]'"


def missing(options: ServeOptions) -> list[str]:
    """Return a line for each enabled option whose package is not installed."""
    return [
        f"{name.replace('_', '-')} needs {module}: {remedy(extra)}"
        for name, (module, extra) in _NEEDED.items()
        if getattr(options, name) and find_spec(module) is None
    ]
