"""``python -m concurrency.compat``: looks at all dependencies that are installed.

Ends with 1 if a private name that this package uses is missing in one of them.
"""

from __future__ import annotations

import sys

from concurrency.compat.survey import DEPENDENCIES, missing_of

if __name__ == "__main__":
    lines = [line for name in DEPENDENCIES for line in missing_of(name)]
    print("\n".join(lines) or f"Nothing is missing of: {', '.join(DEPENDENCIES)}.")  # noqa: T201
    sys.exit(bool(lines))
