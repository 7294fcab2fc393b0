"""``python -m concurrency.compat``: looks at all dependencies that are installed.

Ends with 1 if a private name that this package uses is missing in one of them.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from concurrency.compat.survey import DEPENDENCIES, missing_of


def configure_django() -> None:
    """Let modules be imported that read settings."""
    import django
    from django.conf import settings

    toolbar = ["django.contrib.staticfiles", "debug_toolbar"] if find_spec("debug_toolbar") else []
    settings.configure(INSTALLED_APPS=toolbar, STATIC_URL="/static/")
    django.setup()


if __name__ == "__main__":
    configure_django()
    lines = [line for name in DEPENDENCIES for line in missing_of(name)]
    print("\n".join(lines) or f"Nothing is missing of: {', '.join(DEPENDENCIES)}.")  # noqa: T201
    sys.exit(bool(lines))
